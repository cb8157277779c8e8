export { Cancelled, PerdureError, Retryable, Terminal } from '@perdure/kernel';
export { aiSdkModel, type AiSdkModelOptions, type ModelPrices } from './adapters/ai-sdk';
export type { Approval, ApprovalLine, ApprovalStatus, Task, TaskLine, TaskPage, TaskStatus } from '@perdure/approval-contract';
export { askPerson, type AskPersonOptions } from './ask-person';
export { agent, type AgentOptions } from './agent';
export {
  approverKey,
  type Agreement,
  type Approvals,
  type ApprovalsWanted,
  type BallotKey,
  type Denial,
  type Identified,
} from './approvals';
export {
  Client,
  type ClientOptions,
  type EffectResolution,
  type ForkOptions,
  type InputOf,
  type OutputOf,
  type RewindWhere,
  type RunHandle,
  type StartOptions,
  type StateQuery,
} from './client';
export type { AskOptions, AskTerms, Assignee, Duration, OnExpiry } from './engine/asking';
export type { ConnectionOptions } from './connection';
export type {
  Agent,
  Behaviour,
  BehaviourLimits,
  Callback,
  ChildOf,
  ChildOptions,
  Compensation,
  Message,
  Model,
  ModelPrompt,
  ModelReply,
  ModelRequest,
  ModelTool,
  OutputPrompt,
  PollOptions,
  Probed,
  ProbeScope,
  Received,
  StepOptions,
  StepScope,
  Tool,
  ToolScope,
  TypedReply,
  Waited,
  WaitOptions,
  Workflow,
  WorkflowContext,
} from './engine/definitions';
export type {
  FiringLine,
  FiringList,
  OverlapPolicy,
  ScheduleChanged,
  ScheduleLine,
  ScheduleList,
  ScheduleView,
} from '@perdure/schedule-contract';
export type { ScheduleDefinition, Schedules } from './schedules';
export { longTask, type LongTaskOptions } from './long-task';
export { remoteTool, type RemoteToolOptions } from './remote-tool';
export type { LimitOptions } from './policies';
export { ruleModel, type RuleDecision, type RuleModelOptions } from './rule-model';
export type { TokenEvent } from './tokens/token-merge';
export type { TokensOptions } from './tokens/token-reader';
export { subagent, type SubagentOptions } from './subagent';
export { supervise, type RestartPolicy } from './supervise';
export type { TaskNamed, Tasks, TasksWanted } from './tasks';
export { tool, type ToolOptions } from './tool';
export { workflow, type WorkflowOptions } from './workflow';
export { defaultWorkerId, Worker, type WorkerOptions } from './worker';
// What a worker is made of, without its connections: what the simulator runs.
export { dryReplay, type DryEnd } from './engine/dry-replay';
export type { OnUserCode } from './engine/execution';
export { HeartbeatLoop } from './engine/heartbeat';
export { WorkerEngine } from './engine/worker-engine';
export { manifestOf, offerOf } from './manifest';
