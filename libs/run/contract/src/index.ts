export * from './answers';
export * from './commands';
export * from './events';
export * from './limits';
export * from './names';
export * from './published';
export * from './rejections';
export * from './values';
