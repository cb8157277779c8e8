import { errorRecordOf, type Bus, type ErrorRecord, type Host } from '@perdure/kernel';
import { answer, requestSubject, type CommandEnvelopeInput, type RunAddress } from '@perdure/run-contract';

/** What became of a command to the owner of a run. `unanswered`: it may have been handled, send the identical envelope again. */
export type Reply =
  | { readonly status: 'accepted'; readonly value: unknown }
  | { readonly status: 'refused'; readonly error: ErrorRecord }
  | { readonly status: 'unanswered'; readonly reason: string };

/** How a keeper closes a promise: by a command to the owner of the run, never by an append of its own. */
export class RunCommands {
  constructor(
    private readonly ports: { readonly bus: Bus; readonly host: Host },
    /** Named as the actor. */
    private readonly service: string,
  ) {}

  /** Made once for each promise kept: a repeat must be identical. */
  envelope(command: CommandEnvelopeInput['command']): string {
    const envelope: CommandEnvelopeInput = {
      v: 1,
      id: this.ports.host.entropy.uuid(),
      actor: { kind: 'service', id: this.service },
      command,
    };
    return JSON.stringify(envelope);
  }

  /** Never throws. The request leaves before this returns: no timer and no turn lies between. */
  async send(address: RunAddress, envelope: string, timeoutMs: number): Promise<Reply> {
    try {
      const text = await this.ports.bus.request(requestSubject.build(address), envelope, { timeoutMs });
      const parsed = answer.safeParse(JSON.parse(text));
      if (!parsed.success) return { status: 'unanswered', reason: `not an answer: ${parsed.error.message.slice(0, 200)}` };
      if (parsed.data.ok) return { status: 'accepted', value: parsed.data.value };
      return { status: 'refused', error: recordOf(parsed.data.error) };
    } catch (error) {
      return { status: 'unanswered', reason: errorRecordOf(error).message };
    }
  }
}

/** Zod says `undefined` where we say "absent". */
function recordOf(parsed: {
  code: string;
  message: string;
  reaction: ErrorRecord['reaction'];
  retryAfterMs?: number | undefined;
}): ErrorRecord {
  const { code, message, reaction, retryAfterMs } = parsed;
  return { code, message, reaction, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}
