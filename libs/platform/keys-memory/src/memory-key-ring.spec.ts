import { describeKeyRing } from '@perdure/testing';
import { MemoryKeyRing } from './memory-key-ring';

describeKeyRing('MemoryKeyRing', async () => new MemoryKeyRing());
