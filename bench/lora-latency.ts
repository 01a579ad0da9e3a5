import { setTimeout as sleep } from 'node:timers/promises';
import type { Benchmark, BenchPorts } from './benchmark.ts';
import { figureOf, median, quantile, rounded, type Figure } from './figure.ts';
import { cpuSecondsOf } from './kernel.ts';
import { makeFleet } from './lora-motes.ts';
import { openTraffic, type Traffic } from './lora-run.ts';
import { openRadioSetting } from './lora-setting.ts';
import { monotonic } from './clock.ts';

const GOAL_P99_MS = 20;
const MOTES = 100;
const PER_SECOND = 50;

interface Run {
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly mostMs: number;
}

/** Motes do not wait for each other: the time between two uplinks is exponentially distributed. */
async function spread(traffic: Traffic, forMs: number, signal: AbortSignal): Promise<void> {
  const start = monotonic();
  for (let due = 0; due < forMs; due += (-Math.log(1 - Math.random()) * 1_000) / PER_SECOND) {
    const wait = start + due - monotonic();
    if (wait > 0) await sleep(wait, undefined, { signal });
    traffic.send();
  }
}

async function once(traffic: Traffic, forMs: number, signal: AbortSignal): Promise<Run> {
  traffic.takeLatencies();
  await spread(traffic, forMs, signal);
  await traffic.settled();
  const latencies = traffic.takeLatencies();
  const at = (q: number): number => rounded(quantile(latencies, q));
  return { p50Ms: at(0.5), p95Ms: at(0.95), p99Ms: at(0.99), mostMs: at(1) };
}

async function* run({ options, say, signal }: BenchPorts): AsyncGenerator<Figure> {
  const setting = await openRadioSetting();
  try {
    const fleet = makeFleet(MOTES);
    const edge = await setting.start(fleet);
    const traffic = await openTraffic(edge, fleet);
    traffic.prepare(5_000);
    await once(traffic, options.quick ? 500 : 10_000, signal);
    const runs: Run[] = [];
    const [cpuBefore, since] = [cpuSecondsOf(edge.process.pid), monotonic()];
    for (let i = 0; i < (options.quick ? 1 : 3); i++) {
      runs.push(await once(traffic, options.quick ? 1_000 : 20_000, signal));
      say(JSON.stringify(runs.at(-1)));
    }
    const cpuPercent = ((cpuSecondsOf(edge.process.pid) - cpuBefore) * 100_000) / (monotonic() - since);
    const { sent, lost, doubled } = await traffic.judge();
    traffic.close();
    await edge.stop();
    const of = (key: keyof Run): number => median(runs.map((one) => one[key]));
    const { cores } = setting;
    const context = { motes: MOTES, uplinksPerSecond: PER_SECOND, cores, sent };
    yield figureOf({
      figure: 'lora.latency',
      unit: 'ms',
      values: runs.map(({ p99Ms }) => p99Ms),
      goal: GOAL_P99_MS,
      context: {
        ...context,
        p50Ms: of('p50Ms'),
        p95Ms: of('p95Ms'),
        mostMs: of('mostMs'),
        cpuPercent: rounded(cpuPercent, 1),
      },
    });
    const never = { unit: 'uplinks', goal: 0, judged: 'worst', context } as const;
    yield figureOf({ figure: 'lora.latency.lost', values: [lost], ...never });
    yield figureOf({ figure: 'lora.latency.doubled', values: [doubled], ...never });
  } finally {
    await setting.close();
  }
}

export const loraLatency: Benchmark = {
  name: 'lora.latency',
  about:
    'from the UDP datagram of an uplink to its event on the bus, each frame and event synced, at 50 uplinks/s',
  withinS: ({ quick }) => (quick ? 600 : 180),
  run,
};
