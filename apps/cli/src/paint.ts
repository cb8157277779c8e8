import pc from 'picocolors';

/** Words and signs that the commands share, so that a status looks the same everywhere. */
export { pc };

const STATUS: Readonly<Record<string, readonly [string, (text: string) => string]>> = {
  queued: ['○', pc.yellow],
  active: ['●', pc.cyan],
  suspended: ['◌', pc.blue],
  paused: ['‖', pc.magenta],
  completed: ['✓', pc.green],
  failed: ['✗', pc.red],
  cancelled: ['⊘', pc.gray],
  'timed-out': ['✗', pc.red],
  terminated: ['⊗', pc.red],
  refused: ['✗', pc.red],
};

export function status(name: string): string {
  const [sign, paint] = STATUS[name] ?? ['·', (text: string) => text];
  return paint(`${sign} ${name}`);
}

export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min ${Math.floor((ms % 60_000) / 1_000)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}

/** Millionths of a dollar as dollars, with as many digits as say something. */
export function dollars(microUsd: number): string {
  return (microUsd / 1_000_000).toFixed(6).replace(/0{1,4}$/, '');
}

export function ago(atMs: number, nowMs = Date.now()): string {
  return `${duration(nowMs - atMs)} ago`;
}

/** One line of at most `width` columns. */
export function clip(text: string, width: number): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length <= width ? line : `${line.slice(0, Math.max(0, width - 1))}…`;
}

export function columns(): number {
  return Math.min(process.stdout.columns ?? 100, 140);
}

export function say(line = ''): void {
  process.stdout.write(`${line}\n`);
}

/** Progress and notes: never on the stream that machines read. */
export function note(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Plain text in lines of at most `width` columns, broken at spaces; every line but the first is indented. */
export function wrap(text: string, width: number, indent: number): string {
  const lines: string[] = [''];
  for (const word of text.split(/\s+/)) {
    const line = lines.at(-1) ?? '';
    if (line === '' || line.length + 1 + word.length <= width) lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
    else lines.push(word);
  }
  return lines.join(`\n${' '.repeat(indent)}`);
}
