import { canonicalJson, type Bus } from '@perdure/kernel';
import { requestSubject, runAddress, type Answer, type RunView } from '@perdure/run-contract';
import type { SeededRandom, SimProcess, Simulation } from '@perdure/testing';
import { expectedOutput, isMisguided, type Plan } from './program';
import { TENANT } from './roles';

/** One run that somebody wants. */
export interface Wish {
  readonly runId: string;
  readonly plan: Plan;
  readonly startAtMs: number;
  readonly deadlineMs: number | undefined;
  /** After its start was accepted. */
  readonly cancelAfterMs: number | undefined;
  /** After its start was accepted; the operator ends every pause. */
  readonly pauseAfterMs: number | undefined;
  /** After its start was accepted, somebody goes back to this revision, if it is one by then, or to where the run stands. */
  readonly rewind: { readonly afterMs: number; readonly to: number | 'head' } | undefined;
  /** After its start was accepted, somebody lets a certain build go on with it. */
  readonly repin: { readonly afterMs: number; readonly buildId: string } | undefined;
  /** After its start was accepted; each is sent again, by somebody who did not hear the answer. */
  readonly signals: readonly { readonly name: string; readonly payload: number; readonly afterMs: number }[];
  /** The same start again, by somebody who did not hear the answer. */
  readonly repeatAfterMs: number | undefined;
}

const REQUEST_TIMEOUT_MS = 1_500;
const HOLD_MS = 2_000;
const PAUSE_MS = 100;
const REWIND_REFUSALS: ReadonlySet<string> = new Set(['NoSuchRevision', 'EffectsUnsettled', 'CancelUnderWay', 'RunAlreadyEnded']);

/** A caller: asks for runs, repeats itself until answered, and compares what it gets with what it must get. */
export class Client {
  readonly accepted = new Set<string>();
  readonly cancelsAccepted = new Set<string>();
  readonly ended = new Map<string, RunView>();
  private readonly answers = new Map<string, string>();
  private readonly resuming = new Set<string>();
  private readonly resolving = new Set<string>();

  constructor(
    private readonly ports: { readonly process: SimProcess; readonly bus: Bus },
    private readonly random: SeededRandom,
  ) {}

  private get simulation(): Simulation {
    return this.ports.process.simulation;
  }

  begin(wishes: readonly Wish[]): void {
    for (const wish of wishes) this.ports.process.schedule(wish.startAtMs, `wishes ${wish.runId}`, () => void this.live(wish));
  }

  /** Once at a time: what is not answered yet is under way. */
  async resume(runId: string): Promise<void> {
    if (this.resuming.has(runId)) return;
    this.resuming.add(runId);
    await this.ask(runId, this.envelope({ type: 'ResumeRun', reason: 'the operator has looked at it' }));
    this.resuming.delete(runId);
  }

  /** Until it is accepted, or somebody has found out otherwise. */
  async resolve({ runId, call, result }: { runId: string; call: string; result: number | undefined }): Promise<void> {
    const key = `${runId} ${call}`;
    if (this.resolving.has(key)) return;
    this.resolving.add(key);
    const found = result === undefined ? { resolution: 'absent' } : { resolution: 'happened', result };
    await this.ask(runId, this.envelope({ type: 'ResolveEffect', call, ...found }));
    this.resolving.delete(key);
  }

  /** The attempts of an effect are exhausted: the operator has it tried again. */
  async redrive({ runId, call }: { runId: string; call: string }): Promise<void> {
    const key = `${runId} ${call}`;
    if (this.resolving.has(key)) return;
    this.resolving.add(key);
    await this.ask(runId, this.envelope({ type: 'RedriveEffect', call }));
    this.resolving.delete(key);
  }

  private async live(wish: Wish): Promise<void> {
    const { runId } = wish;
    const { kind, ...plan } = wish.plan;
    const start = {
      type: 'StartRun',
      kind,
      name: kind === 'agent' ? 'decide' : 'perform',
      input: plan,
      ...(wish.deadlineMs === undefined ? {} : { deadlineMs: wish.deadlineMs }),
    };
    const envelope = this.envelope(start);
    this.checkStart(runId, await this.ask(runId, envelope));
    this.accepted.add(runId);
    if (wish.cancelAfterMs !== undefined)
      this.ports.process.schedule(wish.cancelAfterMs, 'cancels', () => void this.cancel(runId));
    for (const signal of wish.signals)
      this.ports.process.schedule(signal.afterMs, `signals ${signal.name}`, () => void this.signal(runId, signal));
    if (wish.pauseAfterMs !== undefined) this.ports.process.schedule(wish.pauseAfterMs, 'pauses', () => void this.hold(runId));
    const { rewind, repin } = wish;
    if (rewind !== undefined)
      this.ports.process.schedule(rewind.afterMs, `goes back to ${rewind.to}`, () => void this.rewind(runId, rewind.to));
    if (repin !== undefined)
      this.ports.process.schedule(repin.afterMs, `pins it to ${repin.buildId}`, () => void this.repin(runId, repin.buildId));
    if (wish.repeatAfterMs !== undefined) {
      const again = this.random.chance(0.5) ? envelope : this.envelope(start);
      this.ports.process.schedule(
        wish.repeatAfterMs,
        'repeats its start',
        () => void this.ask(runId, again).then((answer) => this.checkStart(runId, answer)),
      );
    }
    this.judge(wish, await this.awaitEnd(runId));
  }

