import type { Benchmark, BenchPorts } from './benchmark.ts';
import { figureOf, type Figure } from './figure.ts';
import type { Place } from './bundled.ts';
import { openSetting, type Setting } from './setting.ts';

const GOAL_MS = 2_000;

async function timeOfStart(setting: Setting, place: Place): Promise<number> {
  const edge = await setting.start(place);
  await edge.stop();
  return edge.healthyMs;
}

async function* run({ options, say, signal }: BenchPorts): AsyncGenerator<Figure> {
  const setting = await openSetting();
  try {
    const first: number[] = [];
    const again: number[] = [];
    for (let i = 0; i < (options.quick ? 1 : 10); i++) {
      signal.throwIfAborted();
      const place = setting.place(`edge-${i}`, {});
      first.push(await timeOfStart(setting, place));
      again.push(await timeOfStart(setting, place));
      say(`start ${i + 1}: ${Math.round(first.at(-1) ?? 0)} ms, again ${Math.round(again.at(-1) ?? 0)} ms`);
    }
    yield figureOf({ figure: 'start.first', unit: 'ms', values: first, goal: GOAL_MS });
    yield figureOf({ figure: 'start.again', unit: 'ms', values: again, goal: GOAL_MS });
  } finally {
    await setting.close();
  }
}

export const start: Benchmark = {
  name: 'start',
  about: 'a whole edge, from the start of its process until every service is ready',
  withinS: ({ quick }) => (quick ? 600 : 300),
  run,
};
