export type { Duration, Stretch } from './duration';
export type { Decision } from './persons';
export { scriptedModel, type ScriptedReply } from './scripted-model';
export { TestEnvironment, type SkipOptions, type TestEnvironmentOptions, type TestFact } from './test-environment';