  private async cancel(runId: string): Promise<void> {
    const envelope = this.envelope({ type: 'CancelRun', reason: 'not wanted any more' });
    const first = await this.ask(runId, envelope);
    if (first.ok) this.cancelsAccepted.add(runId);
    const again = await this.ask(runId, envelope);
    if (first.ok && !again.ok) this.violate(runId, `a repeated cancel was refused as ${again.error.code}`);
  }

  private async signal(runId: string, { name, payload }: Wish['signals'][number]): Promise<void> {
    const envelope = this.envelope({ type: 'SignalRun', name, payload });
    for (let sent = 0; sent < 2; sent += 1) {
      const answer = await this.ask(runId, envelope);
      if (!answer.ok && answer.error.code !== 'RunAlreadyEnded')
        this.violate(runId, `the signal ${name} was refused as ${answer.error.code}`);
    }
  }

  /** Whether it is refused depends on how far the run is: it may have ended. */
  private async hold(runId: string): Promise<void> {
    await this.ask(runId, this.envelope({ type: 'PauseRun', reason: 'somebody wants to look at it' }));
  }

  /** Where it stands by then is chance: only that nobody forgets what it was asked is looked at. */
  private async rewind(runId: string, where: number | 'head'): Promise<void> {
    const to = where === 'head' ? await this.headOf(runId) : where;
    const answer = await this.ask(runId, this.envelope({ type: 'RewindRun', to, reason: 'it went the wrong way' }));
    if (!answer.ok && !REWIND_REFUSALS.has(answer.error.code))
      this.violate(runId, `going back was refused as ${answer.error.code}`);
  }

  private async headOf(runId: string): Promise<number> {
    const answer = await this.ask(runId, this.envelope({ type: 'GetRun' }));
    return answer.ok ? (answer.value as RunView).revision : 0;
  }

  /** Refused only if the run has ended, or no worker of the build has ever come up. */
  private async repin(runId: string, buildId: string): Promise<void> {
    const answer = await this.ask(runId, this.envelope({ type: 'RepinRun', buildId, reason: 'somebody has checked it' }));
    if (!answer.ok && answer.error.code !== 'RunAlreadyEnded' && answer.error.code !== 'UnknownBuild')
      this.violate(runId, `pinning it anew was refused as ${answer.error.code}`);
  }

  private checkStart(runId: string, answer: Answer): void {
    const text = canonicalJson(answer);
    const before = this.answers.get(runId) ?? text;
    this.answers.set(runId, before);
    if (!answer.ok) this.violate(runId, `the start was refused: ${text}`);
    else if (before !== text) this.violate(runId, `a repeated start was answered ${text}, before ${before}`);
  }

  private async awaitEnd(runId: string): Promise<RunView> {
    for (;;) {
      const answer = await this.ask(runId, this.envelope({ type: 'AwaitRun', holdMs: HOLD_MS }), HOLD_MS + 1_000);
      if (!answer.ok) {
        this.violate(runId, `an accepted run is not known: ${answer.error.code}`);
        await this.pause();
        continue;
      }
      const view = answer.value as RunView;
      if (view.status === 'ended') return view;
    }
  }

  private judge({ runId, plan, cancelAfterMs, deadlineMs }: Wish, view: RunView): void {
    this.ended.set(runId, view);
    const { outcome } = view;
    this.simulation.note(`${runId} ended ${outcome?.status ?? 'without outcome'}`);
    if (outcome?.status === 'completed') {
      if (isMisguided(plan)) this.simulation.violate('I13', `${runId} went on though its model asks for nothing that exists`);
      const [found, expected] = [canonicalJson(outcome.output), canonicalJson(expectedOutput(plan))];
      if (found !== expected) this.simulation.violate('I3', `${runId} came to ${found}, expected ${expected}`);
      return;
    }
    const isAllowed =
      (outcome?.status === 'failed' && outcome.error.code === 'InvalidToolArguments' && isMisguided(plan)) ||
      (outcome?.status === 'cancelled' && cancelAfterMs !== undefined) ||
      (outcome?.status === 'timed-out' && deadlineMs !== undefined);
    if (!isAllowed) this.simulation.violate('I3', `${runId} ended ${canonicalJson(outcome ?? null)}, expected to complete`);
  }

  /** Until answered: what is not known is asked again with the same bytes. */
  private async ask(runId: string, envelope: string, timeoutMs = REQUEST_TIMEOUT_MS): Promise<Answer> {
    for (;;) {
      try {
        const answer = JSON.parse(
          await this.ports.bus.request(requestSubject.build(runAddress(TENANT, runId)), envelope, { timeoutMs }),
        ) as Answer;
        // Nobody has registered yet: who asks so early asks again.
        const isEarly = !answer.ok && (answer.error.reaction === 'retryable' || answer.error.code === 'UnknownAgent');
        if (!isEarly) return answer;
      } catch {
        // No answer: that is what the loop is for.
      }
      await this.pause();
    }
  }

  private pause(): Promise<void> {
    return new Promise((resolve) => void this.ports.process.timers.after(PAUSE_MS * (0.5 + this.random.fraction()), resolve));
  }

  private envelope(command: Readonly<Record<string, unknown>>): string {
    return JSON.stringify({ v: 1, id: this.ports.process.entropy.uuid(), actor: { kind: 'user', id: 'somebody' }, command });
  }

  private violate(runId: string, message: string): void {
    this.simulation.violate('I1', `${runId}: ${message}`);
  }
}
