export * from './status';
export * from './terms';
