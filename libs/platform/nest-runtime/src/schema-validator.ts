import type { InputValidator } from '@perdure/run-application';
import Ajv2020, { type ValidateFunction } from 'ajv/dist/2020';

/** Compiled schemas kept: one for each agent and workflow of each build in use. */
const COMPILED_MAX = 1_000;

/** Inputs against the JSON Schemas that authors' builds registered, by Ajv. */
export class SchemaValidator implements InputValidator {
  private readonly compiled = new Map<string, ValidateFunction>();

  issues(schema: Readonly<Record<string, unknown>>, input: unknown, what = 'input'): readonly string[] {
    const validate = this.compile(schema);
    if (validate(input)) return [];
    return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath || what} ${message ?? 'is not valid'}`);
  }

  private compile(schema: Readonly<Record<string, unknown>>): ValidateFunction {
    const key = JSON.stringify(schema);
    const known = this.compiled.get(key);
    if (known !== undefined) return known;
    if (this.compiled.size >= COMPILED_MAX) this.compiled.clear();
    // A fresh instance for each schema: an author's `$id` must not meet another's. Formats are the worker's to check.
    const validate = new Ajv2020({ strict: false, validateFormats: false, allErrors: true }).compile(schema);
    this.compiled.set(key, validate);
    return validate;
  }
}
