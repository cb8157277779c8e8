/** What a service asks Nest for; each is a port of the kernel, given by PlatformModule. */
export const HOST = Symbol('Host');
export const BUS = Symbol('Bus');
/** What BUS, FACT_BUS, COMMAND_BUS and the key-value buckets are parts of. */
export const BUS_CONNECTION = Symbol('BusConnection');
export const FACT_BUS = Symbol('FactBus');
export const COMMAND_BUS = Symbol('CommandBus');
/** Instance leases: gone when nobody renews them. */
export const KEY_VALUE_LEASES = Symbol('KeyValue leases');
/** The partition map. */
export const KEY_VALUE_MAP = Symbol('KeyValue partition map');
export const EVENT_STORE = Symbol('EventStore');
export const BLOB_STORE = Symbol('BlobStore');
/** Undefined when sealing is off. */
export const KEY_RING = Symbol('KeyRing');
/** The one follower of the process; modules register their keepers in their constructors. */
export const LOG_FOLLOWER = Symbol('LogFollower');
export const PLATFORM_CONFIG = Symbol('PlatformConfig');
