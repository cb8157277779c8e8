export { Admission, type AdmissionOptions, type AdmissionPorts } from './admission';
export { CAPACITY_EVENT_TYPES } from './capacity-facts';
export { CLOCK_SKEW_MS, LEASE_MS, LEASE_RENEW_MS, RELEASE_NOT_AFTER_MS } from './leadership';
export { POOL_FULL_RETRY_MS } from './refusals';
