export type { Duration } from './duration';
export type { Decision } from './persons';
export { TestEnvironment, type SkipOptions, type TestEnvironmentOptions, type TestFact } from './test-environment';
