export { MalformedMessage, ProtoReader, ProtoWriter, fieldSize, putVarint, varintSize } from './protobuf';
export { type RawEvent, decodeRecordedEvent } from './raw-event';
