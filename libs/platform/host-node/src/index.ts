export { ed25519, signingKeyOf } from './ed25519';
export { systemHost, type SystemHostOptions } from './system-host';
