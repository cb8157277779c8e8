import { PerdureError, Retryable, type Bus } from '@perdure/kernel';
import { answer, commandSubject, requestSubject, type Answer } from '@perdure/run-contract';
import { parseRequest } from './request';

const REQUEST_TIMEOUT_MS = 5_000;

/**
 * Durable commands on their way to the owner of their run. They were stored by the broker when they were published;
 * they are acknowledged after their facts are appended, since the owner's answer says so.
 */
export class CommandRelay {
  constructor(private readonly bus: Bus) {}

  /**
   * @returns the owner's answer, also when it refuses: a refusal is an answer
   * @throws Terminal when this is no command at all; Retryable while the owner cannot be reached
   */
  async relay(subject: string, payload: string): Promise<Answer> {
    const address = commandSubject.parse(subject);
    const parsed = parseRequest(payload);
    if ('error' in parsed) throw PerdureError.fromRecord(parsed.error);
    const reply = await this.bus.request(requestSubject.build(address), payload, { timeoutMs: REQUEST_TIMEOUT_MS });
    const answered = answer.parse(JSON.parse(reply));
    if (!answered.ok && answered.error.reaction === 'retryable') {
      throw new Retryable(answered.error.code, answered.error.message, { retryAfterMs: answered.error.retryAfterMs ?? 0 });
    }
    return answered;
  }
}
