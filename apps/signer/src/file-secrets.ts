import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ApproverSecrets } from '@perdure/approval-application';
import { InvariantViolated } from '@perdure/kernel';
import { ensureFolder, isMissing, writeDurably } from '@perdure/platform-blob-fs';
import { z } from 'zod';

/** As much chance as the key itself: a plain hash of it tells nothing. */
const SECRET_BYTES = 32;
const APPROVERS_FILE = 'approvers.json';
/** In clear, for whoever administers this folder. */
export const ADMINISTRATOR_FILE = 'administrator.secret';

const stored = z.record(z.string(), z.string());

/** Secrets of approvers and of the administrator, in files of the signer's folder; those of approvers by their hashes. */
export class FileSecrets implements ApproverSecrets {
  private writing: Promise<void> = Promise.resolve();

  private constructor(
    private readonly folder: string,
    private readonly hashes: Map<string, string>,
    private readonly administrator: string,
  ) {}

  static async open(folder: string): Promise<FileSecrets> {
    await ensureFolder(folder);
    const known = await readText(join(folder, APPROVERS_FILE));
    const administratorFile = join(folder, ADMINISTRATOR_FILE);
    let administrator = await readText(administratorFile);
    if (administrator === undefined) {
      administrator = newSecret();
      await writeDurably(administratorFile, `${administrator}\n`);
    }
    const hashes = known === undefined ? {} : parse(known);
    return new FileSecrets(folder, new Map(Object.entries(hashes)), hashOf(administrator.trim()));
  }

  async issue(tenant: string, approver: string): Promise<string> {
    const secret = newSecret();
    this.hashes.set(keyOf(tenant, approver), hashOf(secret));
    await this.save();
    return secret;
  }

  async forget(tenant: string, approver: string): Promise<void> {
    if (this.hashes.delete(keyOf(tenant, approver))) await this.save();
  }

  holds(tenant: string, approver: string, secret: string): boolean {
    const known = this.hashes.get(keyOf(tenant, approver));
    return known !== undefined && isSame(known, hashOf(secret));
  }

  isAdministrator(secret: string): boolean {
    return isSame(this.administrator, hashOf(secret.trim()));
  }

  /** One after another: the newest state is what is there at last. */
  private save(): Promise<void> {
    const write = (): Promise<void> =>
      writeDurably(join(this.folder, APPROVERS_FILE), `${JSON.stringify(Object.fromEntries(this.hashes), undefined, 2)}\n`);
    this.writing = this.writing.then(write, write);
    return this.writing;
  }
}

function newSecret(): string {
  return randomBytes(SECRET_BYTES).toString('base64url');
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

function isSame(left: string, right: string): boolean {
  return timingSafeEqual(Buffer.from(left), Buffer.from(right));
}

function keyOf(tenant: string, approver: string): string {
  return `${tenant}/${approver}`;
}

function parse(text: string): Record<string, string> {
  try {
    return stored.parse(JSON.parse(text));
  } catch (error) {
    throw new InvariantViolated(
      `The file ${APPROVERS_FILE} of the signer is damaged: restore it, or enrol the approvers again.`,
      {
        reason: String(error),
      },
    );
  }
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
