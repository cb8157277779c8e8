export * from './inbox';
export * from './requests';
export * from './tasks';
