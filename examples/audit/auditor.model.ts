import { ruleModel, type Message, type Model, type ModelRequest, type RuleDecision } from '@perdure/sdk';
import { findingsOf, type Finding, type Inspection } from './inspect';
import type { Tree } from './tree';

/** The auditor's judgement written down as rules: what a language model would decide, without one. */
export function auditorByRule(): Model {
  // Word by word, as a language model speaks: `perdure run tokens` reads along.
  return ruleModel('auditor-by-rule', decide, { pieces: (text) => text.split(/(?<= )/) });
}

function decide({ messages }: ModelRequest): RuleDecision {
  const { path, report } = JSON.parse(textOf(messages[0])) as { path: string; report: string };
  const [listed] = resultsOf(messages, 'list_tree');
  if (listed === undefined) return { text: `First, what is in ${path}?`, toolCalls: [{ tool: 'list_tree', args: { path } }] };
  if (!listed.ok) return `There is nothing to audit: ${listed.error.message}`;
  const tree = listed.value as Tree;
  const inspected = resultsOf(messages, 'inspect_part');
  if (inspected.length === 0) return planOf(tree);
  const [written] = resultsOf(messages, 'write_report');
  const inspections = inspected.flatMap((result) => (result.ok ? [result.value as Inspection] : []));
  const findings = [...findingsOfTree(tree), ...inspections.flatMap(findingsOf)];
  if (written === undefined)
    return {
      text: 'Everything is read. The report:',
      toolCalls: [{ tool: 'write_report', args: reportOf({ tree, inspections, findings, path: report }) }],
    };
  if (!written.ok) return `The audit is done, but its report could not be written: ${written.error.message}`;
  return `${summaryOf(tree, inspections, findings)} The report is ${(written.value as { path: string }).path}.`;
}

function planOf(tree: Tree): RuleDecision {
  if (tree.parts.length === 0) return `${tree.root} holds no files.`;
  const toolCalls = tree.parts.map(({ part }) => ({ tool: 'inspect_part', args: { root: tree.root, part } }));
  return { text: `${tree.files} files in ${tree.parts.length} parts: each is looked at by itself.`, toolCalls };
}

function findingsOfTree(tree: Tree): readonly Finding[] {
  return [
    ...(tree.licence ? [] : [{ severity: 'medium' as const, where: '.', what: 'no licence: nobody may use this' }]),
    ...(tree.readme ? [] : [{ severity: 'medium' as const, where: '.', what: 'no readme: a newcomer is lost' }]),
    ...(tree.git ? [] : [{ severity: 'low' as const, where: '.', what: 'not under version control' }]),
  ];
}

interface Audit {
  readonly tree: Tree;
  readonly inspections: readonly Inspection[];
  readonly findings: readonly Finding[];
  readonly path: string;
}

function reportOf({ tree, inspections, findings, path }: Audit): object {
  return {
    path,
    title: `Audit of ${tree.root.split('/').pop() ?? tree.root}`,
    root: tree.root,
    summary: summaryOf(tree, inspections, findings),
    parts: inspections.map(({ part, files, lines, languages, tests }) => ({
      part,
      files,
      lines,
      tests,
      languages: mainLanguages(languages),
    })),
    findings,
    recommendations: recommendationsOf(inspections, findings),
  };
}

function mainLanguages(languages: Readonly<Record<string, number>>): string {
  return Object.entries(languages)
    .sort((a, b) => b[1] - a[1])
    .slice(0, 3)
    .map(([language]) => language)
    .join(', ');
}

function summaryOf(tree: Tree, inspections: readonly Inspection[], findings: readonly Finding[]): string {
  const lines = inspections.reduce((sum, inspection) => sum + inspection.lines, 0);
  const count = (severity: Finding['severity']): number => findings.filter((finding) => finding.severity === severity).length;
  return `${tree.files} files with ${lines} lines in ${tree.parts.length} parts; ${count('high')} findings to look at first, ${count('medium')} worth a change, ${count('low')} good to know.`;
}

function recommendationsOf(inspections: readonly Inspection[], findings: readonly Finding[]): readonly string[] {
  const untested = inspections.filter(
    ({ tests, languages }) =>
      tests === 0 && mainLanguages(languages) !== '' && !/^(Markdown|JSON|YAML|other)/.test(mainLanguages(languages)),
  );
  const has = (words: RegExp): boolean => findings.some(({ what }) => words.test(what));
  return [
    ...(has(/looks like a/) ? ['Check the possible secrets; whatever is real is withdrawn and replaced, not only deleted.'] : []),
    ...(has(/merge conflict/) ? ['Resolve the merge conflicts that were committed.'] : []),
    ...(has(/function of|file of/) ? ['Divide the long functions and files: each should be read in one sitting.'] : []),
    ...(untested.length > 0
      ? [
          `Write the first tests of ${untested
            .slice(0, 4)
            .map(({ part }) => `\`${part}\``)
            .join(', ')}.`,
        ]
      : []),
    ...(has(/no licence/) ? ['Choose a licence.'] : []),
    ...(has(/note to do later/) ? ['Do what the notes say, or delete them.'] : []),
  ];
}

type ToolOutcome = Extract<Message, { role: 'tool' }>['outcome'];

function resultsOf(messages: readonly Message[], tool: string): readonly ToolOutcome[] {
  return messages.flatMap((message) => (message.role === 'tool' && message.tool === tool ? [message.outcome] : []));
}

function textOf(message: Message | undefined): string {
  return message?.role === 'user' ? message.text : '{}';
}
