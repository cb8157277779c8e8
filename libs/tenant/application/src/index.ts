export { ApprovalBook, type ApprovalBookPorts } from './approval-book';
export { ApprovalChanges } from './approval-changes';
export * from './build-catalogue';
export * from './tenant-desk';
