import type { RecordedCall, RecordedRun } from '@perdure/run-contract';
import type { Agent, Tool } from '@perdure/sdk';
import { different, SAME, type Verdict } from './verdict';

/**
 * The next command of an agent, from its folded state, under another build: nothing of it is replayed, so what may differ is what
 * is open now (its tools, their arguments and effect classes, the provider of its model), whether its input is still one, and
 * whether it has turns left. What its prompt says is not compared: to change that is why one deploys.
 */
export async function checkAgent(run: RecordedRun, agent: Agent): Promise<Verdict> {
  const broken = await inputProblem(run, agent);
  if (broken !== undefined) return different('input', `input that ${agent.name} takes`, broken);
  const tools = new Map(agent.tools.map((tool) => [tool.name, tool]));
  for (const open of run.open) {
    const verdict = open.kind === 'model' ? checkModel(open, agent) : await checkTool(open, tools);
    if (verdict.is !== 'same') return verdict;
  }
  return checkTurns(run, agent);
}

async function inputProblem({ input }: RecordedRun, agent: Agent): Promise<string | undefined> {
  try {
    const parsed = await agent.input.parseAsync(input);
    agent.instructionsFor(parsed);
    agent.promptFor(parsed);
    return undefined;
  } catch (thrown) {
    return `the run fails: ${firstLine(thrown)}`;
  }
}

function checkModel({ call, name }: RecordedCall, { model }: Agent): Verdict {
  const [before, now] = [providerOf(name), providerOf(model.id)];
  return before === now ? SAME : different(call, `a call of the model ${name}`, `a call of the model ${model.id}`);
}

/** Another version of a model answers the same question; another provider takes another request. */
function providerOf(model: string): string {
  return model.split(/[/:]/)[0] ?? model;
}

async function checkTool(
  { call, name, args, effectClass, mayBeProbed }: RecordedCall,
  tools: ReadonlyMap<string, Tool>,
): Promise<Verdict> {
  const tool = tools.get(name);
  const expected = `a use of the ${effectClass ?? ''} tool ${name}`.replace('  ', ' ');
  if (tool === undefined) return different(call, expected, `no tool of that name`);
  if (effectClass !== undefined && tool.effect !== effectClass) return different(call, expected, `the tool is ${tool.effect}`);
  if (mayBeProbed === true && tool.probe === undefined)
    return different(call, expected, 'no probe that could ask what became of it');
  const parsed = await tool.input.safeParseAsync(args).catch((error: unknown) => ({ success: false as const, error }));
  if (parsed.success) return SAME;
  return different(call, expected, `arguments that do not fit: ${firstLine(parsed.error)}`);
}

function checkTurns({ turn, turnsMax }: RecordedRun, { limits }: Agent): Verdict {
  const hasTurns = turnsMax === undefined || turn < turnsMax;
  if (!hasTurns || limits.turnsMax === undefined || turn < limits.turnsMax) return SAME;
  return different(`t${turn}`, `another turn after turn ${turn}`, `the limit of ${limits.turnsMax} turns`);
}

const LINE_LENGTH_MAX = 300;

export function firstLine(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return text.replace(/\s+/g, ' ').slice(0, LINE_LENGTH_MAX);
}
