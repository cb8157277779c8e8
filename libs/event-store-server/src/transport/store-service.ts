import type { StoreEngine } from '../engine/store-engine';
import type { StoreMetrics } from '../status/store-metrics';
import type { Authorization } from './authorization';

/** What the methods work on. */
export interface StoreService {
  readonly engine: StoreEngine;
  readonly authorization: Authorization;
  readonly metrics: StoreMetrics;
  readonly appendBytesMax: number;
}
