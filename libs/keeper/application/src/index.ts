export { CHECKPOINT_EVERY_MS, CHECKPOINT_FACTS, LogFollower, type FollowerPorts } from './log-follower';
export { CHECKPOINT_EVENT_TYPE, KEEPER_TENANT, POINTERS_KEPT, keeperStream } from './keeper-stream';
export { PromiseIndex, type OpenEntry, type PromiseKey, type Source, type ValueCodec } from './promise-index';
export { TOMBSTONES_MAX, Tombstones } from './tombstones';
export { followHints } from './fact-hints';
export { RunCommands, type Reply } from './run-commands';
