import { statSync } from 'node:fs';
import { importEvents, storePath } from '@antirio/core-data';
import type { Event } from '@antirio/edgex-contracts';
import { httpPeer, systemRandom, type HttpPeer } from '@antirio/host';
import { uuidV4 } from '@antirio/kernel';
import { BenchError, type Benchmark, type BenchPorts } from './benchmark.ts';
import { openCoreSetting, type CoreSetting } from './core-services.ts';
import { figureOf, median, quantile, rounded, type Figure } from './figure.ts';
import { cpuSecondsOf } from './kernel.ts';
import { monotonic } from './clock.ts';

const DEVICES = 100;
const RESOURCES = ['Temperature', 'Humidity', 'Pressure'];
const FIRST_ORIGIN = 1_700_000_000_000_000_000n;
const APART_NS = 1_000_003n;
const GOAL_BYTES = 120;
const GOAL_TIMES = 2;

interface Query {
  readonly name: string;
  readonly path: string;
  readonly concurrency: number;
  readonly goalMs: number;
}

const QUERIES: readonly Query[] = [
  { name: 'all', path: '/reading/all?limit=100', concurrency: 1, goalMs: 2 },
  { name: 'all10', path: '/reading/all?limit=100', concurrency: 10, goalMs: 15 },
  { name: 'far', path: '/reading/all?offset=90000&limit=100', concurrency: 1, goalMs: 8 },
  { name: 'device', path: '/event/device/name/device-7?limit=20', concurrency: 1, goalMs: 2 },
  { name: 'count', path: '/reading/count', concurrency: 1, goalMs: 1 },
];

/** Events with one reading each, of devices in turn, as a device service makes them: the reading has the event's origin. */
function* eventsOf(count: number): Generator<Event> {
  for (let n = 0; n < count; n++) {
    const deviceName = `device-${n % DEVICES}`;
    const resourceName = RESOURCES[n % RESOURCES.length] ?? '';
    const names = { deviceName, profileName: 'bench-profile', origin: FIRST_ORIGIN + BigInt(n) * APART_NS };
    const value = (((n * 7919) % 10_000) / 100).toFixed(2);
    const reading = {
      ...names,
      resourceName,
      valueType: 'Float32',
      units: 'C',
      kind: 'simple',
      value,
    } as const;
    yield {
      ...names,
      apiVersion: 'v3',
      id: uuidV4(systemRandom),
      sourceName: resourceName,
      readings: [reading],
    };
  }
}

interface Asked {
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Processor time of the services for each request. */
  readonly cpuMs: number;
}

async function ask(
  peer: HttpPeer,
  pid: number,
  { path, concurrency }: Query,
  requests: number,
): Promise<Asked> {
  const times: number[] = [];
  let left = requests;
  const client = async (): Promise<void> => {
    while (left-- > 0) {
      const start = monotonic();
      const { status } = await peer.call({ path: `/api/v3${path}`, timeoutMs: 30_000 });
      times.push(monotonic() - start);
      if (status !== 200) throw new BenchError(`${path} answered ${status}`);
    }
  };
  const before = cpuSecondsOf(pid);
  await Promise.all(Array.from({ length: concurrency }, client));
  const cpuMs = ((cpuSecondsOf(pid) - before) * 1_000) / requests;
  return { p50Ms: quantile(times, 0.5), p99Ms: quantile(times, 0.99), cpuMs };
}

/** What the queries took of a store of so many readings, by the query's name; and the store's bytes for each reading. */
interface Measured {
  readonly bytes: number;
  readonly asked: ReadonlyMap<string, readonly Asked[]>;
}

