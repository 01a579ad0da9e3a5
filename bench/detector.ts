import { setImmediate as turn } from 'node:timers/promises';
import { burstLoss, countFalsePositives, independentLoss, type FalsePositives } from '@antirio/sim';
import type { Benchmark, BenchPorts } from './benchmark.ts';
import { figureOf, type Figure } from './figure.ts';

const terms = { heartbeatIntervalMs: 200, missedBeats: 3, leaseMs: 3000 };
const DAY = (86_400_000 / terms.heartbeatIntervalMs) | 0;
const YEAR_DAYS = 365;
const LOSS = 0.2;
const BURST_MS = 1000;
const GOAL_A_YEAR = 1;

const SITUATIONS = [
  { name: 'independent', opening: 'witnessed', way: independentLoss, days: YEAR_DAYS, goal: GOAL_A_YEAR },
  { name: 'alone', opening: 'autonomous', way: independentLoss, days: YEAR_DAYS, goal: GOAL_A_YEAR },
  {
    name: 'bursts',
    opening: 'witnessed',
    way: (loss: number) => burstLoss(loss, BURST_MS),
    days: 7,
    goal: undefined,
  },
] as const;

type Situation = (typeof SITUATIONS)[number];

async function count(
  { opening, way }: Situation,
  days: number,
  signal: AbortSignal,
): Promise<FalsePositives> {
  const sum = { simulatedMs: 0, doubts: 0, suspicions: 0, deaths: 0 };
  for (let day = 1; day <= days; day++) {
    signal.throwIfAborted();
    const one = countFalsePositives({ seed: day, beats: DAY, terms: { ...terms, opening }, way: way(LOSS) });
    for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += one[key];
    await turn();
  }
  return sum;
}

async function* run({ options, say, signal }: BenchPorts): AsyncGenerator<Figure> {
  for (const situation of SITUATIONS) {
    const days = options.quick ? 1 : situation.days;
    const seen = await count(situation, days, signal);
    say(`${situation.name}: ${days} days, ${JSON.stringify(seen)}`);
    yield figureOf({
      figure: `detector.false.${situation.name}`,
      unit: 'a year',
      values: [(seen.deaths / days) * YEAR_DAYS],
      goal: situation.goal,
      context: { days, loss: LOSS, roundTripMs: 20, beatMs: terms.heartbeatIntervalMs, ...seen },
    });
  }
}

export const detector: Benchmark = {
  name: 'detector.false',
  about:
    'how often a customer that runs is taken for dead, of a simulated year in which a fifth of all datagrams is lost',
  withinS: ({ quick }) => (quick ? 600 : 3600),
  run,
};
