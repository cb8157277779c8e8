import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ROOT, type Stack } from '@perdure/cli';
import { PerdureError } from '@perdure/kernel';
import { Client } from '@perdure/sdk';
import { SeededRandom } from '@perdure/testing';
import { closedLoop } from '../../rig/closed-loop';
import { withFreshStack } from '../../rig/fresh-stack';
import { readRuns } from '../../rig/log';
import { PAYMENT_POOLS, PAYMENT_WORKERS, SERVICES } from '../cast';
import { insist } from '../insist';
import { scheduleOf } from '../schedule';
import { type Damage, torment } from '../torment';
import { Bank } from './bank';
import { CRASH_POINTS, walkCrashPoints } from './crash-points';
import { type Payment, type PaymentVerdict, judgePayments } from './judge-payments';

export interface PaymentsOptions {
  readonly payments: number;
  /** How long processes are killed; what is open then comes to its end without. */
  readonly seconds: number;
  readonly seed: number;
  readonly isolated: boolean;
  /** Processes are ended at each named moment of a payment, one after another, instead of at random. */
  readonly points?: boolean;
  readonly say: (line: string) => void;
}

export interface PaymentsReport extends PaymentVerdict {
  readonly payments: number;
  readonly form: 'dev' | 'isolated';
  readonly seed: number;
  /** Likewise by point. */
  readonly kills: Readonly<Record<string, number>>;
  /** How often the bank moved money and did not say so. */
  readonly silences: number;
  readonly quarantinesEnded: number;
  readonly tookMs: number;
}

const ENTRY = join(ROOT, 'dist/test/chaos/entries/payments.js');
const AT_ONCE = 24;
/** Few, so that payments are on their way until the last point is passed. */
const AT_ONCE_BY_POINTS = 4;
/** Of the payments: those whose destination cannot be asked. */
const WIRE_SHARE = 0.2;
/** After the last fault; a probe waits for windows and limits, and is asked again with back-off. */
const SETTLE_MAX_MS = 180_000;
const LOOK_EVERY_MS = 300;

/** Payments to a bank that moves money and then may say nothing, while every process of the system is killed. */
export async function paymentsChaos(options: PaymentsOptions): Promise<PaymentsReport> {
  const { seed, seconds, isolated, say, payments, points = false } = options;
  const form = isolated ? 'isolated' : 'dev';
  const faults = scheduleOf({ seed, seconds, cast: { workers: PAYMENT_WORKERS, services: SERVICES[form] } });
  const damages = points ? `${CRASH_POINTS.length} crash points` : `${faults.length} faults in ${seconds} s`;
  say(`seed ${seed}, ${form}, ${payments} payments, ${damages}`);
  const bank = await Bank.open(seed);
  let failed = true;
  const fileIn = (folder: string): string => join(folder, 'crash-point');
  const stackOptions = (folder: string) => {
    const serviceEnv = { PERDURE_CRASH_POINT: `@${fileIn(folder)}` };
    const workerEnv = { ...serviceEnv, PERDURE_CHAOS_BANK: bank.url };
    return { form, entry: ENTRY, workers: 0, ...(points ? { serviceEnv } : {}), workerEnv, keep: () => failed } as const;
  };
  try {
    return await withFreshStack(stackOptions, async ({ stack, folder }) => {
      await Promise.all(PAYMENT_POOLS.map((pool) => stack.addWorker(ENTRY, pool)));
      const startedAt = performance.now();
      const office = new Office(await Client.connect({ url: stack.clientUrl }), bank, options);
      const walk = { stack, bank, file: fileIn(folder), say };
      const damage = await office.pay(() => (points ? walkCrashPoints(walk) : torment(stack, faults, say)));
      const report = await reportOf({ stack, office, bank, damage });
      failed = report.violations.length > 0;
      return { payments, form, seed, ...report, tookMs: Math.round(performance.now() - startedAt) };
    });
  } finally {
    await bank.close();
  }
}