async function measure(setting: CoreSetting, readings: number, ports: BenchPorts): Promise<Measured> {
  const { options, say, signal } = ports;
  const place = setting.newPlace();
  const start = monotonic();
  await importEvents(place.folder, eventsOf(readings), signal);
  const bytes = statSync(storePath(place.folder)).size / readings;
  say(
    `${readings} readings put in, ${rounded((monotonic() - start) / 1_000, 0)} s, ${rounded(bytes, 1)} bytes each`,
  );
  const services = await setting.start(place);
  const peer = httpPeer({ url: services.url('core-data') });
  const asked = new Map<string, Asked[]>();
  try {
    for (let run = 0; run < (options.quick ? 1 : 6); run++)
      for (const query of QUERIES) {
        signal.throwIfAborted();
        const taken = await ask(peer, services.process.pid, query, options.quick ? 20 : 200);
        // the first run meets code that was not compiled yet
        if (run > 0 || options.quick) asked.set(query.name, [...(asked.get(query.name) ?? []), taken]);
      }
  } finally {
    peer.close();
    await services.stop();
  }
  return { bytes, asked };
}

const medianOf = (measured: Measured, query: Query): number =>
  median((measured.asked.get(query.name) ?? []).map(({ p50Ms }) => p50Ms));

/** How much slower the query is that suffers most. */
function slowdown(readings: number, measured: Measured, base: Measured): Figure {
  const all = QUERIES.map((query) => ({
    name: query.name,
    times: rounded(medianOf(measured, query) / medianOf(base, query), 2),
  })).toSorted((a, b) => b.times - a.times);
  return figureOf({
    figure: 'core.large.times',
    unit: 'times',
    values: all.slice(0, 1).map(({ times }) => times),
    goal: GOAL_TIMES,
    context: {
      readings,
      base: SMALL,
      queries: Object.fromEntries(all.map(({ name, times }) => [name, times])),
    },
  });
}

function* figuresOf(
  prefix: string,
  readings: number,
  measured: Measured,
  base?: Measured,
): Generator<Figure> {
  const { bytes, asked } = measured;
  for (const query of QUERIES) {
    const { name, path, concurrency, goalMs } = query;
    const runs = asked.get(name) ?? [];
    const p50 = (taken: readonly Asked[]): number[] => taken.map(({ p50Ms }) => p50Ms);
    yield figureOf({
      figure: `${prefix}.${name}`,
      unit: 'ms',
      values: p50(runs),
      goal: goalMs,
      context: {
        ...{ path, concurrency, readings },
        p99Ms: median(runs.map(({ p99Ms }) => p99Ms)),
        cpuMs: median(runs.map(({ cpuMs }) => cpuMs)),
        ...(base === undefined
          ? {}
          : { times: rounded(medianOf(measured, query) / medianOf(base, query), 2) }),
      },
    });
  }
  yield figureOf({
    figure: `${prefix}.bytes`,
    unit: 'bytes',
    values: [rounded(bytes, 1)],
    goal: GOAL_BYTES,
    context: { readings },
  });
}

const SMALL = 100_000;
const LARGE = 10_000_000;

async function* queries(ports: BenchPorts): AsyncGenerator<Figure> {
  const setting = await openCoreSetting();
  try {
    yield* figuresOf('core.query', SMALL, await measure(setting, SMALL, ports));
  } finally {
    await setting.close();
  }
}

async function* large(ports: BenchPorts): AsyncGenerator<Figure> {
  const readings = ports.options.quick ? 2 * SMALL : LARGE;
  const setting = await openCoreSetting();
  try {
    const base = await measure(setting, SMALL, ports);
    const measured = await measure(setting, readings, ports);
    yield* figuresOf('core.large', readings, measured, base);
    yield slowdown(readings, measured, base);
  } finally {
    await setting.close();
  }
}

export const coreQueries: readonly Benchmark[] = [
  {
    name: 'core.query',
    about: 'queries of core-data with 100 000 readings by REST, and what a reading takes of the disk',
    withinS: ({ quick }) => (quick ? 600 : 300),
    run: queries,
  },
  {
    name: 'core.large',
    about: 'the same with 10 million readings',
    withinS: ({ quick }) => (quick ? 600 : 1_800),
    run: large,
  },
];
