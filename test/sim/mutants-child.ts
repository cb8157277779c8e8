import type { Decide } from './mutants-undo';
import type { Mutant } from './story';

interface Tools {
  deciding(change: (decide: Decide) => Decide): NonNullable<Mutant['alter']>;
}

/** Faults in what becomes of the runs that a run starts. */
export function childMutants({ deciding }: Tools): readonly Mutant[] {
  return [
    {
      name: 'forgets the end of a child',
      alter: deciding(
        (decide) => (given, state) => (given.command.type === 'EndChild' ? { accepted: [] } : decide(given, state)),
      ),
    },
    {
      name: 'gives a run the end of another child',
      alter: deciding((decide) => (given, state) => {
        const { command } = given;
        if (command.type !== 'EndChild' || !('calls' in state)) return decide(given, state);
        const other = [...state.calls.values()].find((call) => call.kind === 'child' && call.call !== command.call);
        if (other?.kind !== 'child') return decide(given, state);
        return decide({ ...given, command: { ...command, call: other.call, child: other.child } }, state);
      }),
    },
  ];
}
