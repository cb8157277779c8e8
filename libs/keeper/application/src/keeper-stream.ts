import { token } from '@perdure/kernel';

/** Checkpoint pointers of one keeper; the store keeps the last two. */
export const keeperStream = {
  build: (keeperName: string): string => `keeper-${token(keeperName, 'keeper name')}`,
};

/** Two pointers: when the blob of the newest one is damaged, the one before it still serves. */
export const POINTERS_KEPT = 2;

/** Indexes belong to the installation: tenant names that begin with an underscore are reserved for it. */
export const KEEPER_TENANT = '_keepers';

export const CHECKPOINT_EVENT_TYPE = 'KeeperCheckpointed';
