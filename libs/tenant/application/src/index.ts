export * from './build-catalogue';
