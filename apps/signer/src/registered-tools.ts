import type { ArgumentCheck } from '@perdure/approval-application';
import { canonicalJson, type Host } from '@perdure/kernel';
import { SchemaValidator } from '@perdure/platform-nest-runtime';
import type { StoredBuildCatalogue } from '@perdure/tenant-application';

/** Arguments against the input schema of exactly the version of the tool that is asked about. */
export class RegisteredTools implements ArgumentCheck {
  private readonly validator = new SchemaValidator();

  constructor(
    private readonly builds: Pick<StoredBuildCatalogue, 'tools'>,
    private readonly host: Pick<Host, 'digest'>,
  ) {}

  async issues(
    tenant: string,
    { name, version }: { readonly name: string; readonly version: string },
    args: unknown,
  ): Promise<readonly string[] | undefined> {
    const tools = await this.builds.tools(tenant, name);
    const tool = tools.find((candidate) => this.host.digest.sha256(canonicalJson(candidate)) === version);
    return tool === undefined ? undefined : this.validator.issues(tool.inputSchema, args);
  }
}
