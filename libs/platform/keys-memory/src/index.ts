export { MemoryKeyRing } from './memory-key-ring';
