// What the tests of a service of EdgeX share: its surroundings, and the service in them.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import { z } from 'zod';
import { createBroker, createLocalBus, type Broker } from '@antirio/bus';
import { AntirioError } from '@antirio/kernel';
import {
  createHttpRim,
  httpPeer,
  silentLog,
  systemClock,
  systemRandom,
  waitFor,
  type Bus,
  type HttpPeer,
  type HttpRim,
  type Log,
  type RimAccess,
} from '@antirio/host';
import { baseResponse, makeEnvelope } from '@antirio/edgex-contracts';
import { createEdgexService, edgexServiceOptions, type EdgexService } from './index.ts';
import { writableBoolean } from './options.ts';

export type Json = Record<string, unknown>;

export const OWN = 'edgex/v4/core-data/Writable';
export const COMMON = 'edgex/v4/core-common-config-bootstrapper/all-services/Writable';

const optionsSchema = z.strictObject({
  ...edgexServiceOptions,
  bind: z.string().default('127.0.0.1'),
  dataDir: z.string(),
});

export async function until(condition: () => boolean): Promise<void> {
  const came = await waitFor(systemClock, 60_000, () => (condition() ? true : undefined), 5);
  if (came === undefined) throw new AntirioError('timeout', 'it never came to it');
}

const rimOf = (serviceKey: string, more: object = {}): HttpRim =>
  createHttpRim({
    ...{ serviceKey, version: '0', config: () => ({}), health: () => ({}) },
    ...{ log: silentLog, clock: systemClock, ...more },
  });

/** Stands in for core-keeper. */
class Keeper {
  keys: Record<string, string> = {};
  readonly registered: Json[] = [];
  answers = true;
  readonly rim = rimOf('core-keeper');

  constructor() {
    const there = (): void => {
      if (!this.answers) throw new AntirioError('unavailable', 'not yet');
    };
    this.rim.route('get', '/api/v3/kvs/key/:key', { summary: '' }, ({ params }) => {
      there();
      const { key } = params as { key: string };
      const found = Object.entries(this.keys).filter(([at]) => at.startsWith(`${key}/`));
      if (found.length === 0) throw new AntirioError('notFound', 'no such key');
      return { ...baseResponse(200), response: found.map(([at, value]) => ({ key: at, value })) };
    });
    for (const method of ['post', 'put'] as const)
      this.rim.route(method, '/api/v3/registry', { summary: '', status: 201 }, ({ body }) => {
        there();
        const { registration } = body as { registration: Json };
        if (method === 'post' && this.registered.length > 0) throw new AntirioError('conflict', 'there');
        this.registered.push(registration);
      });
  }
}

interface Running {
  readonly edgex: EdgexService;
  readonly peer: HttpPeer;
  readonly log: Log;
  /** What was logged. */
  readonly said: Json[];
  /** What is in force of the service's own. */
  readonly applied: Json[];
  stop(): Promise<void>;
}

interface Given {
  readonly options?: Json;
  readonly counters?: Readonly<Record<string, () => number>>;
  readonly fromEnvironment?: (section: string) => Json;
  readonly access?: RimAccess;
}

/** A folder, a bus and core-keeper. */
export class Surroundings {
  readonly dataDir = mkdtempSync(join(tmpdir(), 'antirio-edgex-service-'));
  readonly bus: Bus;
  readonly keeper: Keeper;
  readonly #broker: Broker;
  readonly #peer: HttpPeer;
  /** Ends of services that run: a test that fails ends none. */
  readonly #stops = new Set<() => Promise<void>>();

  private constructor(broker: Broker, keeper: Keeper, keeperPort: number) {
    this.#broker = broker;
    this.bus = createLocalBus(broker, silentLog);
    this.keeper = keeper;
    this.#peer = httpPeer({ url: `http://127.0.0.1:${keeperPort}` });
  }

  static async open(): Promise<Surroundings> {
    const broker = createBroker({ secret: systemRandom.bytes(32), listeners: [] }, silentLog);
    await broker.start();
    const keeper = new Keeper();
    return new Surroundings(broker, keeper, await keeper.rim.listen(0, '127.0.0.1'));
  }

  /** Sets a key of core-keeper, or takes it away, and tells of it. */
  async change(key: string, value: string | undefined): Promise<void> {
    const { keeper } = this;
    if (value === undefined)
      keeper.keys = Object.fromEntries(Object.entries(keeper.keys).filter(([at]) => at !== key));
    else keeper.keys[key] = value;
    await this.bus.publish(`edgex/configs/${key}`, makeEnvelope({ key, value }, { correlationID: 'c' }));
  }

  /** Runs core-data's part of it. */
  async run({ options = {}, counters = {}, fromEnvironment, access }: Given = {}): Promise<Running> {
    const said: Json[] = [];
    const write = (line: string): void => void said.push(JSON.parse(line) as Json);
    const log = pino({ level: 'info' }, { write });
    const applied: Json[] = [];
    const edgex = createEdgexService({
      serviceKey: 'core-data',
      options: optionsSchema.parse({ dataDir: this.dataDir, ...options }),
      ports: {
        ...{ clock: systemClock, random: systemRandom, log, bus: this.bus, fromEnvironment, access },
        peers: { 'core-keeper': this.#peer },
      },
      writable: {
        schema: z.object({ PersistData: writableBoolean.optional() }),
        configured: { PersistData: true },
        apply: (values) => void applied.push(values),
      },
      counters,
    });
    const rim = rimOf('core-data', { config: () => edgex.config(), before: edgex.before });
    edgex.addRoutes(rim);
    rim.route('get', '/api/v3/never', { summary: '' }, () => delay(400, {}));
    await edgex.follow();
    const port = await rim.listen(0, '127.0.0.1');
    const peer = httpPeer({ url: `http://127.0.0.1:${port}/api/v3` });
    const stop = async (): Promise<void> => {
      this.#stops.delete(stop);
      peer.close();
      await edgex.stop();
      await rim.close();
    };
    this.#stops.add(stop);
    return { edgex, peer, log, said, applied, stop };
  }

  async close(): Promise<void> {
    for (const stop of this.#stops) await stop();
    await this.bus.close();
    this.#peer.close();
    await this.keeper.rim.close();
    await this.#broker.stop();
    rmSync(this.dataDir, { recursive: true });
  }
}
