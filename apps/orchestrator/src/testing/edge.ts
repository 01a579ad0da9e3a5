import { mkdtempSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createBroker, createLocalBus, type Broker } from '@antirio/bus';
import {
  httpPeer,
  silentLog,
  systemClock,
  systemRandom,
  waitFor,
  type Bus,
  type HttpPeer,
} from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import type { Runtime } from '@antirio/runtime';
import { createOrchestrator, orchestratorOptions, type Orchestrator } from '../index.ts';
import { openStub, type StubRoom } from './stub-rooms.ts';

const PEERS = ['migration', 'dmu', 'arbitrator', 'coreData', 'coreMetadata'] as const;
type PeerName = (typeof PEERS)[number];

/** An edge around one orchestrator: a real broker, and stubs in place of the other rooms. */
export interface TestEdge {
  readonly dir: string;
  readonly bus: Bus;
  /** For an orchestrator in a process of its own. */
  readonly brokerUrl: string;
  readonly rooms: Readonly<Record<PeerName, StubRoom>>;
  readonly urls: Readonly<Record<PeerName, string>>;
  /** @throws AntirioError internal before the start. */
  readonly orchestrator: Orchestrator;
  readonly http: HttpPeer;
  /** Starts one, after another was stopped. */
  start(more?: object, runtime?: Runtime): Promise<void>;
  close(): Promise<void>;
}

export async function openTestEdge(): Promise<TestEdge> {
  const dir = mkdtempSync(join(tmpdir(), 'orch-'));
  const secret = systemRandom.bytes(32);
  mkdirSync(join(dir, 'broker'));
  writeFileSync(join(dir, 'broker', 'secret'), Buffer.from(secret).toString('hex'));
  const broker: Broker = createBroker(
    {
      secret,
      listeners: [
        { port: 0, bind: '127.0.0.1', anonymous: 'loopback' },
        { socketPath: join(dir, 'broker', 'foreign.sock'), anonymous: 'none' },
      ],
    },
    silentLog,
  );
  await broker.start();
  const bus = createLocalBus(broker, silentLog);
  const stubs = await Promise.all(PEERS.map(async (name) => [name, await openStub()] as const));
  const rooms = Object.fromEntries(stubs) as Record<PeerName, StubRoom>;
  const urls = Object.fromEntries(stubs.map(([name, { url }]) => [name, url])) as Record<PeerName, string>;
  const peers = Object.fromEntries(stubs.map(([name, { url }]) => [name, httpPeer({ url })]));
  for (const { 1: stub } of stubs) stub.answer = () => ({ json: {} });
  let running: { readonly room: Orchestrator; readonly http: HttpPeer } | undefined;
  const started = (): NonNullable<typeof running> => {
    if (running === undefined) throw new AntirioError('internal', 'not started');
    return running;
  };
  return {
    dir,
    bus,
    brokerUrl: `mqtt://127.0.0.1:${broker.ports[0] ?? 0}`,
    rooms,
    urls,
    get orchestrator() {
      return started().room;
    },
    get http() {
      return started().http;
    },
    async start(more = {}, runtime) {
      const options = orchestratorOptions.parse({
        port: 0,
        dataDir: dir,
        followIntervalMs: 50,
        stopGraceMs: 500,
        ...more,
      });
      const ports = { clock: systemClock, random: systemRandom, log: silentLog, bus, peers };
      const room = createOrchestrator(options, runtime === undefined ? ports : { ...ports, runtime });
      await room.start();
      running = { room, http: httpPeer({ url: `http://127.0.0.1:${room.port}` }) };
    },
    async close() {
      await running?.room.stop();
      running?.http.close();
      for (const peer of Object.values(peers)) peer.close();
      await bus.close();
      await broker.stop();
      await Promise.all(stubs.map(([, stub]) => stub.close()));
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** @throws AntirioError timeout when it does not come about within 15 s, or as long as is given. */
export async function until<T>(
  what: string,
  condition: () => T | undefined | Promise<T | undefined>,
  limitMs = 60_000,
  everyMs?: number,
): Promise<T> {
  const value = await waitFor(systemClock, limitMs, condition, everyMs);
  if (value === undefined) throw new AntirioError('timeout', `never came about: ${what}`);
  return value;
}

/** The file of secrets on tmpfs that holds the text. Those of other edges come and go meanwhile. */
export function secretsInMemory(text: string): string | undefined {
  const read = (file: string): string => {
    try {
      return readFileSync(file, 'utf8');
    } catch {
      return '';
    }
  };
  return readdirSync('/dev/shm')
    .filter((name) => name.startsWith('antirio-'))
    .flatMap((base) => {
      try {
        return readdirSync(join('/dev/shm', base)).map((name) =>
          join('/dev/shm', base, name, 'secrets', 'keys.json'),
        );
      } catch {
        return [];
      }
    })
    .find((file) => read(file).includes(text));
}
