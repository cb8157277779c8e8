import { mustBeClaimed, PerdureError, Terminal, type ErrorRecord, type Host, type Logger } from '@perdure/kernel';
import type { ClaimAnswer, Grant, Instruction } from '@perdure/run-contract';
import type { Probed, Tool } from './definitions';
import * as entry from './entries';
import { heartbeatOf, limited, parsedArguments, runTool, scopeOf, timedOut, type Execution, type ToolUse } from './execution';
import { refusedGrant, type GrantKnown } from './grant-check';
import { asksOwner, failed, recordOf, serialise, succeeded, type Ended } from './outcome';

/**
 * Effects that must not be doubled.
 *
 * 1. Nothing begins but by the owner's answer to the claim of this very execution.
 * 2. Nothing begins after the time that the answer gives, counted from before the claim was sent.
 * 3. What needed an approval is not even claimed before its grant is verified, here where it would be executed.
 * 4. Only a typed error of the tool says that nothing happened.
 */

export interface OfExecution {
  readonly call: string;
  readonly attempt: number;
  readonly executionId: string;
}

/** What an activation lends, or a worker that executes for others. */
export interface ClaimPort {
  readonly execution: Execution;
  readonly isActive: boolean;
  /** Resolves with the owner's answer to the claim of this execution; never, when the activation ends before. */
  claim(of: OfExecution, grantId: string | undefined): Promise<ClaimAnswer>;
  /** Records an entry that nobody waits for. */
  note(entry: string): void;
  readonly runId: string;
  /** How often the run was rewound. */
  readonly branch: number;
  readonly grants: GrantKnown;
}

/** What became of an attempt, and the entry that says so; without one there is nothing to say. */
export type ClaimedUse =
  | { readonly did: 'end'; readonly ended: Ended; readonly asks: boolean; readonly text: string }
  /** It may be asked for again under the same number. */
  | { readonly did: 'not-begin'; readonly text?: string }
  | { readonly did: 'lose-track'; readonly text: string };

export type ClaimedToolUse = Omit<ToolUse, 'executionId'> & {
  readonly call: string;
  /** Came with the instruction; not believed before it is verified. */
  readonly grant?: Grant | undefined;
};

export async function useClaimed(port: ClaimPort, use: ClaimedToolUse): Promise<ClaimedUse> {
  const { call, attempt, tool } = use;
  const parsed = await parsedArguments(tool, use.args);
  if (!parsed.success) return endAs(use, parsed.ended);
  const { host, signal } = port.execution;
  const refused = refusedGrant(host, port.grants, { ...use, runId: port.runId, branch: port.branch, grant: use.grant });
  if (refused !== undefined) return endAs(use, failed(refused));
  if (!port.isActive) return { did: 'not-begin' };
  const executionId = host.entropy.uuid();
  const of = { call, attempt, executionId };
  const since = instantOf(host);
  const answer = await port.claim(of, use.grant?.grantId);
  const grant = answer.mayBegin?.find((granted) => granted.executionId === executionId);
  if (grant === undefined || !port.isActive) return { did: 'not-begin' };
  // Last: between this look and the call lies nothing that waits.
  if (signal.aborted || elapsedMs(host, since) > grant.startWithinMs)
    return { did: 'not-begin', text: entry.effectNotStartedEntry(of) };
  host.crashPoint('tool.before-call');
  const execution = { ...use, executionId };
  // What may be repeated needs no more care for having been claimed.
  if (!mustBeClaimed(tool.effect)) return endOf(tool, of, { known: await runTool(port.execution, execution) });
  return endOf(tool, of, await runClaimed(port.execution, { ...execution, args: parsed.data }));
}

function endAs({ call, attempt }: Pick<ClaimedToolUse, 'call' | 'attempt'>, ended: Ended): ClaimedUse {
  return { did: 'end', ended, asks: false, text: entry.effectResultEntry(call, attempt, { outcome: ended.text }) };
}

function endOf(tool: Tool, of: OfExecution, end: ClaimedEnd): ClaimedUse {
  if ('unknown' in end) return { did: 'lose-track', text: entry.effectUnknownEntry({ ...of, ...end.unknown }) };
  const { known } = end;
  const asks = asksOwner(tool, known);
  return { did: 'end', ended: known, asks, text: entry.effectResultEntry(of.call, of.attempt, { outcome: known.text, asks }) };
}

