'use strict';

// jest knows one test timeout for all projects; the suffix of a spec tells how much it may take.
jest.setTimeout(globalThis.SPEC_TIMEOUT_MS);
