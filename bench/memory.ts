import { setTimeout as sleep } from 'node:timers/promises';
import { eventCount } from '@antirio/demo';
import type { Benchmark, BenchPorts } from './benchmark.ts';
import { figureOf, median, rounded, type Figure } from './figure.ts';
import { childrenOf, cpuSecondsOf, memoryOf, type Memory } from './kernel.ts';
import { openMotes, TRAFFIC, type Motes } from './motes.ts';
import { monotonic } from './clock.ts';
import { openSetting, type RunningParty, type Setting } from './setting.ts';

const GOAL_MB = 180;
const SAMPLE_EVERY_MS = 1_000;

/** One look at an edge's memory. */
interface Sample extends Memory {
  /** Resident MB of each process that it started. */
  readonly children: readonly number[];
}

/** What one process had over a while. */
interface Phase {
  readonly samples: readonly Sample[];
  /** Part of one core that it used, in hundredths. */
  readonly cpuPercent: number;
}

interface Measured {
  readonly idle: Phase;
  readonly busy: Phase;
  readonly stored: number;
}

function sample({ process: { pid } }: RunningParty): Sample {
  return { ...memoryOf(pid), children: childrenOf(pid).map((child) => memoryOf(child).rss) };
}

/** Lets time pass, then looks once a second for as long as `lookS` says. */
async function phaseOf(
  edge: RunningParty,
  seconds: number,
  lookS: number,
  signal: AbortSignal,
): Promise<Phase> {
  await sleep((seconds - lookS) * 1_000, undefined, { signal });
  const samples: Sample[] = [];
  const [usedBefore, since] = [cpuSecondsOf(edge.process.pid), monotonic()];
  for (let i = 0; i < lookS; i++) {
    await sleep(SAMPLE_EVERY_MS, undefined, { signal });
    samples.push(sample(edge));
  }
  const used = cpuSecondsOf(edge.process.pid) - usedBefore;
  return { samples, cpuPercent: rounded((used * 100 * 1_000) / (monotonic() - since), 1) };
}

async function measure(edge: RunningParty, motes: Motes, ports: BenchPorts): Promise<Measured> {
  const { options, say, signal } = ports;
  const [seconds, lookS] = options.quick ? [15, 5] : [60, 20];
  const idle = await phaseOf(edge, seconds, lookS, signal);
  say(`at rest ${idle.samples.at(-1)?.rss ?? NaN} MB; the motes begin`);
  await motes.radio.start();
  const busy = await phaseOf(edge, seconds, lookS, signal);
  await motes.radio.stopTraffic();
  const stored = await eventCount(edge);
  say(`busy ${busy.samples.at(-1)?.rss ?? NaN} MB, ${stored} readings stored`);
  return { idle, busy, stored };
}

async function measureNew(setting: Setting, name: string, ports: BenchPorts): Promise<Measured> {
  const motes = await openMotes(setting, name);
  const edge = await setting.start(motes.place);
  const measured = await measure(edge, motes, ports);
  await edge.stop();
  return measured;
}

const overall = (runs: readonly Phase[], of: (sample: Sample) => number): number =>
  rounded(median(runs.flatMap(({ samples }) => samples.map(of))), 1);

function figure(name: string, runs: readonly Phase[], goal: number | undefined, more = {}): Figure {
  return figureOf({
    figure: name,
    unit: 'MB',
    values: runs.map(({ samples }) => median(samples.map(({ rss }) => rss))),
    goal,
    context: {
      anonymous: overall(runs, ({ anonymous }) => anonymous),
      files: overall(runs, ({ files }) => files),
      peak: Math.max(...runs.flatMap(({ samples }) => samples.map(({ peak }) => peak))),
      children: runs.at(-1)?.samples.at(-1)?.children ?? [],
      cpuPercent: median(runs.map(({ cpuPercent }) => cpuPercent)),
      ...more,
    },
  });
}

async function* run(ports: BenchPorts): AsyncGenerator<Figure> {
  const setting = await openSetting();
  try {
    const all: Measured[] = [];
    for (let i = 0; i < (ports.options.quick ? 1 : 3); i++)
      all.push(await measureNew(setting, `edge-${i}`, ports));
    yield figure(
      'memory.idle',
      all.map(({ idle }) => idle),
      GOAL_MB,
    );
    yield figure(
      'memory.busy',
      all.map(({ busy }) => busy),
      undefined,
      { ...TRAFFIC, stored: all.map(({ stored }) => stored) },
    );
  } finally {
    await setting.close();
  }
}

export const memory: Benchmark = {
  name: 'memory',
  about: 'resident memory of a whole edge in one process, at rest and at 50 uplinks/s',
  withinS: ({ quick }) => (quick ? 600 : 700),
  run,
};
