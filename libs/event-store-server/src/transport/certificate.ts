import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { EventStoreServerError, errorCodeOf } from '../errors';

/** Files in PEM form; the certificate with its chain. */
export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface Certificate {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** @throws EventStoreServerError `CertificateUnusable` */
export function readCertificate({ certFile, keyFile }: CertificateFiles): Certificate {
  const certificate = { cert: readPem(certFile), key: readPem(keyFile) };
  try {
    createSecureContext(certificate);
  } catch (error) {
    throw new EventStoreServerError(
      'CertificateUnusable',
      `The certificate ${certFile} and the key ${keyFile} cannot be used together (${errorCodeOf(error) ?? String(error)}): both are wanted in PEM form, and of one pair.`,
      error,
    );
  }
  return certificate;
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new EventStoreServerError(
      'CertificateUnusable',
      `${path} cannot be read (${errorCodeOf(error) ?? String(error)}): give the paths of a certificate and its key in PEM form.`,
      error,
    );
  }
}
