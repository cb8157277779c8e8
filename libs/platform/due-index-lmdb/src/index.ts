export { LmdbDueIndex, type LmdbDueIndexOptions } from './lmdb-due-index';
