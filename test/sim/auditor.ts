import { runAddress, runStream, type RunAddress } from '@perdure/run-contract';
import type { RunState } from '@perdure/run-domain';
import {
  auditCompletelyPublished,
  auditPublication,
  auditRun,
  differenceFromLog,
  oracleOf,
  type Finding,
} from '@perdure/testing';
import { checkApprovals } from './approvals-check';
import { checkAnswers } from './answers-check';
import { takesOver } from './builds';
import { LogView } from './log-view';
import { SLOTS, TENANT, type Role } from './roles';
import type { Story } from './story';
import { usesIn, type Use } from './uses';
import { auditWork } from './work-audit';

const SAMPLE_EVERY_MS = 400;
const MARK_STREAM = 'keeper-published';
const FINDINGS_MAX = 12;

/** Looks for breaches of the invariants: while the story goes on, and when it is over. */
export class Auditor {
  private readonly log: LogView;
  /** Revisions of live states that were compared already, by process and run. */
  private readonly compared = new Map<string, number>();

  constructor(private readonly story: Story) {
    this.log = new LogView(story.premises.store);
  }

  watch(): void {
    const { simulation, premises } = this.story;
    premises.broker.exchanges.add(checkAnswers(simulation, this.log));
    this.sampleLater();
  }

  /** Runs that wait for a person. */
  pausedRuns(): readonly string[] {
    return this.story.wishes.map(({ runId }) => runId).filter((runId) => this.statusOf(runId) === 'paused');
  }

  /** What persons are asked, and nobody has answered. */
  questions(): readonly { readonly runId: string; readonly use: Use }[] {
    return this.story.wishes.flatMap(({ runId }) =>
      usesIn(this.log.of(runStream.build(runAddress(TENANT, runId))))
        .filter(({ isQuestioned }) => isQuestioned)
        .map((use) => ({ runId, use })),
    );
  }

  /** What waits for a person to have it tried again. */
  deadLetters(): readonly { readonly runId: string; readonly call: string }[] {
    return this.story.wishes.flatMap(({ runId }) => {
      const open = new Set<string>();
      for (const { type, data } of this.log.of(runStream.build(runAddress(TENANT, runId)))) {
        const { call = '' } = data as { readonly call?: string };
        if (type === 'EffectDeadLettered') open.add(call);
        else if (type === 'EffectRedriven') open.delete(call);
      }
      return [...open].map((call) => ({ runId, call }));
    });
  }

  /** @returns how many pure steps were run again */
  conclude(): number {
    const { simulation, premises, faults, wishes } = this.story;
    const work = auditWork(premises.world, this.log, wishes);
    const storedAtMs = (id: string): number | undefined => {
      const stored = premises.broker.everStored.get(id);
      return stored === undefined ? undefined : simulation.epochMs + stored.atMs;
    };
    // An append that lands after the death of its sender was acknowledged to nobody: its successor may have gone over the log before.
    const facts = this.log.facts().filter(({ id }) => premises.store.acknowledged.has(id));
    const clockSkewMs = 2 * faults.drawnSettings.skewMaxMs;
    const findings = [
      ...this.log.runs().flatMap(([, events]) => auditRun(events, { clockSkewMs, takesOver })),
      ...work.findings,
      ...checkApprovals(this.log),
      ...auditPublication({ facts, marks: this.log.of(MARK_STREAM), storedAtMs }),
      ...(this.story.planner?.conclude() ?? []),
      ...this.liveness(),
      ...(this.story.allEnded ? [...auditCompletelyPublished({ facts, storedAtMs }), ...this.atRest()] : []),
    ];
    for (const { invariant, message } of findings.slice(0, FINDINGS_MAX)) simulation.violate(invariant, message);
    return work.reexecutedPure;
  }

  private sampleLater(): void {
    const { simulation } = this.story;
    simulation.at(
      SAMPLE_EVERY_MS,
      () => {
        for (const role of this.story.roles.values()) if (role.process.alive) this.sample(role);
        this.sampleLater();
      },
      { label: 'sample' },
    );
  }

  /** I2: what an owner believes of a run is what the log says of it. */
  private sample({ process, owner }: Role): void {
    const actors = owner?.['runs']['actors'] as
      ReadonlyMap<string, { readonly state: RunState | undefined; readonly address: RunAddress }> | undefined;
    for (const actor of actors?.values() ?? []) {
      const { state, address } = actor;
      const key = `${process.name} ${address.runId}`;
      if (state === undefined || this.compared.get(key) === state.revision) continue;
      this.compared.set(key, state.revision);
      const difference = differenceFromLog(state, this.log.of(runStream.build(address)));
      if (difference !== undefined)
        this.story.simulation.violate(
          'I2',
          `${process.name} holds ${address.runId} at revision ${state.revision}: ${difference}`,
        );
    }
  }

  /** I6: nothing that was accepted stands still, and code that does the same every time does not diverge. */
  private liveness(): readonly Finding[] {
    const diverged = this.log.facts().filter(({ type }) => type === 'CodeDiverged');
    const stuck = this.story.wishes.filter(({ runId }) => !this.story.client.ended.has(runId));
    return [
      ...diverged.map(({ stream, data }) => ({ invariant: 'I6', message: `${stream} diverged: ${JSON.stringify(data)}` })),
      ...stuck.map(({ runId }) => ({ invariant: 'I6', message: `${runId} has not ended; it is ${this.statusOf(runId)}` })),
    ];
  }

  /** I6: with every run at its end, nothing is held, and nothing is waited for. */
  private atRest(): readonly Finding[] {
    const findings: Finding[] = [];
    const found = (message: string): void =>
      void findings.push({ invariant: 'I6', message: `every run has ended, and ${message}` });
    for (const { process, admission, engine, timers, schedules, owner } of this.story.roles.values()) {
      if (!process.alive) continue;
      if (admission !== undefined && admission.permitsHeld !== 0)
        found(`${process.name} counts ${admission.permitsHeld} permits as held`);
      if (engine !== undefined && engine.status().freeSlots !== SLOTS)
        found(`${process.name} holds ${engine.status().activations.join(', ')}`);
      if (engine !== undefined && engine.status().freeToolSlots !== SLOTS) found(`${process.name} executes something`);
      if (timers !== undefined && timers.pending !== 0) found(`${process.name} keeps ${timers.pending} timers`);
      const awaited = schedules?.index['waiting'].size ?? 0;
      if (awaited > 0) found(`${process.name} waits for ${awaited} runs of schedules`);
      const open = owner === undefined ? [] : [...owner.keeper.open()];
      if (open.length > 0) found(`${process.name} counts ${open.map(({ address }) => address.runId).join(', ')} as open`);
    }
    return findings;
  }

  private statusOf(runId: string): string {
    const facts = this.log.of(runStream.build(runAddress(TENANT, runId)));
    return facts.length === 0 ? 'not requested' : oracleOf(facts).status;
  }
}
