import type { Benchmark, BenchPorts } from './benchmark.ts';
import { figureOf, median, quantile, rounded, type Figure } from './figure.ts';
import { cpuSecondsOf } from './kernel.ts';
import { makeFleet } from './lora-motes.ts';
import { openTraffic, saturate, type Traffic } from './lora-run.ts';
import { openRadioSetting, type RadioEdge } from './lora-setting.ts';

const GOAL_PER_SECOND = 2_000;
/** So many that no mote sends more than the radio's rules let it. */
const MOTES = 4_000;
const IN_FLIGHT = 256;

interface Run {
  readonly perSecond: number;
  readonly cpuUs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

async function once(edge: RadioEdge, traffic: Traffic, forMs: number, signal: AbortSignal): Promise<Run> {
  traffic.prepare(Math.ceil((forMs / 1_000) * GOAL_PER_SECOND * 2));
  traffic.takeLatencies();
  const cpuBefore = cpuSecondsOf(edge.process.pid);
  const { arrived, seconds } = await saturate(traffic, { inFlight: IN_FLIGHT, forMs, signal });
  const cpuUs = ((cpuSecondsOf(edge.process.pid) - cpuBefore) / arrived) * 1e6;
  const latencies = traffic.takeLatencies();
  await traffic.settled();
  const at = (q: number): number => rounded(quantile(latencies, q));
  return { perSecond: arrived / seconds, cpuUs: rounded(cpuUs, 0), p50Ms: at(0.5), p99Ms: at(0.99) };
}

async function* run({ options, say, signal }: BenchPorts): AsyncGenerator<Figure> {
  const setting = await openRadioSetting();
  try {
    const fleet = makeFleet(options.quick ? 200 : MOTES);
    const edge = await setting.start(fleet);
    const traffic = await openTraffic(edge, fleet);
    // Until the code is compiled.
    await once(edge, traffic, options.quick ? 500 : 8_000, signal);
    const runs: Run[] = [];
    for (let i = 0; i < (options.quick ? 1 : 5); i++) {
      runs.push(await once(edge, traffic, options.quick ? 500 : 6_000, signal));
      say(JSON.stringify(runs.at(-1)));
    }
    const { sent, lost, doubled } = await traffic.judge();
    traffic.close();
    await edge.stop();
    const of = (key: keyof Run): number => median(runs.map((one) => one[key]));
    const context = { motes: fleet.devices.length, inFlight: IN_FLIGHT, cores: setting.cores, sent };
    yield figureOf({
      figure: 'lora.uplinks',
      unit: 'uplinks/s',
      values: runs.map(({ perSecond }) => perSecond),
      goal: GOAL_PER_SECOND,
      better: 'more',
      context: { ...context, cpuUs: of('cpuUs'), p50Ms: of('p50Ms'), p99Ms: of('p99Ms') },
    });
    const never = { unit: 'uplinks', goal: 0, judged: 'worst', context } as const;
    yield figureOf({ figure: 'lora.uplinks.lost', values: [lost], ...never });
    yield figureOf({ figure: 'lora.uplinks.doubled', values: [doubled], ...never });
  } finally {
    await setting.close();
  }
}

export const loraUplinks: Benchmark = {
  name: 'lora.uplinks',
  about: 'uplinks on one core, from the UDP port by way of MIC, codec and core-data to the event on the bus',
  withinS: ({ quick }) => (quick ? 600 : 180),
  run,
};
