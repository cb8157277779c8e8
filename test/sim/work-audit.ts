import type { RecordedEvent } from '@perdure/kernel';
import { runStream, runAddress, type EffectsLeft } from '@perdure/run-contract';
import type { Finding } from '@perdure/testing';
import type { Wish } from './client';
import type { LogView } from './log-view';
import type { OuterWorld, WorkDone } from './outer-world';
import type { Operation } from './program';
import { TENANT } from './roles';
import { usesIn, type Use } from './uses';

/** What the log says of one piece of user code: when it was intended, and when its result was recorded. */
interface Recorded {
  readonly intended: RecordedEvent | undefined;
  readonly ended: RecordedEvent | undefined;
}

export interface WorkAudit {
  readonly findings: readonly Finding[];
  /** Pure steps that were run again before their result was recorded: allowed, and counted. */
  readonly reexecutedPure: number;
}

/** I3: what the outside world saw, against what the log says that was recorded. */
export function auditWork(world: OuterWorld, log: LogView, wishes: readonly Wish[]): WorkAudit {
  const findings: Finding[] = [];
  const found = (message: string): void => void findings.push({ invariant: 'I3', message });
  let reexecutedPure = 0;
  for (const { runId, plan } of wishes) {
    const facts = log.of(runStream.build(runAddress(TENANT, runId)));
    const recorded = recordedWork(facts);
    const work = world.work.filter((done) => done.runId === runId);
    for (const done of work) checkAgain(done, recorded.get(done.name), found);
    const pure = work.filter(({ kind }) => kind === 'pure-step').map(({ name }) => name);
    reexecutedPure += pure.length - new Set(pure).size;
    const uses = usesIn(facts);
    checkUses(world, { runId, uses }, found);
    checkKept(facts, found);
    checkUndone(world, facts, found);
    checkNamed(world, { last: facts.at(-1), uses }, found);
    const isStraight = facts.every(({ type }) => type !== 'RunRewound');
    if (plan.kind === 'workflow' && isStraight)
      checkCausality(plan.operations, recorded, (message) => found(`${runId}: ${message}`));
  }
  return { findings, reexecutedPure };
}

function recordedWork(facts: readonly RecordedEvent[]): ReadonlyMap<string, Recorded> {
  const recorded = new Map<string, Recorded>();
  const nameOf = new Map<string, string>();
  const note = (name: string, change: Partial<Recorded>): void =>
    void recorded.set(name, { ...(recorded.get(name) ?? { intended: undefined, ended: undefined }), ...change });
  const begin = (name: string, event: RecordedEvent): void => note(name, { intended: recorded.get(name)?.intended ?? event });
  for (const event of facts) {
    const data = event.data as Readonly<Record<string, unknown>> & { readonly call?: string };
    const call = data.call ?? '';
    switch (event.type) {
      case 'EffectIntended':
        // What undoes is another use, of the same arguments.
        if (data['undoes'] !== undefined) break;
        nameOf.set(call, String((data['args'] as { id?: unknown } | null)?.id ?? call));
        begin(nameOf.get(call) ?? call, event);
        break;
      case 'ModelCallIntended':
        nameOf.set(call, `turn-${String(data['turn'])}`);
        begin(nameOf.get(call) ?? call, event);
        break;
      // From here on it may be done again.
      case 'RunRewound':
        for (const [name, { ended }] of recorded)
          if ((ended?.revision ?? 0) > Number(data['to'])) note(name, { ended: undefined });
        break;
      case 'EffectConfirmed':
      case 'ModelCallCompleted':
        note(nameOf.get(call) ?? call, { ended: event });
        break;
      case 'StepsRecorded':
        for (const entry of data['entries'] as readonly { type: string; name?: string }[])
          if (entry.type === 'step') note(entry.name ?? '', { ended: event });
    }
  }
  return recorded;
}

/** The clock of the log counts whole milliseconds. */
const GRAIN_MS = 1;

function checkAgain(done: WorkDone, recorded: Recorded | undefined, found: (message: string) => void): void {
  const { kind, runId, name, epoch, process, atMs } = done;
  const what = `${process} ran ${kind} ${name} of ${runId} at epoch ${epoch ?? 'none'}, ${atMs.toFixed(1)} ms`;
  const isIntended = kind === 'tool' || kind === 'model';
  if (isIntended && (recorded?.intended === undefined || virtualMs(recorded.intended) > atMs + GRAIN_MS))
    found(`${what}, before its intention was recorded`);
  const ended = recorded?.ended;
  if (ended === undefined || epoch === undefined || atMs <= virtualMs(ended) + GRAIN_MS) return;
  const { report } = ended.metadata as { report?: { epoch: number } };
  // A worker that has not noticed yet that another has taken over is a zombie: what it does was begun before.
  if (epoch >= (report?.epoch ?? 0)) found(`${what}, after its result was recorded in epoch ${report?.epoch ?? 'none'}`);
}

function virtualMs({ recordedAtMs }: RecordedEvent): number {
  return recordedAtMs - EPOCH_MS;
}

const EPOCH_MS = 1_767_225_600_000;

interface UsesOfRun {
  readonly runId: string;
  readonly uses: readonly Use[];
}

