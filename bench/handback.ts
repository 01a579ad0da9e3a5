import { setTimeout as sleep } from 'node:timers/promises';
import { BenchError, type Benchmark, type BenchPorts } from './benchmark.ts';
import { figureOf, rounded, type Figure } from './figure.ts';
import { cpuSecondsOf, memoryOf } from './kernel.ts';
import { CONTRACT, openHandbackSetting, type Backlog, type HandbackEdge } from './handback-setting.ts';
import { makeFleet } from './lora-motes.ts';
import { monotonic } from './clock.ts';

const GOAL_PER_SECOND = 20_000;
const MOTES = 1_000;
const POLL_MS = 100;
const STILL_MS = 20_000;

interface Sample {
  readonly done: number;
  readonly aMB: number;
  readonly bMB: number;
}

interface Stage {
  readonly perSecond: number;
  readonly cpuUsA: number;
  readonly cpuUsB: number;
  readonly samples: readonly Sample[];
  /** The longest that a request to the other edge's room took meanwhile. */
  readonly slowestMs: number;
}

async function json(url: string, init?: RequestInit): Promise<Record<string, unknown>> {
  const response = await fetch(url, init);
  if (!response.ok) throw new BenchError(`${url}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Record<string, unknown>;
}

const put = (url: string, body: unknown): Promise<unknown> =>
  json(url, { method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

/** What was done at a moment, and how long the look took. */
type Look = () => Promise<number>;

async function watch(
  { a, b }: Pair,
  { frames }: Backlog,
  look: Look,
  { say, signal }: BenchPorts,
): Promise<Stage> {
  const samples: Sample[] = [];
  const [start, cpuA, cpuB] = [monotonic(), cpuSecondsOf(a.process.pid), cpuSecondsOf(b.process.pid)];
  let [done, at, slowestMs] = [-1, start, 0];
  for (;;) {
    signal.throwIfAborted();
    const asked = monotonic();
    const now = await look();
    slowestMs = Math.max(slowestMs, monotonic() - asked);
    if (now !== done) [done, at] = [now, monotonic()];
    samples.push({ done, aMB: memoryOf(a.process.pid).rss, bMB: memoryOf(b.process.pid).rss });
    if (done >= frames) break;
    if (monotonic() - at > STILL_MS) throw new BenchError(`nothing moves any more at ${done} of ${frames}`);
    await sleep(POLL_MS);
  }
  const used = (pid: number, before: number): number =>
    rounded(((cpuSecondsOf(pid) - before) / frames) * 1e6, 1);
  const stage = {
    perSecond: rounded((frames / (at - start)) * 1000, 0),
    cpuUsA: used(a.process.pid, cpuA),
    cpuUsB: used(b.process.pid, cpuB),
    samples,
    slowestMs: rounded(slowestMs, 0),
  };
  say(JSON.stringify({ ...stage, samples: samples.length }));
  return stage;
}

interface Pair {
  readonly a: HandbackEdge;
  readonly b: HandbackEdge;
}

/** Memory at every tenth of the way. */
function memoryAt({ samples }: Stage, key: 'aMB' | 'bMB'): number[] {
  const last = samples.at(-1)?.done ?? 0;
  return Array.from({ length: 11 }, (_, i) => {
    const found = samples.find(({ done }) => done >= (last * i) / 10);
    return rounded(found?.[key] ?? NaN, 1);
  });
}

async function fill({ a, b }: Pair): Promise<void> {
  await put(`${a.url('gatewayBridge')}/api/v3/ring/own/source`, { edgeId: b.edgeId, ringId: CONTRACT });
}

const acknowledgedAt =
  ({ b }: Pair): Look =>
  async () =>
    Number((await json(`${b.url('gatewayBridge')}/api/v3/ring/${CONTRACT}`))['acknowledged']);

const storedAt =
  ({ a }: Pair): Look =>
  async () =>
    Number((await json(`${a.url('coreData')}/api/v3/event/count`))['count']);

type Measure = (pair: Pair, backlog: Backlog, ports: BenchPorts) => Promise<Stage>;

/** With a ring that has room for all of it, and nobody who reads it. */
const ringToRing: Measure = async (pair, backlog, ports) => {
  const devAddrs = backlog.fleet.devices.map(({ devAddr }) => devAddr);
  const ring = { devAddrs, budgetBytes: backlog.budgetBytes, deliver: false };
  await put(`${pair.a.url('gatewayBridge')}/api/v3/ring/own`, ring);
  await fill(pair);
  return watch(pair, backlog, acknowledgedAt(pair), ports);
};

/** Until core-data has every one. */
const ringToStore: Measure = async (pair, backlog, ports) => {
  await fill(pair);
  return watch(pair, backlog, storedAt(pair), ports);
};

async function measure(
  ports: BenchPorts,
  frames: number,
  rooms: readonly string[],
  of: Measure,
): Promise<Stage> {
  const setting = await openHandbackSetting();
  try {
    const backlog = await setting.prepare(makeFleet(MOTES), frames, ports.signal);
    ports.say(`${frames} frames lie at the provider`);
    const b = await setting.start('b', ['edge2edge', 'gateway-bridge'], backlog);
    const a = await setting.start('a', ['edge2edge', 'gateway-bridge', ...rooms], backlog);
    await setting.introduce(a, b);
    return await of({ a, b }, backlog, ports);
  } finally {
    await setting.close();
  }
}

async function* run(ports: BenchPorts): AsyncGenerator<Figure> {
  const frames = ports.options.quick ? 50_000 : 1_000_000;
  const stages = {
    'handover.handback': { rooms: [], of: ringToRing, goal: GOAL_PER_SECOND },
    'handover.handback.readable': {
      rooms: ['core-metadata', 'core-data', 'device-lora'],
      of: ringToStore,
      goal: undefined,
    },
  } as const;
  for (const [figure, { rooms, of, goal }] of Object.entries(stages)) {
    const stage = await measure(ports, frames, rooms, of);
    const { cpuUsA, cpuUsB, slowestMs } = stage;
    const memory = { aMB: memoryAt(stage, 'aMB'), bMB: memoryAt(stage, 'bMB') };
    const context = { readings: frames, motes: MOTES, cpuUsA, cpuUsB, slowestMs, ...memory };
    yield figureOf({
      ...{ figure, unit: 'readings/s', values: [stage.perSecond], better: 'more', context },
      goal: ports.options.quick ? undefined : goal,
    });
  }
}

export const handback: Benchmark = {
  name: 'handover.handback',
  about: 'a backlog from the provider’s ring to its owner: acknowledged on the disk; readable in core-data',
  withinS: ({ quick }) => (quick ? 600 : 3_600),
  run,
};
