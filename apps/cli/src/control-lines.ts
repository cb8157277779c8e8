import { pc } from './paint';
import { taskLine } from './task-lines';

type Told = readonly [string, (text: string) => string, string];

const text = (value: unknown): string => (typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value));

/** Facts about what was said to a run. */
export function controlLine(type: string, data: Readonly<Record<string, unknown>>): Told | undefined {
  switch (type) {
    case 'SignalReceived':
      return ['✉', pc.cyan, `signal ${text(data['name'])}${data['payload'] === null ? '' : `: ${text(data['payload'])}`}`];
    case 'SignalAwaited':
      return ['◷', pc.dim, `waits for the signal ${text(data['name'])}`];
    case 'RunForked':
      return ['⑂', pc.magenta, forked(data)];
    case 'RunContinued':
      return ['↻', pc.magenta, `begins again, branch ${text(data['branch'])}: ${text(data['input'])}`];
    case 'RunRewound':
      return [
        '↶',
        pc.magenta,
        `rewound to revision ${text(data['to'])}, branch ${text(data['branch'])}: ${text(data['reason'])}`,
      ];
    default:
      return taskLine(type, data);
  }
}

function forked(data: Readonly<Record<string, unknown>>): string {
  const { runId, revision } = (data['source'] ?? {}) as { readonly runId?: string; readonly revision?: number };
  return `a copy of ${text(runId)} at revision ${text(revision)}`;
}
