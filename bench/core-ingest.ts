import type { Benchmark, BenchPorts } from './benchmark.ts';
import { openPublisher, postEvents, publishEvenly, publishPacket, type Posted } from './core-load.ts';
import { startCore, type RunningCore } from './core-setting.ts';
import { figureOf, median, rounded, type Figure } from './figure.ts';
import { cpuSecondsOf, memoryOf } from './kernel.ts';
import { monotonic } from './clock.ts';

const POST_GOALS: ReadonlyMap<number, number> = new Map([
  [1, 2_300],
  [10, 7_000],
  [64, 12_000],
]);
const P99_GOAL_MS = 15;
const BURST_EVENTS = 20_000;
const BURST_GOAL = 25_000;
const STREAM_GOAL = 10_000;
/** A little more, because the time counts until the last one is stored. */
const STREAM_PER_SECOND = 10_200;
/** What a process of a steady load may still grow, MB. */
const GROWN_GOAL_MB = 16;
const WARM_UP_MS = 2_000;

/** With the processor time that core-data's process took for each event. */
type Run = Posted & { readonly cpuUs: number };

interface Posts {
  /** By the number of connections. */
  readonly runs: ReadonlyMap<number, Run>;
  /** Events that were acknowledged and are not in the store. */
  readonly missing: number;
}

async function withCore<T>(work: (core: RunningCore) => Promise<T>): Promise<T> {
  const core = await startCore();
  try {
    return await work(core);
  } finally {
    await core.stop();
  }
}

/** One run: a new store, a warm process, then each concurrency in turn; every event acknowledged is counted again in the store. */
function post({ options, signal, say }: BenchPorts): Promise<Posts> {
  return withCore(async (core) => {
    const forMs = options.quick ? 500 : 8_000;
    const runs = new Map<number, Run>();
    let { events: first } = await postEvents(core.http, {
      concurrency: 10,
      forMs: options.quick ? 500 : WARM_UP_MS,
      first: 0,
    });
    for (const concurrency of POST_GOALS.keys()) {
      signal.throwIfAborted();
      const cpuBefore = cpuSecondsOf(core.pid);
      const { events, ...figures } = await postEvents(core.http, { concurrency, forMs, first });
      first += events;
      const cpuUs = ((cpuSecondsOf(core.pid) - cpuBefore) / events) * 1e6;
      runs.set(concurrency, { ...figures, cpuUs });
      say(`POST by ${concurrency}: ${JSON.stringify(figures)}`);
    }
    return { runs, missing: first - (await core.eventCount()) };
  });
}

async function* posts(ports: BenchPorts): AsyncGenerator<Figure> {
  const all: Posts[] = [];
  for (let i = 0; i < (ports.options.quick ? 1 : 3); i++) all.push(await post(ports));
  for (const [concurrency, goal] of POST_GOALS) {
    const of = (key: keyof Run): number[] => all.map(({ runs }) => runs.get(concurrency)?.[key] ?? NaN);
    yield figureOf({
      figure: `core.ingest.post${concurrency}`,
      unit: 'events/s',
      values: of('perSecond'),
      goal,
      better: 'more',
      context: { p50Ms: median(of('p50Ms')), p99Ms: median(of('p99Ms')), cpuUs: median(of('cpuUs')) },
    });
  }
  yield figureOf({
    figure: 'core.ingest.post64.p99',
    unit: 'ms',
    values: all.map(({ runs }) => runs.get(64)?.p99Ms ?? NaN),
    goal: P99_GOAL_MS,
  });
  yield figureOf({
    figure: 'core.ingest.post.missing',
    unit: 'events',
    values: all.map(({ missing }) => missing),
    goal: 0,
    judged: 'worst',
  });
}

interface Burst {
  readonly perSecond: number;
  readonly lost: number;
  readonly cpuUs: number;
}

/** Publishes as fast as the broker reads; from the first byte until the last event is stored. */
async function burst(core: RunningCore, first: number, events: number): Promise<Burst> {
  const packets = Array.from({ length: events }, (_, i) => publishPacket(first + i));
  const publisher = await openPublisher(core.mqtt);
  const before = await core.eventCount();
  const cpuBefore = cpuSecondsOf(core.pid);
  const start = monotonic();
  await publisher.send(Buffer.concat(packets));
  const end = await core.untilStored(before + events);
  publisher.close();
  const lost = before + events - (await core.eventCount());
  const cpuUs = ((cpuSecondsOf(core.pid) - cpuBefore) / events) * 1e6;
  return { perSecond: events / ((end - start) / 1_000), lost, cpuUs };
}

