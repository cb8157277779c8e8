import { pc } from './paint';

type Told = readonly [string, (text: string) => string, string];

const text = (value: unknown): string => (typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value));

/** Facts about what a run asks of persons. */
export function taskLine(type: string, data: Readonly<Record<string, unknown>>): Told | undefined {
  switch (type) {
    case 'TaskAsked':
      return ['?', pc.magenta, `asks ${text(data['assignee'])}: ${text(data['title'])}`];
    case 'TaskAnswered':
      return ['✉', pc.green, `${text(data['by'])} answered: ${text(data['answer'])}`];
    case 'TaskDelegated':
      return ['→', pc.magenta, `${text(data['by'])} hands it on to ${text(data['to'])}`];
    case 'TaskReminded':
      return ['◷', pc.yellow, `${(data['to'] as readonly string[]).join(', ')} reminded: ${text(data['title'])}`];
    case 'TaskEscalated':
      return ['↑', pc.yellow, `${text(data['to'])} may answer, too: ${text(data['title'])}`];
    case 'TaskExpired':
      return ['◷', pc.red, `nobody answered in time (${text(data['action'])})`];
    default:
      return undefined;
  }
}
