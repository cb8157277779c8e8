/** One line of figures; whatever the load, these two are in it and must be 0. */
export interface Figures {
  readonly load: string;
  readonly executedTwice: number;
  readonly lost: number;
  readonly [name: string]: unknown;
}

const LABEL = 30;

/** For people: a figure a line, named with its unit as in the JSON. */
export function show(figures: Figures): string {
  const lines = Object.entries(figures).map(([name, value]) => `  ${name.padEnd(LABEL)} ${textOf(value)}`);
  return `\n${lines.join('\n')}\n\n`;
}

function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.map((each) => `\n    ${textOf(each)}`).join('');
  if (value === null || typeof value !== 'object') return String(value);
  return Object.entries(value)
    .map(([name, inner]) => `${name} ${String(inner)}`)
    .join(' · ');
}
