export * from './approvals';
export * from './manifest';
export * from './names';
export * from './requirement';