async function* bursts({ options, signal, say }: BenchPorts): AsyncGenerator<Figure> {
  const events = options.quick ? 2_000 : BURST_EVENTS;
  const all = await withCore(async (core) => {
    const done: Burst[] = [];
    for (let i = 0; i < (options.quick ? 2 : 7); i++) {
      signal.throwIfAborted();
      done.push(await burst(core, i * events, events));
      say(`MQTT burst of ${events}: ${JSON.stringify(done.at(-1))}`);
    }
    return done;
  });
  // The first one meets code that was not compiled yet.
  const warm = all.slice(1);
  const context = {
    events,
    firstPerSecond: rounded(all[0]?.perSecond ?? NaN, 0),
    cpuUs: median(warm.map(({ cpuUs }) => cpuUs)),
  };
  yield figureOf({
    figure: 'core.ingest.burst',
    unit: 'events/s',
    values: warm.map(({ perSecond }) => perSecond),
    goal: BURST_GOAL,
    better: 'more',
    context,
  });
  yield figureOf({
    figure: 'core.ingest.burst.lost',
    unit: 'events',
    values: all.map(({ lost }) => lost),
    goal: 0,
    judged: 'worst',
    context,
  });
}

interface Stream {
  readonly sent: number;
  /** From the first one until all were stored. */
  readonly perSecond: number;
  readonly lost: number;
  /** Resident memory, MB: after a quarter of the time, and the most after that. */
  readonly quarterMB: number;
  readonly mostMB: number;
}

async function stream(core: RunningCore, seconds: number, signal: AbortSignal): Promise<Stream> {
  const publisher = await openPublisher(core.mqtt);
  const start = monotonic();
  let [quarterMB, mostMB] = [0, 0];
  const sent = await publishEvenly(publisher, STREAM_PER_SECOND, (_, elapsedMs) => {
    signal.throwIfAborted();
    if (elapsedMs > (seconds / 4) * 1_000) {
      const { rss } = memoryOf(core.pid);
      quarterMB ||= rss;
      mostMB = Math.max(mostMB, rss);
    }
    return elapsedMs >= seconds * 1_000;
  });
  const end = await core.untilStored(sent);
  publisher.close();
  const perSecond = sent / ((end - start) / 1_000);
  return { sent, perSecond, lost: sent - (await core.eventCount()), quarterMB, mostMB };
}

async function* streams({ options, signal, say }: BenchPorts): AsyncGenerator<Figure> {
  const seconds = options.quick ? 2 : 60;
  const done = await withCore((core) => stream(core, seconds, signal));
  say(`MQTT stream for ${seconds} s: ${JSON.stringify(done)}`);
  const { sent, perSecond, lost, quarterMB, mostMB } = done;
  const context = { seconds, sent, published: STREAM_PER_SECOND };
  yield figureOf({
    figure: 'core.ingest.stream',
    unit: 'events/s',
    values: [perSecond],
    goal: STREAM_GOAL,
    better: 'more',
    context,
  });
  yield figureOf({
    figure: 'core.ingest.stream.lost',
    unit: 'events',
    values: [lost],
    goal: 0,
    judged: 'worst',
    context,
  });
  yield figureOf({
    figure: 'core.ingest.stream.grown',
    unit: 'MB',
    values: [mostMB - quarterMB],
    goal: GROWN_GOAL_MB,
    context: { ...context, quarterMB, mostMB },
  });
}

async function* run(ports: BenchPorts): AsyncGenerator<Figure> {
  yield* posts(ports);
  yield* bursts(ports);
  yield* streams(ports);
}

export const coreIngest: Benchmark = {
  name: 'core.ingest',
  about: 'events into core-data: by HTTP, each on the disk before its answer; a burst and a stream by MQTT',
  withinS: ({ quick }) => (quick ? 600 : 300),
  run,
};
