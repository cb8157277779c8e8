import { Terminal } from '@perdure/kernel';
import type { RunView } from '@perdure/run-contract';

/** The runs that are open wait for what never comes. */
export function nothingWillHappen(why: string, runs: readonly RunView[]): Terminal {
  const open = runs.length === 0 ? 'No run is open.' : runs.map(inWords).join(' ');
  const message = `The test waits for something that will never happen: ${why}. ${open}`;
  const details = { runs: runs.map(({ runId, name, status, waitingOn }) => ({ runId, name, status, waitingOn })) };
  return new Terminal('NothingWillHappen', message, { details });
}

function inWords({ name, runId, status, waitingOn }: RunView): string {
  const waits = waitingOn.map(({ promise, id, detail, closedBy }) => {
    const named = detail === undefined || detail === '' ? id : `${detail} (${id})`;
    return `${promise} ${named}${closedBy === undefined ? '' : `, closed by ${closedBy}`}`;
  });
  return `${name} ${runId} is ${status}, and waits for: ${waits.join('; ')}.`;
}

/** Steps, tools or models that do not end. */
export function codeStillRuns(executed: readonly string[], realMs: number): Terminal {
  const message =
    `Time stands still, since this is still waited for after ${realMs} ms of real time: ${executed.join('; ')}. ` +
    'Let it end, or let time pass in spite of it: skip(duration, { whileExecuting: true }).';
  return new Terminal('CodeStillRuns', message, { details: { executed, realMs } });
}

export function environmentClosed(): Terminal {
  return new Terminal('EnvironmentClosed', 'The test environment is closed: what is waited for in it will not happen.');
}
