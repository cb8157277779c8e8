import { ProtoWriter } from '@perdure/platform-event-store-wire';
import { decodeConsumerMessage, decodeGroupRequest } from './persistent-requests';

// What the official client for Node does not send, and clients in other languages do.

function groupRequest(settings: (writer: ProtoWriter) => void, source: (writer: ProtoWriter) => void): Buffer {
  const options = (writer: ProtoWriter): void => {
    writer.text(2, 'workers').message(3, settings);
    source(writer);
  };
  return new ProtoWriter().message(1, options).finish();
}

const stream = (writer: ProtoWriter): void =>
  void writer.message(4, (inner) => inner.message(1, (name) => name.text(3, 'a')).uint(2, 7));

describe('a request for a group', () => {
  it('may name its strategy: then the number beside it does not count', () => {
    const { settings } = decodeGroupRequest(groupRequest((inner) => inner.uint(13, 1).text(16, 'PinnedByCorrelation'), stream));
    expect(settings.strategy).toBe('PinnedByCorrelation');
    expect(decodeGroupRequest(groupRequest((inner) => inner.uint(13, 2), stream)).settings.strategy).toBe('Pinned');
    expect(decodeGroupRequest(groupRequest((inner) => inner.uint(13, 3), stream)).settings.strategy).toBe('PinnedByCorrelation');
    expect(decodeGroupRequest(groupRequest((inner) => inner.uint(13, 9), stream)).settings.strategy).toBe('9');
  });

  it('may say where it starts beside the stream', () => {
    const request = decodeGroupRequest(groupRequest((inner) => inner.uint(2, 3), stream));
    expect(request).toMatchObject({ source: 'a', group: 'workers', settings: { start: { at: 7 } } });
  });

  it('may count time in ticks', () => {
    const { settings } = decodeGroupRequest(groupRequest((inner) => inner.uint(4, 300_000_000).uint(6, 20_000_000), stream));
    expect(settings).toMatchObject({ messageTimeoutMs: 30_000, checkpointAfterMs: 2000 });
  });

  it('keeps negative numbers recognisable', () => {
    const { settings } = decodeGroupRequest(groupRequest((inner) => inner.unsignedText(5, '18446744073709551615'), stream));
    expect(settings.maxRetryCount).toBe(-1);
  });
});

describe('what a consumer says', () => {
  it('may have ids as two numbers', () => {
    const ack = new ProtoWriter().message(2, (inner) =>
      inner.message(2, (id) => id.message(1, (halves) => halves.uint(1, 1).unsignedText(2, '18446744073709551615'))),
    );
    expect(decodeConsumerMessage(ack.finish())).toEqual({ kind: 'ack', ids: ['0000000000000001ffffffffffffffff'] });
  });

  it('may be nothing', () => {
    expect(decodeConsumerMessage(Buffer.alloc(0))).toBeUndefined();
  });
});
