import { ProtoWriter } from './protobuf';
import { decodeRecordedEvent } from './raw-event';

const ID = '0a1b2c3d-4e5f-8607-9788-99aabbccddee';

/** As servers write it; the id in either of its forms. */
function recorded(id: (uuid: ProtoWriter) => void, revision = '7'): Buffer {
  const property = (writer: ProtoWriter, key: string, value: string): ProtoWriter =>
    writer.message(6, (entry) => entry.text(1, key).text(2, value));
  const writer = new ProtoWriter()
    .message(1, id)
    .message(2, (stream) => stream.text(3, 'run-é'))
    .unsignedText(3, revision)
    .unsignedText(4, '18446744073709551614')
    .unsignedText(5, '18446744073709551615');
  property(property(property(writer, 'type', 'Happened'), 'content-type', 'application/json'), 'created', '17672256000000001');
  return writer.text(7, '{"m":1}').text(8, '{"d":1}').finish();
}

describe('a recorded event', () => {
  it('is read with its bytes and its place', () => {
    const { data, metadata, ...rest } = decodeRecordedEvent(recorded((uuid) => uuid.text(2, ID)));
    expect([data.toString(), metadata.toString()]).toEqual(['{"d":1}', '{"m":1}']);
    expect(rest).toEqual({
      stream: 'run-é',
      revision: 7,
      isTombstone: false,
      id: ID,
      type: 'Happened',
      contentType: 'application/json',
      createdTicks: '17672256000000001',
      position: '18446744073709551615',
      prepare: '18446744073709551614',
    });
  });

  it('has the same id when that comes as two numbers', () => {
    const halves = (uuid: ProtoWriter): void => {
      uuid.message(1, (both) => both.unsignedText(1, String(0x0a1b2c3d4e5f8607n)).unsignedText(2, String(0x978899aabbccddeen)));
    };
    expect(decodeRecordedEvent(recorded(halves)).id).toBe(ID);
  });

  it('is a tombstone at the highest revision', () => {
    const event = decodeRecordedEvent(recorded((uuid) => uuid.text(2, ID), '9223372036854775807'));
    expect(event).toMatchObject({ isTombstone: true, revision: -1 });
  });
});
