export * from './inbox';
export * from './requests';
