import { runEventStoreServer } from './program';

runEventStoreServer(process.argv.slice(2));
