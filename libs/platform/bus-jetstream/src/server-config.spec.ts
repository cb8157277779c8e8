import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { natsServerConfig, newBrokerUsers } from './server-config';
import { wantedStreams } from './streams';

const users = newBrokerUsers(() => 'secret');
const embedded = natsServerConfig({ port: -1, storeDir: '/a "quoted" folder', users });
const cluster = readFileSync(join(__dirname, '../../../../deploy/nats/cluster.conf'), 'utf8');

function everyMatch(text: string, form: RegExp): string[] {
  return (text.match(form) ?? []).map((found) => found.replace(/\s+/g, ' '));
}

describe('the configuration of the broker', () => {
  it.each([
    ['mappings', /"perdure\.(req|cmd)[^"]*": "[^"]*"/g, 2],
    ['permissions', /permissions: \{.*?\} \}/g, 4],
    ['bounds', /(max_payload|sync_interval|max_buffered_msgs|ping_interval|ping_max|max_control_line): \S+/g, 6],
  ])('has the same %s embedded and in a cluster', (_, form, count) => {
    expect(everyMatch(embedded, form).length).toBe(count);
    expect(everyMatch(cluster, form)).toEqual(everyMatch(embedded, form));
  });

  it('quotes what it is given', () => {
    expect(embedded).toContain('store_dir: "/a \\"quoted\\" folder"');
  });

  it('bounds every stream, and makes the durable one wait for the disk', () => {
    const streams = wantedStreams(1);
    expect(streams.filter(({ max_bytes: bytes }) => bytes === undefined)).toEqual([]);
    expect(streams.find(({ name }) => name === 'COMMANDS')?.persist_mode).toBeUndefined();
    expect(wantedStreams(3).filter(({ persist_mode: mode }) => mode !== undefined)).toEqual([]);
  });
});
