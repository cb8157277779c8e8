// How large a regular expression becomes when its repetitions are written out, which is how it is matched: found without
// doing so. Not a parser: an expression that is none is refused by the one that compiles it.

/** Classes of Unicode have hundreds of ranges. */
const CLASS_COST = 50;
const REPETITION = /\{(\d{1,9})(?:,(\d{0,9}))?\}/y;
const ESCAPE = /\\(?:[pP](?:\{[^}]*\}|.)|x\{[^}]*\}|.)/sy;
/** Bracketed, with escapes and named classes inside. */
const BRACKETS = /\[\^?\]?(?:\\.|\[:[^\]]*:\]|[^\]\\])*\]/sy;

function matchAt(expression: RegExp, text: string, at: number): RegExpExecArray | undefined {
  expression.lastIndex = at;
  return expression.exec(text) ?? undefined;
}

function classesIn(text: string): number {
  return 1 + CLASS_COST * (text.match(/\\[pP]/g)?.length ?? 0);
}

/** In single characters to be matched, roughly. */
export function patternCost(pattern: string): number {
  const groups: number[] = [];
  let sum = 0;
  let last = 0;
  const add = (cost: number): void => {
    sum += cost;
    last = cost;
  };
  for (let at = 0; at < pattern.length;) {
    const character = pattern[at] as string;
    const repetition = character === '{' ? matchAt(REPETITION, pattern, at) : undefined;
    const atom =
      character === '\\' ? matchAt(ESCAPE, pattern, at) : character === '[' ? matchAt(BRACKETS, pattern, at) : undefined;
    if (repetition !== undefined) {
      const times = Math.max(1, Number(repetition[1]), Number(repetition[2] ?? 0));
      sum += last * (times - 1);
      last *= times;
    } else if (atom !== undefined) add(classesIn(atom[0]));
    else if (character === '(') {
      groups.push(sum);
      sum = 0;
    } else if (character === ')') {
      const inside = sum + 1;
      sum = groups.pop() ?? 0;
      add(inside);
    } else add(1);
    at += (repetition ?? atom)?.[0].length ?? 1;
  }
  return groups.reduce((total, outer) => total + outer, sum);
}
