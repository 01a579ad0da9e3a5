import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { BenchError, type Benchmark, type BenchPorts } from './benchmark.ts';
import { idOf, openPublisher, publishEvenly } from './core-load.ts';
import { newCoreFolder, startCore, type RunningCore } from './core-setting.ts';
import { figureOf, type Figure } from './figure.ts';
import { monotonic } from './clock.ts';

const PER_SECOND = 10_200;
const GOAL_MS = 50;
/** Killed when the process is warm, at a moment of a span, drawn evenly over the runs, so that it falls anywhere in a commit. */
const EARLIEST_MS = 6_000;
const EARLIEST_QUICK_MS = 1_000;
const SPAN_MS = 100;

interface Killed {
  readonly sent: number;
  /** Events at the end of the traffic that the store lacks. */
  readonly missing: number;
  /** From the first of them on, how long the traffic had lasted when the process was killed. */
  readonly missingMs: number;
}

interface Burst {
  readonly upTo: number;
  readonly at: number;
}

async function isStored(core: RunningCore, n: number): Promise<boolean> {
  const { status } = await fetch(`http://127.0.0.1:${core.http}/api/v3/event/id/${idOf(n)}`);
  return status === 200;
}

/** Only the end may be missing: all before it is there, and nothing twice. */
async function storedWithoutHoles(core: RunningCore): Promise<number> {
  const count = await core.eventCount();
  const endsThere = (count === 0 || (await isStored(core, count - 1))) && !(await isStored(core, count));
  if (!endsThere) throw new BenchError(`the ${count} stored events are not the first ones`);
  return count;
}

async function killAfter(ms: number, folder: string, signal: AbortSignal): Promise<Killed> {
  const bursts: Burst[] = [];
  const core = await startCore(folder);
  let killedAt = Infinity;
  try {
    const publisher = await openPublisher(core.mqtt);
    const traffic = publishEvenly(publisher, PER_SECOND, (sent) => {
      bursts.push({ upTo: sent, at: monotonic() });
      return monotonic() > killedAt;
      // the broker is in the process that is killed
    }).catch(() => undefined);
    await sleep(ms, undefined, { signal });
    killedAt = monotonic();
    await core.kill();
    await traffic;
    publisher.close();
  } finally {
    await core.stop();
  }
  const sent = bursts.findLast(({ at }) => at <= killedAt)?.upTo ?? 0;
  const again = await startCore(folder);
  try {
    const stored = await storedWithoutHoles(again);
    const firstMissing = bursts.find(({ upTo, at }) => upTo > stored && at <= killedAt);
    return {
      sent,
      missing: Math.max(0, sent - stored),
      missingMs: firstMissing === undefined ? 0 : killedAt - firstMissing.at,
    };
  } finally {
    await again.stop();
  }
}

async function* run({ options, signal, say }: BenchPorts): AsyncGenerator<Figure> {
  const [runs, earliestMs] = options.quick ? [1, EARLIEST_QUICK_MS] : [12, EARLIEST_MS];
  const all: Killed[] = [];
  for (let i = 0; i < runs; i++) {
    const folder = newCoreFolder();
    try {
      all.push(await killAfter(earliestMs + (SPAN_MS * i) / runs, folder, signal));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    say(`killed: ${JSON.stringify(all.at(-1))}`);
  }
  yield figureOf({
    figure: 'core.kill.missing',
    unit: 'ms',
    values: all.map(({ missingMs }) => missingMs),
    goal: GOAL_MS,
    judged: 'worst',
    context: { published: PER_SECOND, events: all.map(({ missing }) => missing) },
  });
}

export const coreKill: Benchmark = {
  name: 'core.kill',
  about: 'SIGKILL in a stream with QoS 0: how much of the traffic before it core-data lacks afterwards',
  withinS: ({ quick }) => (quick ? 600 : 180),
  run,
};
