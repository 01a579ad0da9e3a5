import { setTimeout as sleep } from 'node:timers/promises';
import { allEvents, eventCount, judgeUplinks } from '@antirio/demo';
import { readTruth } from '@antirio/lora-simulator';
import { BenchError, type Benchmark, type BenchPorts } from './benchmark.ts';
import { figureOf, type Figure } from './figure.ts';
import { udpQueueOf, type UdpQueue } from './kernel.ts';
import { gatewayPortOf, openMotes, TRAFFIC, type Motes } from './motes.ts';
import { monotonic } from './clock.ts';
import { openSetting, type RunningParty, type Setting } from './setting.ts';

/** How long the edge is stopped, and how long the traffic is before and after that. */
interface Times {
  readonly frozenS: number;
  readonly aroundS: number;
}
const TIMES: Times = { frozenS: 10, aroundS: 3 };
const QUICK: Times = { frozenS: 3, aroundS: 1 };
/** Core-data counts as still after this long without a new event. */
const STILL_MS = 2_000;
const CATCH_UP_MS = 30_000;

interface Frozen {
  readonly drops: number;
  readonly missing: number;
  readonly heard: number;
  readonly doubled: number;
  /** In the kernel's buffer at the end of the pause. */
  readonly queuedBytes: number;
}

function queueOf(edge: RunningParty): UdpQueue {
  const queue = udpQueueOf(gatewayPortOf(edge));
  if (queue === undefined) throw new BenchError('nobody has the UDP port of the gateway-bridge');
  return queue;
}

async function untilStill(edge: RunningParty): Promise<void> {
  const deadline = monotonic() + CATCH_UP_MS;
  let [count, since] = [-1, monotonic()];
  while (monotonic() - since < STILL_MS && monotonic() < deadline) {
    const now = await eventCount(edge);
    if (now !== count) [count, since] = [now, monotonic()];
    await sleep(50);
  }
}

/** The edge takes part in nothing for a while, as under a long pause of its host. */
async function freeze(
  edge: RunningParty,
  motes: Motes,
  { frozenS, aroundS }: Times,
  signal: AbortSignal,
): Promise<Frozen> {
  await motes.radio.start();
  await sleep(aroundS * 1_000, undefined, { signal });
  edge.process.signal('SIGSTOP');
  await sleep(frozenS * 1_000, undefined, { signal });
  const { queuedBytes } = queueOf(edge);
  edge.process.signal('SIGCONT');
  await sleep(aroundS * 1_000, undefined, { signal });
  await motes.radio.stopTraffic();
  await untilStill(edge);
  const { drops } = queueOf(edge);
  const events = await allEvents(
    edge,
    motes.devices.map(({ name }) => name),
  );
  const truth = await readTruth(motes.truthFile);
  const { uplinks } = judgeUplinks({ truth, devices: motes.devices, events, disturbances: [] });
  return {
    drops,
    missing: uplinks.heard - uplinks.stored,
    heard: uplinks.heard,
    doubled: uplinks.doubled,
    queuedBytes,
  };
}

async function freezeNew(setting: Setting, name: string, times: Times, signal: AbortSignal): Promise<Frozen> {
  const motes = await openMotes(setting, name);
  const edge = await setting.start(motes.place);
  const frozen = await freeze(edge, motes, times, signal);
  await edge.stop();
  return frozen;
}

async function* run({ options, say, signal }: BenchPorts): AsyncGenerator<Figure> {
  const setting = await openSetting();
  const times = options.quick ? QUICK : TIMES;
  try {
    const all: Frozen[] = [];
    for (let i = 0; i < (options.quick ? 1 : 3); i++) {
      const frozen = await freezeNew(setting, `edge-${i}`, times, signal);
      say(`frozen ${times.frozenS} s: ${JSON.stringify(frozen)}`);
      all.push(frozen);
    }
    const context = { ...TRAFFIC, frozenS: times.frozenS, heard: all.map(({ heard }) => heard) };
    yield figureOf({
      figure: 'udp.dropped',
      unit: 'datagrams',
      values: all.map(({ drops }) => drops),
      goal: 0,
      judged: 'worst',
      context: { ...context, queuedBytes: Math.max(...all.map(({ queuedBytes }) => queuedBytes)) },
    });
    yield figureOf({
      figure: 'udp.missing',
      unit: 'readings',
      values: all.map(({ missing }) => missing),
      goal: 0,
      judged: 'worst',
      context: { ...context, doubled: all.reduce((sum, { doubled }) => sum + doubled, 0) },
    });
  } finally {
    await setting.close();
  }
}

export const udp: Benchmark = {
  name: 'udp',
  about: 'ten seconds of 50 uplinks/s into an edge that is stopped: kernel drops, readings missing',
  withinS: ({ quick }) => (quick ? 600 : 300),
  run,
};
