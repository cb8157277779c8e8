import type { ErrorRecord } from '@perdure/kernel';
import type { Answer, CommandEnvelope, Executor, RunAddress, RunCommandOf } from '@perdure/run-contract';
import { claimAnswerOf, isOpen } from '@perdure/run-domain';
import { NO_CODE } from './code-book';
import { accepted, refused } from './request';
import { codeStamp, type Judged } from './run.actor';
import type { DeskPorts, SubmittedJob } from './run-desk';

type Of<T extends 'ClaimEffect' | 'ReportEffect'> = RunCommandOf<T>;

/** A worker may be known to the owner by its next heartbeat only: half a second, and a little. */
const KNOWN_WITHIN_MS = 600;

/**
 * What workers that execute effects for others ask. They are who the owner's own registry says that they are: a live session
 * of a pool, with the build of its heartbeats. Nothing of that is taken from the request; and who shows no ticket of an offer
 * only pretends to be that session.
 */
export class PooledDesk {
  constructor(
    private readonly ports: DeskPorts,
    private readonly submit: (address: RunAddress, job: SubmittedJob) => Promise<Judged>,
  ) {}

  async claim(address: RunAddress, envelope: CommandEnvelope, command: Of<'ClaimEffect'>): Promise<Answer> {
    const judged = await this.judge(address, envelope, command);
    if ('error' in judged) return refused(judged.error);
    return judged.accepted ? accepted(claimAnswerOf(command, judged.state)) : refused(judged.rejection);
  }

  async report(address: RunAddress, envelope: CommandEnvelope, command: Of<'ReportEffect'>): Promise<Answer> {
    const judged = await this.judge(address, envelope, command);
    if ('error' in judged) return refused(judged.error);
    return judged.accepted ? accepted({}) : refused(judged.rejection);
  }

  private async judge(
    address: RunAddress,
    envelope: CommandEnvelope,
    command: Of<'ClaimEffect'> | Of<'ReportEffect'>,
  ): Promise<Judged | { readonly error: ErrorRecord }> {
    const executor = this.executorOf(address, command);
    if (executor === undefined) return { error: this.strange(command) };
    const { runs, code: book } = this.ports;
    const state = await runs.of(address).settled();
    const code = isOpen(state) ? await book.ofExecutor(address.tenant, state, executor.buildId) : NO_CODE;
    const isOffered = this.ports.offers().wasOffered(address, command);
    const asked = { ...command, executor, isOffered };
    return this.submit(address, { envelope, command: asked, code, codeStamp: codeStamp(state) });
  }

  private executorOf({ tenant }: RunAddress, session: Of<'ClaimEffect'> | Of<'ReportEffect'>): Executor | undefined {
    const beat = this.ports.workers().beatOf(session);
    if (beat?.tenant !== tenant) return undefined;
    const { pool, workerId, sessionId, buildId } = beat;
    return { pool, workerId, sessionId, buildId, ticketHash: this.ports.host.digest.sha256(session.ticket) };
  }

  private strange(session: Of<'ClaimEffect'> | Of<'ReportEffect'>): ErrorRecord {
    const { workerId } = session;
    if (this.ports.workers().isAlive(session) === false) {
      const message = `${workerId} is no live worker by its heartbeats, so it may not act for any effect. Start it again.`;
      return { code: 'NotTheExecutor', message, reaction: 'terminal', details: { workerId } };
    }
    const message = `${workerId} has not been heard of yet. Ask again after the next heartbeat.`;
    return { code: 'NotTheExecutor', message, reaction: 'retryable', retryAfterMs: KNOWN_WITHIN_MS };
  }
}
