export { MemoryDueIndex } from './memory-due-index';
