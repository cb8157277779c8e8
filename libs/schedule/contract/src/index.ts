export * from './answers';
export * from './events';
export * from './limits';
export * from './names';
export * from './requests';
export * from './spec';
export * from './times';
