import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Ajv from 'ajv';
import { Parser } from '@asyncapi/parser';
import { runCommandSchemas, runEventSchemas } from '@perdure/run-contract';
import { SCHEDULE_EVENT_TYPES } from '@perdure/schedule-contract';
import { contractDocuments } from './contract-documents';

const FOLDER = join(__dirname, '../../docs/reference');
const GOLDEN = join(__dirname, '../../libs/run/contract/golden');
const GOLDEN_OF_SCHEDULES = join(__dirname, '../../libs/schedule/contract/golden');
const documents = contractDocuments();
const read = (path: string): string => readFileSync(join(FOLDER, path), 'utf8');

describe('the written contracts', () => {
  it('are what the code says; otherwise run: node tools/build.mjs && node tools/generate-contracts.mjs', () => {
    const stale = [...documents].filter(([path, text]) => read(path) !== text).map(([path]) => path);
    expect(stale).toEqual([]);
  });

  it('hold no schema of something that is no more', () => {
    const found = readdirSync(join(FOLDER, 'schemas')).map((name) => `schemas/${name}`);
    expect(found.filter((path) => !documents.has(path))).toEqual([]);
  });

  it('are a valid AsyncAPI document that speaks of every fact', async () => {
    const { document, diagnostics } = await new Parser().parse(read('asyncapi.json'));
    const errors = diagnostics
      .filter(({ severity }) => severity === 0)
      .map(({ path, message }) => `${path.join('.')}: ${message}`);
    expect(errors).toEqual([]);
    const addresses =
      document
        ?.channels()
        .all()
        .map((channel) => channel.address()) ?? [];
    expect(addresses.filter((address) => address?.startsWith('perdure.evt.'))).toHaveLength(Object.keys(runEventSchemas).length);
  });

  it('hold a schema of every command', () => {
    expect(Object.keys(runCommandSchemas).filter((type) => !documents.has(`schemas/${type}.json`))).toEqual([]);
  });

  it('accept the golden samples as they would be published, and not another fact', () => {
    const ajv = new Ajv({ strict: false, validateFormats: false });
    for (const type of Object.keys(runEventSchemas)) {
      const sample = JSON.parse(readFileSync(join(GOLDEN, `${type}.v1.json`), 'utf8')) as Record<string, unknown>;
      const fact = { v: 1, id: 'e1', stream: 'run-acme.r1', revision: 0, ...sample };
      const validate = ajv.compile(JSON.parse(read(`schemas/${type}.json`)) as object);
      expect({ type, valid: validate(fact), errors: validate.errors }).toEqual({ type, valid: true, errors: null });
      expect(validate({ ...fact, type: 'RunTeleported' })).toBe(false);
    }
  });

  it('accept the golden samples of schedules as they stand in the log', () => {
    const ajv = new Ajv({ strict: false, validateFormats: false });
    for (const type of SCHEDULE_EVENT_TYPES) {
      const sample = JSON.parse(readFileSync(join(GOLDEN_OF_SCHEDULES, `${type}.v1.json`), 'utf8')) as Record<string, unknown>;
      const validate = ajv.compile(JSON.parse(read(`schemas/${type}.json`)) as object);
      expect({ type, valid: validate(sample), errors: validate.errors }).toEqual({ type, valid: true, errors: null });
      expect(validate({ ...sample, data: {} })).toBe(false);
    }
  });
});
