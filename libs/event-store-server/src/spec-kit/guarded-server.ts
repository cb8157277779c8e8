import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EventStoreDBClient } from '@eventstore/db-client';
import { selfSignedCertificate } from '@perdure/testing';
import { changeUser } from '../access/credentials-file';
import { type EventStoreServerOptions, type RunningEventStoreServer, startEventStoreServer } from '../server';

/** What a spec needs of a server with TLS and credentials. The password of a login is `password of ` and the login. */
export class GuardedServer {
  private readonly clients: EventStoreDBClient[] = [];
  readonly certFile: string;
  readonly keyFile: string;
  readonly credentialsFile: string;
  server!: RunningEventStoreServer;

  private constructor(readonly folder: string) {
    this.certFile = join(folder, 'cert.pem');
    this.keyFile = join(folder, 'key.pem');
    this.credentialsFile = join(folder, 'credentials.json');
  }

  static async start(
    users: Readonly<Record<string, readonly string[]>>,
    options: Partial<EventStoreServerOptions> = {},
  ): Promise<GuardedServer> {
    const guarded = new GuardedServer(mkdtempSync(join(tmpdir(), 'perdure-store-')));
    guarded.renewCertificate();
    const { credentialsFile, certFile, keyFile } = guarded;
    for (const [login, groups] of Object.entries(users)) await guarded.setUser(login, groups);
    const dataDir = join(guarded.folder, 'data');
    guarded.server = await startEventStoreServer({ dataDir, port: 0, tls: { certFile, keyFile }, credentialsFile, ...options });
    return guarded;
  }

  renewCertificate(): void {
    const { cert, key } = selfSignedCertificate();
    writeFileSync(this.certFile, cert);
    writeFileSync(this.keyFile, key);
  }

  async setUser(login: string, groups: readonly string[] = [], password = passwordOf(login)): Promise<void> {
    await changeUser({ file: this.credentialsFile, login, change: { kind: 'set', password, groups } });
  }

  connectionString(login?: string, password = passwordOf(login ?? '')): string {
    const user = login === undefined ? '' : `${login}:${encodeURIComponent(password)}@`;
    return `esdb://${user}localhost:${this.server.port}?tls=true&tlsCAFile=${encodeURIComponent(this.certFile)}`;
  }

  client(login?: string, password?: string): EventStoreDBClient {
    return this.clientOf(this.connectionString(login, password));
  }

  clientOf(connectionString: string): EventStoreDBClient {
    const client = EventStoreDBClient.connectionString(connectionString);
    this.clients.push(client);
    return client;
  }

  async stop(): Promise<void> {
    await Promise.all(this.clients.map((client) => client.dispose()));
    await this.server.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export function passwordOf(login: string): string {
  return `password of ${login}`;
}

export function basic(login: string, password = passwordOf(login)): string {
  return `Basic ${Buffer.from(`${login}:${password}`).toString('base64')}`;
}
