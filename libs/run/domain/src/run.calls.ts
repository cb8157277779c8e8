import type { ErrorRecord } from '@perdure/kernel';
import type {
  EditedUse,
  EffectClass,
  EffectLimits,
  Executor,
  Exhaustion,
  ParentClosePolicy,
  RunLimits,
  ShownSignal,
} from '@perdure/run-contract';
import type { ToolApproval } from './approval/approval.state';
import type { RunTask } from './task/task.state';

/** The newest execution of an effect that must not be doubled, from its claim until it is known how it ended. */
export interface EffectExecution {
  readonly executionId: string;
  readonly startByMs: number;
  readonly overByMs: number;
  readonly hasProbe: boolean;
  /** Of a tool that has a pool of its own: the worker that claimed it. */
  readonly executor: Executor | undefined;
  readonly stage: 'under-way' | 'unknown' | 'probe-due' | 'in-question' | 'answered';
  /** The probe that is due or waits, from 1. */
  readonly probe: number;
  /** In question: what is not known, and why. Answered: by whom. */
  readonly note: string;
}

export interface OpenTool {
  readonly kind: 'tool';
  readonly call: string;
  readonly tool: string;
  readonly effectClass: EffectClass;
  /** Whose workers execute it; undefined: the worker that holds the run. */
  readonly pool: string | undefined;
  readonly args: unknown;
  /** Persons who have put these arguments in the place of those that were asked for. */
  readonly editedBy?: readonly string[];
  /** Of what was asked for. */
  readonly argsHash: string;
  readonly toolCallId: string | undefined;
  /** When the attempt, or the wait for it, began. */
  readonly sinceMs: number;
  /** The attempt that is under way or due, from 1. */
  readonly attempt: number;
  readonly waitsForRetry: boolean;
  /** Executions whose worker of the pool was lost, and that are made again. */
  readonly losses: number;
  readonly execution: EffectExecution | undefined;
  /** What its executions have said of how far they are: the newest. Absent when none has said anything. */
  readonly heartbeat?: { readonly attempt: number; readonly detail: unknown };
  /** Absent when it needs none. */
  readonly approval?: ToolApproval;
  /** What its tool asked the owner to see to; most ask nothing. */
  readonly limits: EffectLimits | undefined;
  /** The attempts that count for its retries: all of them, or those since it was re-driven. */
  readonly series: { readonly attemptsBefore: number; readonly sinceMs: number };
  /** Of the newest attempt that failed. */
  readonly lastError: ErrorRecord | undefined;
  /** Exhausted: a person has it tried again, or gives it up. */
  readonly deadLetter: { readonly because: Exhaustion } | undefined;
  /** What undoing it would do if it were repeated; undefined when nothing would undo it. */
  readonly compensation: { readonly effectClass: EffectClass } | undefined;
  /** The effect that it undoes. */
  readonly undoes: string | undefined;
}

/** What a model is told of arguments that are not its own. */
export function editedUseOf({ args, editedBy }: Pick<OpenTool, 'args' | 'editedBy'>): { readonly edited?: EditedUse } {
  return editedBy === undefined ? {} : { edited: { by: [...editedBy], args } };
}

/** A run that this one has asked for, from the request until its end, or its start if it is detached, is known. */
export interface OpenChild {
  readonly kind: 'child';
  readonly call: string;
  /** Its run id. */
  readonly child: string;
  readonly name: string;
  readonly input: unknown;
  readonly pool?: string | undefined;
  readonly deadlineMs?: number | undefined;
  readonly limits?: RunLimits | undefined;
  readonly parentClose: ParentClosePolicy;
  readonly isDetached: boolean;
  /** Agents: the tool by which the model asked for it. */
  readonly asTool?: { readonly tool: string; readonly toolCallId: string } | undefined;
  readonly sinceMs: number;
}

/** A message to another run, until its owner has answered. */
export interface OpenMessage {
  readonly kind: 'message';
  readonly call: string;
  readonly to: string;
  readonly name: string;
  readonly payload: unknown;
  readonly messageId: string;
  readonly sinceMs: number;
}

/** Something that was intended and has no end yet. */
export type OpenCall =
  | OpenTool
  | OpenChild
  | OpenMessage
  | {
      readonly kind: 'model';
      readonly call: string;
      readonly model: string;
      readonly sinceMs: number;
      readonly attempt: number;
      readonly waitsForRetry: boolean;
      /** Agents: what the model is shown before it answers. */
      readonly signals: readonly ShownSignal[];
      /** What the engine says to the model first. */
      readonly tell?: string;
    }
  | { readonly kind: 'sleep'; readonly call: string; readonly sinceMs: number }
  | {
      readonly kind: 'wait';
      readonly call: string;
      readonly signal: string;
      readonly sinceMs: number;
      /** A person is asked: no signal ends it. */
      readonly task?: RunTask;
    };

/** A call that a worker carries out. */
export type WorkedCall = Extract<OpenCall, { kind: 'tool' | 'model' }>;

/** A call that only a fact from outside ends. */
export function isWaiting(call: OpenCall): call is Exclude<OpenCall, WorkedCall> {
  return call.kind !== 'tool' && call.kind !== 'model';
}

/** What a person would call it. */
export function callName(call: OpenCall): string {
  if (call.kind === 'tool') return call.tool;
  if (call.kind === 'wait') return call.task?.terms.title ?? call.signal;
  if (call.kind === 'child' || call.kind === 'message') return call.name;
  return call.kind === 'model' ? call.model : 'sleep';
}

/** Whether the worker that holds the run can go on with it now; what is under way at a worker is not to be begun. */
export function isRunnable(call: OpenCall): call is WorkedCall {
  if (isWaiting(call) || call.waitsForRetry) return false;
  if (call.kind === 'tool' && call.deadLetter !== undefined) return false;
  // Whoever holds the run has no part in it.
  if (call.kind === 'tool' && call.pool !== undefined) return false;
  if (call.kind === 'tool' && call.approval !== undefined && call.approval.stage !== 'granted') return false;
  return call.kind === 'model' || call.execution === undefined || call.execution.stage === 'probe-due';
}