/** Everything was done under an intention of its own, and at most once; and what is confirmed was done. */
function checkUses(world: OuterWorld, { runId, uses }: UsesOfRun, found: (message: string) => void): void {
  const keys = new Set(uses.map(({ key }) => key));
  const executions = new Set(uses.flatMap((use) => use.executions));
  for (const [key, { id }] of world.effects)
    if (id.startsWith(`${runId}/`) && !keys.has(key)) found(`${id} was asked for under the key ${key}, which no fact names`);
  for (const [execution, { use }] of world.moves)
    if (use.startsWith(`${runId}/`) && !executions.has(execution))
      found(`${use} was moved by ${execution}, which nobody let begin`);
  for (const use of uses) {
    const moves = use.executions.filter((execution) => world.moves.has(execution)).length;
    if (moves > 1) found(`${use.key} was moved ${moves} times`);
    if (use.isConfirmed && use.effectClass !== 'pure' && world.resultOf(use) === undefined)
      found(`${use.key} is confirmed, and was not done under its key`);
  }
}

/** What was begun before the revision that a run goes back to, and has happened since, is not done again. */
function checkKept(facts: readonly RecordedEvent[], found: (message: string) => void): void {
  for (const back of facts.filter(({ type }) => type === 'RunRewound')) {
    const { to, branch } = back.data as { readonly to: number; readonly branch: number };
    const since = facts.filter(({ revision }) => revision > to && revision < back.revision);
    const before = usesIn(facts.filter(({ revision }) => revision <= to)).filter((use) => use.branch < branch);
    for (const { key, isUnderWay } of usesIn(facts.filter(({ revision }) => revision < back.revision)))
      if (isUnderWay) found(`${key} was under way when its run went back to ${to}`);
    for (const { call, effectClass, branch: of } of before) {
      const isEnded = since.some(
        ({ type, data, metadata }) =>
          type === 'EffectConfirmed' && (data as Data)['call'] === call && (metadata as Data)['branch'] === of,
      );
      const isAgain = facts.some(
        ({ type, data, revision, metadata }) =>
          type === 'EffectIntended' &&
          revision > back.revision &&
          (data as Data)['call'] === call &&
          (metadata as Data)['branch'] === branch,
      );
      if (isEnded && isAgain && effectClass !== 'pure')
        found(`${call} has happened since ${to}, and is done again by ${back.revision}`);
    }
  }
}

type Data = Readonly<Record<string, unknown>>;

/** What the log says is undone was undone in the world, and nothing else. */
function checkUndone(world: OuterWorld, facts: readonly RecordedEvent[], found: (message: string) => void): void {
  const [first] = facts;
  if (first === undefined) return;
  const { tenant, runId } = runStream.parse(first.stream);
  const undone = new Set<string>();
  for (const key of world.undone.keys()) {
    // The branch stands between the run and the call.
    const [ofTenant, ofRun, , call = ''] = key.split('/');
    if (ofTenant === tenant && ofRun === runId) undone.add(call);
  }
  const intended = new Set(facts.map(({ data }) => (data as { undoes?: string }).undoes));
  for (const { type, data } of facts) {
    const { call = '' } = data as { call?: string };
    if (type === 'EffectCompensated' && !undone.has(call)) found(`${runId} says that ${call} is undone, and it was not`);
  }
  for (const call of undone) if (!intended.has(call)) found(`${call} of ${runId} was undone, and no fact says that it was to be`);
}

interface AtTheEnd {
  readonly last: RecordedEvent | undefined;
  readonly uses: readonly Use[];
}

/** The end of a run that did not complete names whatever it has done in the world. */
function checkNamed(world: OuterWorld, { last, uses }: AtTheEnd, found: (message: string) => void): void {
  if (last === undefined || !UNDOING_ENDS.has(last.type)) return;
  const { effects } = last.data as { readonly effects?: EffectsLeft };
  if (effects?.staysBeyond !== undefined) return;
  const named = new Set(
    [effects?.undone, effects?.notUndone, effects?.stays, effects?.unknown].flatMap(
      (list) => list?.map(({ call }) => call) ?? [],
    ),
  );
  for (const use of uses)
    if (use.effectClass !== 'pure' && world.resultOf(use) !== undefined && !named.has(use.name))
      found(`${use.key} was done, and the end of its run does not name ${use.name}`);
}

const UNDOING_ENDS: ReadonlySet<string> = new Set(['RunFailed', 'RunCancelled', 'RunTimedOut']);

/** Whatever is recorded was made from what is recorded before it: nothing outside rests on what a crash could take away. */
function checkCausality(
  operations: readonly Operation[],
  recorded: ReadonlyMap<string, Recorded>,
  found: (message: string) => void,
): void {
  const walk = (list: readonly Operation[], before: readonly string[]): string[] => {
    const causes = [...before];
    for (const operation of list) {
      if (operation.do === 'all') {
        causes.push(...operation.branches.flatMap((branch) => walk(branch, causes).slice(causes.length)));
        continue;
      }
      if (operation.do !== 'step' && operation.do !== 'tool') continue;
      const name = operation.do === 'step' ? operation.name : operation.id;
      const facts = recorded.get(name);
      const revision = facts?.intended?.revision ?? facts?.ended?.revision;
      if (revision !== undefined) {
        const missing = causes.find((cause) => (recorded.get(cause)?.ended?.revision ?? Number.POSITIVE_INFINITY) > revision);
        if (missing !== undefined) found(`${name} is recorded at revision ${revision}, before ${missing}, which it rests on`);
      }
      causes.push(name);
    }
    return causes;
  };
  walk(operations, []);
}