interface Instant {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

function instantOf({ clock }: Host): Instant {
  return { monotonicMs: clock.monotonicMs(), wallMs: clock.nowMs() };
}

/** A machine that was asleep may have stopped the one clock and not the other; a jump of the other only costs a new claim. */
function elapsedMs(host: Host, since: Instant): number {
  const now = instantOf(host);
  return Math.max(now.monotonicMs - since.monotonicMs, now.wallMs - since.wallMs);
}

type ClaimedEnd =
  { readonly known: Ended } | { readonly unknown: { readonly because: 'timed-out' | 'error'; readonly error: ErrorRecord } };

/** Begins the tool before it returns. The arguments are parsed already. */
async function runClaimed(execution: Execution, use: ToolUse): Promise<ClaimedEnd> {
  const { tool, args } = use;
  let [isOver, hasReturned, isForeign] = [false, false, false];
  const ended = await limited(execution, {
    what: `The result of the tool ${tool.name}`,
    reaction: 'terminal',
    timeoutMs: tool.timeoutMs,
    timedOut: (why) => {
      isOver = true;
      return timedOut(tool, why);
    },
    ...heartbeatOf(execution.host, use),
    run: async (signal, heartbeat) => {
      try {
        const result = await tool.execute(args, scopeOf(use, signal, heartbeat));
        hasReturned = true;
        return result;
      } catch (error) {
        isForeign = !saysThatNothingHappened(error);
        throw error;
      }
    },
  });
  if (ended.ok) return { known: ended };
  if (isOver) return { unknown: { because: 'timed-out', error: ended.error } };
  // It returned something that cannot be recorded: it happened, and nobody can say with what result.
  return hasReturned || isForeign ? { unknown: { because: 'error', error: ended.error } } : { known: ended };
}

function saysThatNothingHappened(error: unknown): boolean {
  return error instanceof PerdureError && (error.reaction === 'terminal' || error.reaction === 'retryable');
}

export type ProbeTool = Extract<Instruction, { do: 'probe-tool' }>;

export interface ProbeUse {
  readonly tool: Tool | undefined;
  readonly instruction: ProbeTool;
  readonly idempotencyKey: string;
  readonly log: Logger;
}

/** The entry that says what the destination said, and the end of the call if it says that it happened. */
export async function probe(execution: Execution, use: ProbeUse): Promise<{ readonly text: string; readonly ended?: Ended }> {
  const { call, attempt, executionId, probe: number } = use.instruction;
  const found = await findingOf(execution, use);
  const text = entry.probeResultEntry({ call, attempt, executionId, probe: number, found: found.text });
  return found.ended === undefined ? { text } : { text, ended: found.ended };
}

async function findingOf(execution: Execution, use: ProbeUse): Promise<{ readonly text: string; readonly ended?: Ended }> {
  const { tool, instruction } = use;
  if (tool?.probe === undefined) return undecided(missingProbe(instruction.tool));
  const parsed = await parsedArguments(tool, instruction.args);
  if (!parsed.success) return undecided(parsed.ended.error);
  const asked = await limited(execution, {
    what: `The answer of the probe of ${tool.name}`,
    reaction: 'retryable',
    timeoutMs: tool.timeoutMs,
    timedOut: () => timedOut(tool),
    run: async (signal) => {
      const { idempotencyKey, log } = use;
      const answer = await tool.probe?.(parsed.data, { idempotencyKey, executionId: instruction.executionId, signal, log });
      return { answer: checked(tool, answer) };
    },
  });
  if (!asked.ok) return undecided(asked.error);
  const { answer } = asked.value as { readonly answer: Probed };
  if ('unknown' in answer) return undecided({ code: 'ProbeUndecided', message: answer.why, reaction: 'retryable' });
  if (!answer.happened) return { text: '{"verdict":"absent"}' };
  const ended = succeeded(answer.result, `The result of the tool ${tool.name}`);
  if (!ended.ok) return undecided(ended.error);
  return { text: `{"verdict":"happened","result":${serialise(answer.result, tool.name).text}}`, ended };
}

/** What is none of the three answers is a mistake in the probe, and no ground to run the effect again. */
function checked(tool: Tool, answer: unknown): Probed {
  const given = answer as Partial<{ happened: unknown; unknown: unknown; why: unknown }> | null | undefined;
  if (given?.unknown === true) return { unknown: true, why: String(given.why ?? 'it gave no reason') };
  if (given?.happened === true || given?.happened === false) return answer as Probed;
  throw new Terminal(
    'InvalidProbe',
    `The probe of ${tool.name} answers { happened: true, result }, { happened: false } or { unknown: true, why }; it did not.`,
  );
}

function undecided(error: ErrorRecord): { readonly text: string } {
  return { text: `{"verdict":"unknown","error":${JSON.stringify(error)}}` };
}

function missingProbe(tool: string): ErrorRecord {
  return recordOf(new Terminal('ProbeMissing', `This worker holds no tool ${tool} with a probe.`), 'terminal');
}
