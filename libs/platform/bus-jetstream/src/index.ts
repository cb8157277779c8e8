export { connectBus, type BusConnection, type ConnectBusOptions } from './connect-bus';
export { disconnectFeed, type ClientDisconnected, type DisconnectFeedOptions } from './disconnect-feed';
export { CommandQueueFull } from './jetstream-command-bus';
export { BROKER_VERSION_MIN, EVENTS_AGE_MAX_MS, STORE_BYTES_MAX } from './limits';
export { natsServerConfig, newBrokerUsers, type BrokerUser, type BrokerUsers, type ServerConfigOptions } from './server-config';
export { COMMANDS_STREAM, DEAD_LETTERS_STREAM, EVENTS_STREAM, LEASES_BUCKET, MAP_BUCKET } from './streams';
export { deadLetterSubject } from './subjects';
