import type { Bus } from '@perdure/kernel';
import type { DecidedCommand, OpenCall, RunState } from '@perdure/run-domain';
import type { Decide } from './mutants-undo';
import type { Mutant } from './story';

type Rewind = Extract<DecidedCommand['command'], { readonly type: 'RewindRun' }>;

interface Tools {
  deciding(change: (decide: Decide) => Decide): NonNullable<Mutant['alter']>;
  wrap<T extends object>(inner: T, change: Partial<T>): T;
}

/** Faults in what becomes of a run that goes back. */
export function branchMutants({ deciding, wrap }: Tools): readonly Mutant[] {
  const goingBack = (change: (command: Rewind, state: RunState) => { command: Rewind; state: RunState }) =>
    deciding((decide) => (given, state) => {
      if (given.command.type !== 'RewindRun') return decide(given, state);
      const changed = change(given.command, state);
      return decide({ ...given, command: changed.command }, changed.state);
    });
  return [
    {
      name: 'goes back while nobody knows what an effect has done',
      alter: goingBack((command, state) => ({ command, state: withNothingUnderWay(state) })),
    },
    {
      name: 'goes back and does again what has happened since',
      alter: goingBack((command, state) => ({ command: { ...command, outcomes: new Map() }, state })),
    },
    {
      name: 'goes back and asks nobody again for an approval',
      alter: goingBack((command, state) => ({ command: { ...command, approvals: new Map() }, state })),
    },
    {
      name: 'goes back and does what follows under the keys of before',
      ports: (role, ports) => (role === 'orchestrator' ? { ...ports, bus: wrap(ports.bus, ordering(ports.bus)) } : ports),
    },
  ];
}

function withNothingUnderWay(state: RunState): RunState {
  if (state.status === 'none' || state.status === 'ended') return state;
  const idle = (call: OpenCall): OpenCall =>
    call.kind === 'tool' ? { ...call, execution: undefined, effectClass: 'irreversible' } : call;
  return { ...state, calls: new Map([...state.calls].map(([name, call]) => [name, idle(call)])) };
}

/** Whoever is to hold a run is not told how often it went back. */
function ordering(bus: Bus): Pick<Bus, 'request'> {
  return {
    request: (subject, payload, options) => {
      const { branch: _, ...order } = JSON.parse(payload) as Record<string, unknown>;
      return bus.request(subject, order['type'] === 'activate' ? JSON.stringify(order) : payload, options);
    },
  };
}
