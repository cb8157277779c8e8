export type { DueChanges, DueIndex, DueRange, OpenTimer } from './due-index';
