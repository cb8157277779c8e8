export * from './command-relay';
export * from './fact-publisher';
export * from './ports';
export * from './request';
export { momentAt, type Moment } from './run-history';
export * from './run.codec';
export * from './run.owner';
export * from './run.reader';
export * from './worker-registry';
