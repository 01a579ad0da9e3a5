import { setTimeout as sleep } from 'node:timers/promises';
import { BenchError, type Benchmark, type BenchPorts } from './benchmark.ts';
import { figureOf, median, rounded, type Figure } from './figure.ts';
import { memoryOf, type Memory } from './kernel.ts';
import { makeFleet, type Fleet } from './lora-motes.ts';
import { openTraffic, saturate } from './lora-run.ts';
import { openRadioSetting, type RadioEdge, type RadioSetting } from './lora-setting.ts';
import { collectGarbage, INSPECTABLE } from './inspect.ts';

const GOAL_MB = 60;
const SESSIONS = 10_000;
/** Frames that each of them has sent. */
const FRAMES = 3;
/** Of the edge that takes as many frames of few devices: what it holds then is the work's, not the sessions'. */
const FEW = 100;
/** So many at once from one device, which the ring would not take otherwise. */
const UNLIMITED = { rings: { burst: 100_000 } };
const IN_FLIGHT = 128;
const LOOKS = 5;
/** How long a process is left alone, and how long after each other it is looked at then, ms. */
const REST = { restMs: 5_000, everyMs: 1_000 };
const QUICK = { restMs: 300, everyMs: 100 };
const BYTES_PER_MB = 1e6;

interface Look extends Pick<Memory, 'rss' | 'anonymous' | 'files'> {
  /** JavaScript objects, MB. */
  readonly heap: number;
}

/** A process at rest, as it was and once its garbage is collected; it never need be, on a machine that has the room. */
interface Rest extends Look {
  readonly beforeCollection: number;
  readonly lost: number;
}

async function heapOf({ coreData }: RadioEdge): Promise<number> {
  const text = await (await fetch(`${coreData}/api/v3/metrics`)).text();
  const bytes = Number(/^nodejs_heap_size_used_bytes (\S+)$/m.exec(text)?.[1]);
  if (Number.isNaN(bytes)) throw new BenchError('the metrics have no heap size');
  return rounded(bytes / BYTES_PER_MB, 1);
}

async function look(edge: RadioEdge, everyMs: number, signal: AbortSignal): Promise<Look> {
  const looks: Memory[] = [];
  for (let i = 0; i < LOOKS; i++) {
    await sleep(everyMs, undefined, { signal });
    looks.push(memoryOf(edge.process.pid));
  }
  const of = (key: keyof Memory): number => rounded(median(looks.map((one) => one[key])), 1);
  return { rss: of('rss'), anonymous: of('anonymous'), files: of('files'), heap: await heapOf(edge) };
}

/** The devices send so many frames in turns; returns how many of them did not arrive. */
async function speak(edge: RadioEdge, fleet: Fleet, uplinks: number, signal: AbortSignal): Promise<number> {
  const traffic = await openTraffic(edge, fleet);
  for (let i = 0; i < FRAMES; i++) {
    traffic.prepare(uplinks / FRAMES);
    await saturate(traffic, { inFlight: IN_FLIGHT, uplinks: uplinks / FRAMES, signal });
    await traffic.settled();
  }
  traffic.close();
  return traffic.sent - traffic.arrived;
}

async function measure(
  setting: RadioSetting,
  { devices, uplinks }: { readonly devices: number; readonly uplinks: number },
  ports: BenchPorts,
): Promise<Rest> {
  const { options, say, signal } = ports;
  const { restMs, everyMs } = options.quick ? QUICK : REST;
  const fleet = makeFleet(devices);
  const edge = await setting.start(fleet, UNLIMITED);
  const lost = uplinks === 0 ? 0 : await speak(edge, fleet, uplinks, signal);
  await sleep(restMs, undefined, { signal });
  const { rss: beforeCollection } = memoryOf(edge.process.pid);
  await collectGarbage(edge.process);
  const rest = { ...(await look(edge, everyMs, signal)), beforeCollection, lost };
  await edge.stop();
  say(`${devices} sessions: ${JSON.stringify(rest)}`);
  return rest;
}

async function* run(ports: BenchPorts): AsyncGenerator<Figure> {
  const setting = await openRadioSetting(INSPECTABLE);
  try {
    const sessions = ports.options.quick ? 200 : SESSIONS;
    const uplinks = sessions * FRAMES;
    const idle = await measure(setting, { devices: 0, uplinks: 0 }, ports);
    const few = await measure(setting, { devices: FEW, uplinks }, ports);
    const full = await measure(setting, { devices: sessions, uplinks }, ports);
    const context = { sessions, frames: FRAMES, full };
    const above = (base: Rest, key: keyof Look): number => rounded(full[key] - base[key], 1);
    yield figureOf({
      figure: 'lora.sessions',
      unit: 'MB',
      values: [above(idle, 'rss')],
      goal: GOAL_MB,
      context: { ...context, idle, heapAbove: above(idle, 'heap') },
    });
    yield figureOf({
      figure: 'lora.sessions.own',
      unit: 'MB',
      values: [above(few, 'rss')],
      context: { ...context, few, fewDevices: FEW, heapAbove: above(few, 'heap') },
    });
    yield figureOf({
      figure: 'lora.sessions.lost',
      unit: 'uplinks',
      values: [few.lost + full.lost],
      goal: 0,
      judged: 'worst',
      context: { sessions, frames: FRAMES },
    });
  } finally {
    await setting.close();
  }
}

export const loraSessions: Benchmark = {
  name: 'lora.sessions',
  about:
    'resident memory of 10 000 LoRaWAN sessions, each with a few frames stored, above the same edge without devices',
  withinS: ({ quick }) => (quick ? 600 : 300),
  run,
};
