import { dueIndexContract } from '@perdure/testing';
import { MemoryDueIndex } from './memory-due-index';

dueIndexContract('MemoryDueIndex', async () => {
  const index = new MemoryDueIndex();
  return { index, reopen: async () => index, stop: async () => undefined };
});
