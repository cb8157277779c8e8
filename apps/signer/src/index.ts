export { SignerModule, type SignerConfig } from './signer.module';
