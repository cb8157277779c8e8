export * from './build-catalogue';
export * from './tenant-desk';
