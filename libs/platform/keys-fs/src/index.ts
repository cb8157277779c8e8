export { FileKeyRing, type FileKeyRingOptions } from './file-key-ring';
export { KEY_CACHE_MS } from './key-cache';
