import { setImmediate as turn } from 'node:timers/promises';
import { measureAvailability, type Availability } from '@antirio/sim';
import { BenchError, type Benchmark, type BenchPorts } from './benchmark.ts';
import { figureOf, rounded, type Figure } from './figure.ts';

const MOTES = 50;
const HOURS = 24;
const DAYS = 3;
const GOAL_PERCENT = 99.999;

const percent = (part: number, of: number): number => rounded((100 * part) / of, 4);

function total(days: readonly Availability[], of: (day: Availability) => number): number {
  return days.reduce((sum, day) => sum + of(day), 0);
}

async function* run({ options, say, signal }: BenchPorts): AsyncGenerator<Figure> {
  const [wanted, hours] = options.quick ? [1, 1] : [options.runs ?? DAYS, HOURS];
  for (const opening of ['witnessed', 'autonomous'] as const) {
    const days: Availability[] = [];
    for (let seed = 1; seed <= wanted; seed++) {
      signal.throwIfAborted();
      const day = measureAvailability({ seed, hours, motes: MOTES, opening });
      const [broken] = day.run.violations;
      if (broken !== undefined) throw new BenchError(`seed ${seed}: ${broken.invariant}: ${broken.message}`);
      days.push(day);
      say(`${opening}, seed ${seed}: ${day.late} of ${day.covered} late, ${JSON.stringify(day.faults)}`);
      await turn();
    }
    yield figureOf({
      figure: `availability.${opening}`,
      unit: '%',
      values: [
        percent(
          total(days, ({ covered, late }) => covered - late),
          total(days, ({ covered }) => covered),
        ),
      ],
      goal: GOAL_PERCENT,
      better: 'more',
      context: {
        ...{ days: wanted, hours, motes: MOTES },
        covered: total(days, ({ covered }) => covered),
        late: total(days, ({ late }) => late),
        latestMs: Math.round(Math.max(...days.map(({ latestMs }) => latestMs))),
        actingPercent: percent(
          total(days, ({ actingSeconds }) => actingSeconds),
          total(days, ({ seconds }) => seconds),
        ),
        faults: total(days, ({ faults }) => Object.values(faults).reduce((sum, count) => sum + count, 0)),
        epochs: total(days, ({ epochs }) => epochs),
      },
    });
  }
}

export const availability: Benchmark = {
  name: 'availability',
  about:
    'simulated days with faults by chance: the share of covered uplinks that an edge could read within 5 s',
  withinS: ({ quick, runs = DAYS }) => (quick ? 120 : 600 * runs),
  run,
};
