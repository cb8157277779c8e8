import { fitsInto, MESSAGE_BYTES_MAX, utf8Bytes } from '@perdure/kernel';
import { TOLD_BYTES, type Activate, type InboundMessage } from '@perdure/run-contract';

type Told = Activate | InboundMessage;

/**
 * The messages in which a worker is told of its run, as JSON, to be sent in this order. Each fact and each instruction
 * stands for itself, so that what does not fit into one message follows in the next.
 */
export function toldInParts(told: Told): readonly string[] {
  const whole = JSON.stringify(told);
  if (fitsInto(MESSAGE_BYTES_MAX, whole)) return [whole];
  const parts: Told[] = [];
  let part: Told = { ...told, inbound: [], instructions: [] };
  let bytes = utf8Bytes(JSON.stringify(part));
  const roomFor = (news: unknown): void => {
    const more = utf8Bytes(JSON.stringify(news));
    if (bytes + more > TOLD_BYTES) {
      parts.push(part);
      part = following(told);
      bytes = 0;
    }
    bytes += more;
  };
  for (const fact of told.inbound) {
    roomFor(fact);
    part.inbound.push(fact);
  }
  for (const instruction of told.instructions) {
    roomFor(instruction);
    part.instructions.push(instruction);
  }
  return [...parts, part].map((each) => JSON.stringify(each));
}

function following({ tenant, runId, epoch, cancelRequested, pauseRequested }: Told): InboundMessage {
  const pause = pauseRequested === undefined ? {} : { pauseRequested };
  return { type: 'inbound', v: 1, tenant, runId, epoch, inbound: [], instructions: [], cancelRequested, ...pause };
}
