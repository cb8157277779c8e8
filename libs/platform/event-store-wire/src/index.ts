export { MalformedMessage, ProtoReader, ProtoWriter, fieldSize, putVarint, varintSize } from './protobuf';
