import { z } from 'zod';
import { admissionStatus, admissionStatusRequest, ADMISSION_STATUS_SUBJECT } from '@perdure/admission-contract';
import {
  approval,
  approvalLine,
  inboxRequest,
  inboxSubject,
  signerRequest,
  signerSubject,
  task,
  taskPage,
} from '@perdure/approval-contract';
import type { Token } from '@perdure/kernel';
import {
  answer,
  ballot,
  claim,
  commandEnvelope,
  commandSubject,
  eventSubject,
  heartbeat,
  heartbeatSubject,
  journalSegment,
  modelCallPage,
  progressAnswer,
  publishedFact,
  requestSubject,
  runCommandSchemas,
  runEventSchemas,
  runView,
  startAnswer,
  tokenMessage,
  tokenRequestSubject,
  tokensAnswer,
  tokensAsked,
  tokenSubject,
  workerMessage,
  workSubject,
} from '@perdure/run-contract';
import {
  firingList,
  scheduleChanged,
  scheduleEnvelope,
  scheduleEventMetadata,
  scheduleEventSchemas,
  scheduleList,
  scheduleRequestSubject,
  schedulesRequest,
  schedulesSubject,
  scheduleView,
} from '@perdure/schedule-contract';
import { buildManifest, tenantEnvelope, tenantRequestSubject } from '@perdure/tenant-contract';

/**
 * The contracts, written down for clients in any language: JSON Schemas, and an AsyncAPI document that says which of
 * them goes where. Made from the zod schemas and subject builders that the services themselves use.
 */
export type JsonObject = { readonly [key: string]: unknown };

const SCHEMA_DIALECT = 'http://json-schema.org/draft-07/schema#';
const place = (name: string): Token => `{${name}}` as Token;
const run = { tenant: place('tenant'), runId: place('runId') };
const schedule = { tenant: place('tenant'), scheduleId: place('scheduleId') };
const worker = { tenant: place('tenant'), pool: place('pool'), workerId: place('workerId') };

/** What a message holds as its sender writes it: fields with a default may be left out. */
function jsonSchema(schema: z.ZodType): JsonObject {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input', target: 'draft-7', unrepresentable: 'any' });
  return rest;
}

function schemas(): Readonly<Record<string, JsonObject>> {
  const commands = Object.entries(runCommandSchemas).map(([type, schema]) => [type, jsonSchema(schema)] as const);
  const facts = Object.entries(runEventSchemas).map(([type, data]) => {
    const fact = publishedFact.extend({ type: z.literal(type), data });
    return [type, jsonSchema(fact)] as const;
  });
  // These stand in the log alone: whoever wants to know of a schedule asks its owner.
  const factsOfSchedules = Object.entries(scheduleEventSchemas).map(([type, data]) => {
    const fact = z.object({ type: z.literal(type), data, metadata: scheduleEventMetadata });
    return [type, jsonSchema(fact)] as const;
  });
  return Object.fromEntries([
    ['CommandEnvelope', jsonSchema(commandEnvelope)],
    ...commands,
    ...facts,
    ['Answer', jsonSchema(answer)],
    ['StartAnswer', jsonSchema(startAnswer)],
    ['RunView', jsonSchema(runView)],
    ['ProgressAnswer', jsonSchema(progressAnswer)],
    ['JournalSegment', jsonSchema(journalSegment)],
    ['ModelCallPage', jsonSchema(modelCallPage)],
    ['TokenMessage', jsonSchema(tokenMessage)],
    ['TokensAsked', jsonSchema(tokensAsked)],
    ['TokensAnswer', jsonSchema(tokensAnswer)],
    ['WorkerMessage', jsonSchema(workerMessage)],
    ['Claim', jsonSchema(claim)],
    ['Heartbeat', jsonSchema(heartbeat)],
    ['TenantEnvelope', jsonSchema(tenantEnvelope)],
    ['BuildManifest', jsonSchema(buildManifest)],
    ['InboxRequest', jsonSchema(inboxRequest)],
    ['ApprovalLine', jsonSchema(approvalLine)],
    ['Approval', jsonSchema(approval)],
    ['TaskPage', jsonSchema(taskPage)],
    ['Task', jsonSchema(task)],
    ['SignerRequest', jsonSchema(signerRequest)],
    ['Ballot', jsonSchema(ballot)],
    ['ScheduleEnvelope', jsonSchema(scheduleEnvelope)],
    ['ScheduleView', jsonSchema(scheduleView)],
    ['ScheduleChanged', jsonSchema(scheduleChanged)],
    ['FiringList', jsonSchema(firingList)],
    ['SchedulesRequest', jsonSchema(schedulesRequest)],
    ['ScheduleList', jsonSchema(scheduleList)],
    ...factsOfSchedules,
    ['AdmissionStatusRequest', jsonSchema(admissionStatusRequest)],
    ['AdmissionStatus', jsonSchema(admissionStatus)],
  ]);
}