async function reportOf({ stack, office, bank, damage }: { stack: Stack; office: Office; bank: Bank; damage: PaymentDamage }) {
  const { orders: payments, quarantinesEnded } = office;
  const verdict = judgePayments({ payments, transfers: bank.transfers, runs: await readRuns(stack.storeUrl) });
  const kills = { ...damage.kills, busWipes: damage.busWipes };
  const unreached = (damage.unreached ?? []).map((point) => `unreached: no process passed ${point}`);
  const violations = [...verdict.violations, ...unreached];
  return { ...verdict, violations, kills, silences: bank.silences, quarantinesEnded };
}

type PaymentDamage = Damage & { readonly unreached?: readonly string[] };

/** Who orders payments and waits for them, and the person who looks at the statement when asked. */
class Office {
  readonly orders: readonly Payment[];
  quarantinesEnded = 0;
  private readonly atOnce: number;
  private untilMs = Infinity;

  constructor(
    private readonly client: Client,
    private readonly bank: Bank,
    { payments, seed, points = false }: PaymentsOptions,
  ) {
    this.atOnce = points ? AT_ONCE_BY_POINTS : AT_ONCE;
    const random = new SeededRandom(seed).split('payments');
    this.orders = Array.from({ length: payments }, (_, index) => ({
      id: `payment-${seed}-${index}`,
      name: random.chance(WIRE_SHARE) ? ('wiring' as const) : ('paying' as const),
      runId: undefined,
      end: undefined,
    }));
  }

  async pay(whileTormented: () => Promise<PaymentDamage>): Promise<PaymentDamage> {
    let isOver = false;
    const answering = this.answerQuestions(() => isOver);
    const paying = closedLoop({ count: this.orders.length, concurrency: this.atOnce }, (index) =>
      this.follow(this.orders[index]),
    );
    const damage = await whileTormented();
    this.untilMs = performance.now() + SETTLE_MAX_MS;
    await paying;
    isOver = true;
    await answering;
    await this.client.close();
    return damage;
  }

  private async follow(order: Payment | undefined): Promise<void> {
    if (order === undefined) return;
    const { id, name } = order;
    const started = await this.insist(() => this.client.start(name, { payment: id }, { idempotencyKey: id }));
    if (started === undefined) return;
    const { runId } = started;
    order.runId = runId;
    try {
      order.end = await this.insist(async () => ({ output: await this.client.await(runId) }));
    } catch (thrown) {
      if (!(thrown instanceof PerdureError)) throw thrown;
      order.end = { code: thrown.code, message: thrown.message };
    }
  }

  private async answerQuestions(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      await pause(LOOK_EVERY_MS);
      const open = this.orders.filter(({ runId, end }) => runId !== undefined && end === undefined);
      await Promise.all(open.map((order) => this.look(order)));
    }
  }

  /** What stands in the statement of the account is the answer; what kills have paused goes on. */
  private async look({ id, runId = '' }: Payment): Promise<void> {
    const view = await this.client.view(runId).catch(() => undefined);
    const question = view?.waitingOn.find(({ promise }) => promise === 'answer');
    const hasMoved = this.bank.of(id).length > 0;
    const answer = hasMoved ? ({ as: 'happened', result: id } as const) : ({ as: 'absent' } as const);
    if (question !== undefined) await this.client.resolveEffect(runId, question.id, answer).catch(notNow);
    if (view?.pausedBecause?.startsWith('quarantined') !== true) return;
    await this.client.resume(runId, 'chaos').then(() => (this.quarantinesEnded += 1), notNow);
  }

  private insist<T>(ask: () => Promise<T>): Promise<T | undefined> {
    return insist(() => this.untilMs, ask);
  }
}

/** Somebody else was quicker, it is too early, or nobody answers: the next look will show. */
function notNow(thrown: unknown): void {
  if (!(thrown instanceof PerdureError)) throw thrown;
}
