import 'reflect-metadata';
import { Terminal } from '@perdure/kernel';
import { bootstrapService } from '@perdure/platform-nest-runtime';
import { serveSigner } from './signer.module';

const { PERDURE_SIGNER_DIR: signerDir } = process.env;

void bootstrapService({
  service: 'signer',
  env: process.env,
  start: (platform) => {
    if (signerDir === undefined || signerDir === '')
      throw new Terminal('InvalidConfiguration', 'PERDURE_SIGNER_DIR is not set: the folder with the key, for the signer alone.');
    return serveSigner({ platform, signerDir });
  },
});