interface ChannelOf {
  readonly address: string | null;
  readonly messages: readonly string[];
  readonly description: string;
}

const EVENTS_NOTE =
  'Stored in the JetStream stream EVENTS, at least once: its message id is the event id, and the headers perdure-stream and perdure-revision say where it stands in the log. Drop a revision that is not above the last one of its stream.';

function channels(): Readonly<Record<string, ChannelOf>> {
  const events = Object.keys(runEventSchemas).map(
    (type) => [`events${type}`, { address: eventSubject.build(run, type), messages: [type], description: EVENTS_NOTE }] as const,
  );
  return {
    runRequests: {
      address: requestSubject.build(run),
      messages: ['CommandEnvelope'],
      description:
        'Requests about one run, answered by its owner. Nobody answers while the run moves to another owner: repeat the identical bytes, with a pause, until there is an answer.',
    },
    runCommands: {
      address: commandSubject.build(run),
      messages: ['CommandEnvelope'],
      description:
        'The same commands, stored by the broker (JetStream stream COMMANDS) until their facts are in the log, also while every service is down.',
    },
    runAnswers: { address: null, messages: ['Answer'], description: 'The reply subject of a request, an inbox of the asker.' },
    ...Object.fromEntries(events),
    work: {
      address: workSubject.build(worker),
      messages: ['WorkerMessage'],
      description:
        'To one worker: runs to take up, what has happened to them, runs to let go of. Each wants a claim as its reply.',
    },
    claims: { address: null, messages: ['Claim'], description: 'The reply subject of what was sent to a worker.' },
    tokens: {
      address: tokenSubject.build(run),
      messages: ['TokenMessage'],
      description:
        'The text of model calls as it comes, in core NATS: a hint of what the log will say, lost when nobody listens. A message of a later attempt (epoch, then attempt) makes void what an earlier one has told.',
    },
    tokensMissed: {
      address: tokenRequestSubject.build(run),
      messages: ['TokensAsked'],
      description:
        'Asks the worker that makes model calls of the run at the moment for text that was missed. Nobody answers when there is no call under way.',
    },
    tokensAnswers: { address: null, messages: ['TokensAnswer'], description: 'The reply subject of such a question.' },
    heartbeats: {
      address: heartbeatSubject.build(worker),
      messages: ['Heartbeat'],
      description:
        'Every half second from each worker, in core NATS. Tenant, pool and worker in the message are those of the subject.',
    },
    tenantRequests: {
      address: tenantRequestSubject.build(place('tenant')),
      messages: ['TenantEnvelope'],
      description: 'Requests about a tenant: a worker registers its build here before its first heartbeat.',
    },
    ...approvalChannels(),
    ...scheduleChannels(),
    admissionStatus: {
      address: ADMISSION_STATUS_SUBJECT,
      messages: ['AdmissionStatusRequest'],
      description: 'Why a run has not been released yet; answered by the leader of admission.',
    },
    admissionAnswers: { address: null, messages: ['AdmissionStatus'], description: 'The reply subject of such a question.' },
  };
}

function approvalChannels(): Readonly<Record<string, ChannelOf>> {
  return {
    approvalInbox: {
      address: inboxSubject.build(place('tenant')),
      messages: ['InboxRequest'],
      description:
        'What waits for persons. The value of the answer is a list of ApprovalLine for ListApprovals, an Approval for GetApproval, a TaskPage for ListTasks, and a Task for GetTask.',
    },
    signerRequests: {
      address: signerSubject.build(place('tenant')),
      messages: ['SignerRequest'],
      description:
        'What persons decide on approvals, and what an administrator changes. A decision may carry shownHash, the SHA-256 of the canonical JSON of {name, call, tool, args, why, requestedBy} as it was shown (why is the name of the policy): another request is then refused. An approver with a key of its own signs the text "perdure-ballot-v1", a line feed, and the canonical JSON of its Ballot.',
    },
  };
}

