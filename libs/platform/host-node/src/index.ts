export { systemHost, type SystemHostOptions } from './system-host';
