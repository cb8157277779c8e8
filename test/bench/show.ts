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
  const lines = Object.entries(figures).map(
    ([name, value]) => `  ${name.padEnd(LABEL)} ${isTable(value) ? table(value) : textOf(value)}`,
  );
  return `\n${lines.join('\n')}\n\n`;
}

function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.map((each) => `\n    ${textOf(each)}`).join('');
  if (value === null || typeof value !== 'object') return String(value);
  return Object.entries(value)
    .map(([name, inner]) => `${name} ${String(inner)}`)
    .join(' · ');
}

type Row = Readonly<Record<string, unknown>>;

/** Rows of the same figures. */
function isTable(value: unknown): value is readonly Row[] {
  return Array.isArray(value) && value.length > 0 && value.every((row) => row !== null && typeof row === 'object');
}

function table(rows: readonly Row[]): string {
  const names = Object.keys(rows[0] ?? {});
  const width = (name: string): number => Math.max(name.length, ...rows.map((row) => String(row[name]).length));
  const line = (cell: (name: string) => string): string => names.map((name) => cell(name).padStart(width(name))).join('  ');
  return [line((name) => name), ...rows.map((row) => line((name) => String(row[name])))].map((text) => `\n    ${text}`).join('');
}
