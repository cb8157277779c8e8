import { EXIT } from '../cli.errors';
import { pc, say } from '../paint';
import { clientOf, jsonOf, type CommonOptions } from './run';

export async function signalRun(
  runId: string,
  name: string,
  options: CommonOptions & { readonly payload?: string; readonly id?: string },
): Promise<number> {
  const payload = options.payload === undefined ? null : jsonOf(options.payload, '--payload');
  await clientOf(options).signal(runId, { name, payload, ...(options.id === undefined ? {} : { id: options.id }) });
  say(options.json ? JSON.stringify({ runId, signalled: name }) : `${pc.cyan('✉')} ${pc.bold(name)} sent to ${pc.bold(runId)}`);
  return EXIT.ok;
}
