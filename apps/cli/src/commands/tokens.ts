import { EXIT } from '../cli.errors';
import { say } from '../paint';
import { TokenLines } from '../token-lines';
import { clientOf, type CommonOptions } from './run';

/** The text of a run's model calls as it comes, until it ends. */
export async function showTokens(runId: string, options: CommonOptions & { readonly after?: string }): Promise<number> {
  const client = clientOf(options);
  const lines = new TokenLines();
  for await (const event of client.tokens(runId, options.after)) {
    if (options.json) say(JSON.stringify(event));
    else process.stdout.write(lines.take(event));
  }
  const view = await client.get(runId);
  return view.outcome?.status === 'completed' ? EXIT.ok : EXIT.failed;
}
