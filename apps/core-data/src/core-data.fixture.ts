// core-data with a broker beside it, anew for each test of a file, and events to be given to it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach } from '@jest/globals';
import { createBroker, createLocalBus, type Broker } from '@antirio/bus';
import {
  httpPeer,
  silentLog,
  systemClock,
  systemRandom,
  type Bus,
  type HttpAnswer,
  type HttpPeer,
  type Log,
} from '@antirio/host';
import { AntirioError, utf8, uuidV4 } from '@antirio/kernel';
import { parseJsonBytes, stringifyJson } from '@antirio/edgex-contracts';
import { coreDataOptions, createCoreData, type CoreData } from './index.ts';

export const newId = (): string => uuidV4(systemRandom);
export const ORIGIN = 1602168089665565301n;

export function readingOf(
  device: string,
  resource: string,
  value: unknown,
  origin = ORIGIN,
): Record<string, unknown> {
  return { origin, deviceName: device, resourceName: resource, profileName: 'p', valueType: 'Int16', value };
}

export function requestOf(
  device: string,
  fields: Record<string, unknown> = {},
): Record<string, unknown> & { event: Record<string, unknown> & { id: string } } {
  return {
    apiVersion: 'v3',
    requestId: newId(),
    event: {
      apiVersion: 'v3',
      id: newId(),
      deviceName: device,
      profileName: 'p',
      sourceName: 's',
      origin: ORIGIN,
      readings: [readingOf(device, 'r', '7')],
      ...fields,
    },
  };
}

export const json = (answer: HttpAnswer): Record<string, unknown> =>
  parseJsonBytes(answer.body) as Record<string, unknown>;

export async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await delay(5);
}

export class CoreDataScene {
  #dataDir = '';
  #broker: Broker | undefined;
  #bus: Bus | undefined;
  #running: { readonly room: CoreData; readonly peer: HttpPeer } | undefined;

  constructor() {
    beforeAll(async () => {
      this.#broker = createBroker({ secret: systemRandom.bytes(32), listeners: [] }, silentLog);
      await this.#broker.start();
    });
    afterAll(() => this.#broker?.stop());
    beforeEach(async () => {
      this.#dataDir = mkdtempSync(join(tmpdir(), 'antirio-core-data-'));
      this.openBus();
      await this.start();
    });
    afterEach(async () => {
      await this.stop();
      await this.bus.close();
      rmSync(this.#dataDir, { recursive: true });
    });
  }

  get bus(): Bus {
    if (this.#bus === undefined) throw new AntirioError('internal', 'before the first test');
    return this.#bus;
  }
  get #now(): { readonly room: CoreData; readonly peer: HttpPeer } {
    if (this.#running === undefined) throw new AntirioError('internal', 'it does not run');
    return this.#running;
  }
  get room(): CoreData {
    return this.#now.room;
  }
  get peer(): HttpPeer {
    return this.#now.peer;
  }

  openBus(): void {
    if (this.#broker === undefined) throw new AntirioError('internal', 'before the first test');
    this.#bus = createLocalBus(this.#broker, silentLog);
  }
  readonly start = async (
    options: Record<string, unknown> = {},
    { bus, log }: { readonly bus: Bus; readonly log: Log } = { bus: this.bus, log: silentLog },
  ): Promise<void> => {
    const room = createCoreData(coreDataOptions.parse({ dataDir: this.#dataDir, port: 0, ...options }), {
      ...{ clock: systemClock, random: systemRandom, log, bus },
    });
    await room.start();
    this.#running = { room, peer: httpPeer({ url: `http://127.0.0.1:${room.port}/api/v3` }) };
  };
  readonly stop = async (): Promise<void> => {
    this.peer.close();
    await this.room.stop();
  };
  readonly post = (request: Record<string, unknown>, path: string): Promise<HttpAnswer> =>
    this.peer.call({ method: 'POST', path: `/event/${path}`, body: utf8(stringifyJson(request)) });
  readonly get = async (path: string): Promise<HttpAnswer> => this.peer.call({ path });
}