function scheduleChannels(): Readonly<Record<string, ChannelOf>> {
  return {
    scheduleRequests: {
      address: scheduleRequestSubject.build(schedule),
      messages: ['ScheduleEnvelope'],
      description:
        'Requests about one schedule, answered by its owner: with a ScheduleView for GetSchedule, a FiringList for ListFirings, and a ScheduleChanged for the rest. Repeat the identical bytes until there is an answer.',
    },
    schedulesList: {
      address: schedulesSubject.build(place('tenant')),
      messages: ['SchedulesRequest'],
      description: 'Which schedules there are, and how each stands. The value of the answer is a ScheduleList.',
    },
  };
}

const ref = (path: string): JsonObject => ({ $ref: `#/${path}` });
const channelRef = (name: string): JsonObject => ref(`channels/${name}`);

/** From the point of view of Perdure: it receives what clients and workers send. */
function operations(): JsonObject {
  const reply = (channel: string): JsonObject => ({ reply: { channel: channelRef(channel) } });
  const facts = Object.keys(runEventSchemas).map((type) => [
    `publish${type}`,
    { action: 'send', channel: channelRef(`events${type}`) },
  ]);
  return {
    answerRunRequest: { action: 'receive', channel: channelRef('runRequests'), ...reply('runAnswers') },
    takeRunCommand: { action: 'receive', channel: channelRef('runCommands') },
    ...(Object.fromEntries(facts) as JsonObject),
    giveWork: { action: 'send', channel: channelRef('work'), ...reply('claims') },
    tellTokens: { action: 'send', channel: channelRef('tokens') },
    tellMissedTokens: { action: 'receive', channel: channelRef('tokensMissed'), ...reply('tokensAnswers') },
    hearWorker: { action: 'receive', channel: channelRef('heartbeats') },
    answerTenantRequest: { action: 'receive', channel: channelRef('tenantRequests'), ...reply('runAnswers') },
    tellApprovals: { action: 'receive', channel: channelRef('approvalInbox'), ...reply('runAnswers') },
    answerPersons: { action: 'receive', channel: channelRef('signerRequests'), ...reply('runAnswers') },
    answerScheduleRequest: { action: 'receive', channel: channelRef('scheduleRequests'), ...reply('runAnswers') },
    listSchedules: { action: 'receive', channel: channelRef('schedulesList'), ...reply('runAnswers') },
    answerAdmissionStatus: { action: 'receive', channel: channelRef('admissionStatus'), ...reply('admissionAnswers') },
  };
}

function parametersOf(address: string | null): JsonObject {
  const names = [...new Set([...(address ?? '').matchAll(/\{([a-zA-Z]+)\}/g)].map(([, name]) => name ?? ''))];
  if (names.length === 0) return {};
  const description = '1 to 64 letters, digits, "_" or "-".';
  return { parameters: Object.fromEntries(names.map((name) => [name, { description }])) };
}

function asyncApi(): JsonObject {
  const all = schemas();
  const messageNames = Object.keys(all).filter((name) =>
    Object.values(channels()).some(({ messages }) => messages.includes(name)),
  );
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Perdure',
      version: '0.1.0',
      description:
        'Everything that crosses the bus. All payloads are JSON. Every request and command is answered with an Answer: its value is a StartAnswer for StartRun, a ProgressAnswer for RecordProgress, a JournalSegment for GetJournal, and a RunView for the rest.',
      license: { name: 'Apache-2.0' },
    },
    defaultContentType: 'application/json',
    servers: { bus: { host: 'localhost:4222', protocol: 'nats', description: 'The address that the installation says.' } },
    channels: Object.fromEntries(
      Object.entries(channels()).map(([name, { address, messages, description }]) => [
        name,
        {
          address,
          description,
          ...parametersOf(address),
          messages: Object.fromEntries(messages.map((message) => [message, ref(`components/messages/${message}`)])),
        },
      ]),
    ),
    operations: operations(),
    components: {
      messages: Object.fromEntries(
        messageNames.map((name) => [name, { name, contentType: 'application/json', payload: ref(`components/schemas/${name}`) }]),
      ),
      schemas: all,
    },
  };
}

/** The generated files, by path from docs/reference/. */
export function contractDocuments(): ReadonlyMap<string, string> {
  const text = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
  const files = new Map<string, string>([['asyncapi.json', text(asyncApi())]]);
  for (const [name, schema] of Object.entries(schemas())) {
    files.set(`schemas/${name}.json`, text({ $schema: SCHEMA_DIALECT, title: name, ...schema }));
  }
  return files;
}
