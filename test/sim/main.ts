import { NO_FAULTS, Story } from './story';
export async function main(args: readonly string[]): Promise<number> {
  const story = new Story({ seed: Number(args[0] ?? 1), faults: NO_FAULTS, onLine: (line) => process.stdout.write(`${line}\n`) });
  await story.run();
  const { lastLines: _, ...result } = story.result();
  process.stdout.write(`${JSON.stringify(result)} ${story.allEnded}\n`);
  return 0;
}
