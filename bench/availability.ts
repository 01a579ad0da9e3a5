import { setImmediate as turn } from 'node:timers/promises';
import { measureAvailability, type Availability } from '@antirio/sim';
import { BenchError, type Benchmark, type BenchPorts } from './benchmark.ts';
import { figureOf, rounded, type Figure } from './figure.ts';

const MOTES = 50;
const HOURS = 24;
const DAYS = 3;
const GOAL_PERCENT = 99.999;

/** Gateways push to their own edge, as most do, or to both edges of the contract. */
const WORLDS = [
  { opening: 'witnessed', pushToBoth: false },
  { opening: 'autonomous', pushToBoth: false },
  { opening: 'witnessed', pushToBoth: true },
] as const;

const percent = (part: number, of: number): number => rounded((100 * part) / of, 4);

function total(days: readonly Availability[], of: (day: Availability) => number): number {
  return days.reduce((sum, day) => sum + of(day), 0);
}

async function* run({ options, say, signal }: BenchPorts): AsyncGenerator<Figure> {
  const [wanted, hours] = options.quick ? [1, 1] : [options.runs ?? DAYS, HOURS];
  for (const { opening, pushToBoth } of WORLDS) {
    const name = pushToBoth ? `${opening}.bothGateways` : opening;
    const days: Availability[] = [];
    for (let seed = 1; seed <= wanted; seed++) {
      signal.throwIfAborted();
      const day = measureAvailability({ seed, hours, motes: MOTES, opening, pushToBoth });
      const [broken] = day.run.violations;
      if (broken !== undefined) throw new BenchError(`seed ${seed}: ${broken.invariant}: ${broken.message}`);
      days.push(day);
      say(`${name}, seed ${seed}: ${day.late} of ${day.covered} late, ${JSON.stringify(day.faults)}`);
      for (const [why, count] of Object.entries(day.lateWhy)) say(`  ${count} late: ${why}`);
      await turn();
    }
    yield figureOf({
      figure: `availability.${name}`,
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
        // where nothing, or one thing at a time, is broken: what the promise is about
        underOneFaultPercent: percent(
          total(days, ({ underOneFault }) => underOneFault.covered - underOneFault.late),
          total(days, ({ underOneFault }) => underOneFault.covered),
        ),
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
  withinS: ({ quick, runs = DAYS }) => (quick ? 600 : 900 * runs),
  run,
};
