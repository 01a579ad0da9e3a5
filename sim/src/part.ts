// A thread that runs stretches of seeds, one after the other, for whoever started it (`parts.ts`).
import { parentPort, workerData } from 'node:worker_threads';
import { runSeed } from './run.ts';
import { storyOf } from './story.ts';
import type { Order, Stretch, StretchResult } from './stretch.ts';

const { kind, stories: told } = workerData as Order;

function run({ from, count }: Stretch): StretchResult {
  let events = 0;
  let simulatedMs = 0;
  const failed: { seed: number; words: string }[] = [];
  const stories: string[] = [];
  for (let seed = from; seed < from + count; seed++) {
    const result = runSeed(seed, { kind });
    events += result.events;
    simulatedMs += result.simulatedMs;
    const [violation] = result.violations;
    const isFirst = violation !== undefined && failed.length === 0;
    if (told !== 'failing' || isFirst)
      stories.push(storyOf(runSeed(seed, { kind, trace: true }), told === 'fine'));
    if (violation !== undefined)
      failed.push({ seed, words: `broke ${violation.invariant}: ${violation.message}` });
  }
  return { from, count, events, simulatedMs, failed, stories };
}

parentPort?.on('message', (stretch: Stretch) => {
  parentPort?.postMessage(run(stretch));
});
