import type { ScheduleOwner } from '@perdure/schedule-application';
import type { Mutant } from './story';

type Json = Record<string, unknown>;

interface Tools {
  patch(owner: unknown, path: readonly string[], methods: (original: Json) => Json): void;
}

type Decide = (given: Json & { readonly command: { readonly type: string } }, state: Json) => unknown;

/** Faults in how schedules are kept: each shows in stories that have some. */
export function scheduleMutants({ patch }: Tools): readonly Mutant[] {
  const keeping =
    (change: (owner: ScheduleOwner) => void): NonNullable<Mutant['alter']> =>
    (_role, { schedules }) => {
      if (schedules !== undefined) change(schedules);
    };
  const deciding = (change: (decide: Decide) => Decide): NonNullable<Mutant['alter']> =>
    keeping((owner) => decideWith({ patch }, owner, change));
  const ofSchedules = { schedules: true } as const;
  return [
    {
      ...ofSchedules,
      name: 'does not see that a run of a schedule has ended',
      alter: keeping((owner) => patch(owner, ['index'], () => ({ ended: () => undefined }))),
    },
    {
      ...ofSchedules,
      name: 'fires the times of a schedule by the clock of its own machine',
      alter: keeping((owner) =>
        patch(owner, ['clock'], (clock) => {
          const { host } = clock['ports'] as { readonly host: { readonly clock: { nowMs(): number } } };
          return { nowMs: () => host.clock.nowMs() };
        }),
      ),
    },
    {
      ...ofSchedules,
      name: 'appends to a schedule without asking whether another owner has',
      alter: keeping((owner) =>
        patch(owner, ['log', 'ports'], (ports) => {
          const store = ports['store'] as { append(stream: string, expected: unknown, events: unknown): unknown };
          return {
            store: Object.assign(Object.create(store) as object, {
              append: (...[stream, , events]: unknown[]) => store.append(String(stream), 'any', events),
            }),
          };
        }),
      ),
    },
    {
      ...ofSchedules,
      name: 'takes a repeated wish for a run for another',
      alter: deciding(
        (decide) => (given, state) => decide(given, given.command.type === 'RunNow' ? { ...state, askedIds: [] } : state),
      ),
    },
    {
      ...ofSchedules,
      name: 'forgets the times of a schedule that came while nobody looked',
      alter: deciding((decide) => (given, state) => {
        const { nowMs } = given as unknown as { readonly nowMs: number };
        const { doneUntilMs } = state as { readonly doneUntilMs?: number };
        if (doneUntilMs === undefined || given.command.type !== 'Advance') return decide(given, state);
        return decide(given, { ...state, doneUntilMs: Math.max(doneUntilMs, nowMs - FORGOTTEN_AFTER_MS) });
      }),
    },
  ];
}

/** Longer than any of them has to wait while all is well. */
const FORGOTTEN_AFTER_MS = 1_000;

function decideWith({ patch }: Tools, owner: ScheduleOwner, change: (decide: Decide) => Decide): void {
  patch(owner, [], (original) => {
    const actorOf = (original['actorOf'] as (address: unknown) => Json).bind(original);
    const changed = new WeakSet<object>();
    return {
      actorOf: (address: unknown) => {
        const actor = actorOf(address);
        if (changed.has(actor)) return actor;
        changed.add(actor);
        patch(actor, ['ports', 'decider'], (decider) => ({ decide: change(decider['decide'] as Decide) }));
        return actor;
      },
    };
  });
}
