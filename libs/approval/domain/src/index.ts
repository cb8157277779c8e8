export * from './judge-decision';
