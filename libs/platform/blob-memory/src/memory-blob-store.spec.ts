import { describeBlobStore } from '@perdure/testing';
import { MemoryBlobStore } from './memory-blob-store';

describeBlobStore('MemoryBlobStore', async () => new MemoryBlobStore());
