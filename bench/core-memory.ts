import { setTimeout as sleep } from 'node:timers/promises';
import { httpPeer, systemRandom, type HttpPeer } from '@antirio/host';
import { uuidV4 } from '@antirio/kernel';
import { BenchError, type Benchmark, type BenchPorts } from './benchmark.ts';
import { openCoreSetting, type CoreServices, type CoreSetting } from './core-services.ts';
import { figureOf, median, rounded, type Figure } from './figure.ts';
import { memoryOf, type Memory } from './kernel.ts';
import { monotonic } from './clock.ts';

const GOALS_MB = { idle: 110, loaded: 150 } as const;
const SENDERS = 10;
const DEVICES = 50;
const LOOKS = 5;

type Phase = keyof typeof GOALS_MB;
type Look = Memory & { readonly events: number };

async function post(peer: HttpPeer, n: number): Promise<void> {
  const names = { deviceName: `device-${n % DEVICES}`, profileName: 'p', origin: 1_700_000_000_000 + n };
  const reading = { ...names, resourceName: 'r', valueType: 'Int32', value: String(n) };
  const event = {
    ...names,
    apiVersion: 'v3',
    id: uuidV4(systemRandom),
    sourceName: 'r',
    readings: [reading],
  };
  const path = `/api/v3/event/svc/p/${names.deviceName}/r`;
  const { status } = await peer.call({ method: 'POST', path, json: { apiVersion: 'v3', event } });
  if (status !== 201) throw new BenchError(`an event was answered with ${status}`);
}

/** Stores and asks as fast as it goes; returns how many events were stored. */
async function load(services: CoreServices, forMs: number, signal: AbortSignal): Promise<number> {
  const peer = httpPeer({ url: services.url('core-data') });
  const until = monotonic() + forMs;
  let n = 0;
  const sender = async (): Promise<void> => {
    while (monotonic() < until) {
      signal.throwIfAborted();
      await post(peer, n++);
      if (n % 20 === 0) await peer.call({ path: '/api/v3/reading/all?limit=100' });
    }
  };
  try {
    await Promise.all(Array.from({ length: SENDERS }, sender));
  } finally {
    peer.close();
  }
  return n;
}

async function look(
  { process: { pid } }: CoreServices,
  events: number,
  everyMs: number,
  signal: AbortSignal,
): Promise<Look> {
  const looks: Memory[] = [];
  for (let i = 0; i < LOOKS; i++) {
    await sleep(everyMs, undefined, { signal });
    looks.push(memoryOf(pid));
  }
  const of = (key: keyof Memory): number => rounded(median(looks.map((one) => one[key])), 1);
  return { rss: of('rss'), peak: of('peak'), anonymous: of('anonymous'), files: of('files'), events };
}

async function measure(
  setting: CoreSetting,
  { options, say, signal }: BenchPorts,
): Promise<Record<Phase, Look>> {
  const [restMs, loadMs, everyMs] = options.quick ? [500, 1_000, 200] : [30_000, 30_000, 1_000];
  const services = await setting.start(setting.newPlace());
  try {
    await sleep(restMs, undefined, { signal });
    const idle = await look(services, 0, everyMs, signal);
    const events = await load(services, loadMs, signal);
    const loaded = await look(services, events, everyMs, signal);
    say(`at rest ${idle.rss} MB, after ${events} events ${loaded.rss} MB`);
    return { idle, loaded };
  } finally {
    await services.stop();
  }
}

async function* run(ports: BenchPorts): AsyncGenerator<Figure> {
  const setting = await openCoreSetting();
  try {
    const runs: Record<Phase, Look>[] = [];
    for (let i = 0; i < (ports.options.quick ? 1 : 3); i++) runs.push(await measure(setting, ports));
    for (const phase of ['idle', 'loaded'] as const) {
      const of = (key: keyof Look): number => median(runs.map((one) => one[phase][key]));
      yield figureOf({
        figure: `core.memory.${phase}`,
        unit: 'MB',
        values: runs.map((one) => one[phase].rss),
        goal: GOALS_MB[phase],
        context: { anonymous: of('anonymous'), files: of('files'), peak: of('peak'), events: of('events') },
      });
    }
  } finally {
    await setting.close();
  }
}

export const coreMemory: Benchmark = {
  name: 'core.memory',
  about:
    'resident memory of the four EdgeX core services and the broker in one process, at rest and after load',
  withinS: ({ quick }) => (quick ? 600 : 420),
  run,
};
