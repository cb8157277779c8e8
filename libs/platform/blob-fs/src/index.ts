export { ensureFolder, isMissing, reached, syncFolder, writeDurably } from './durable-files';
export { FileBlobStore, type FileBlobStoreOptions } from './file-blob-store';
export { loadOrCreateKey } from './installation-key';
