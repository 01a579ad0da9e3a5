import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createBroker, createLocalBus, type Broker } from '@antirio/bus';
import { httpPeer, silentLog, systemClock, systemRandom, type Bus, type HttpPeer } from '@antirio/host';
import { AntirioError, generateIdentity, openIdentity, type EdgeId, type Identity } from '@antirio/kernel';
import { apply, genesisWrites, MemoryState, signedTx, type SignedTx } from '@antirio/ledger-machine';
import { createEdge2Edge, edge2edgeOptions, type Edge2Edge } from './index.ts';

export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly peer: string | undefined;
  readonly body: string;
}

export interface Answering {
  readonly status: number;
  readonly body: unknown;
}

/** A room that notes what it is asked. */
export class Room {
  readonly asked: Asked[] = [];
  /** What the ledger says of the match `m1`. */
  match: unknown;
  readonly #server: Server;
  /** In place of `answer`. */
  raw: RequestListener | undefined;
  answer: (asked: Asked) => Answering | Promise<Answering> = () => ({ status: 200, body: { ok: true } });

  constructor() {
    this.#server = createServer((request, response) => {
      if (this.raw !== undefined) {
        this.raw(request, response);
        return;
      }
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { method = '', url = '' } = request;
        const peer = request.headers['x-antirio-peer'];
        const asked = { method, url, peer: peer?.toString(), body: Buffer.concat(chunks).toString() };
        this.asked.push(asked);
        const answered = ({ status, body }: Answering): void => {
          response.writeHead(status, { 'content-type': 'application/json' });
          response.end(JSON.stringify(body));
        };
        Promise.resolve(this.answer(asked)).then(answered, () => response.destroy());
      });
    });
  }

  async open(): Promise<HttpPeer> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return httpPeer({ url: `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}` });
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

/** The real ledger machine behind the resources of the ledger room. */
function ledgerRoom(arbitrator: EdgeId): Room {
  const state = new MemoryState();
  state.apply(genesisWrites(state, { arbitrator, balances: { [arbitrator]: 5000 }, openingBalance: 1000 }));
  let height = 0;
  const room = new Room();
  room.answer = ({ method, url, body }) => {
    if (url === '/ledger/v1/head')
      return { status: 200, body: { height: String(height), stateHash: '', time: 0 } };
    if (method === 'POST') {
      height += 1;
      const tx = signedTx.parse(JSON.parse(body)) as SignedTx;
      const { receipt, writes } = apply(state, tx, { now: height, height });
      state.apply(writes);
      return { status: 200, body: receipt };
    }
    const key = decodeURIComponent(url.replace('/ledger/v1/state/', ''));
    const value = key === 'match/m1' ? room.match : state.get(key);
    return value === undefined ? { status: 404, body: {} } : { status: 200, body: { key, value } };
  };
  return room;
}

const ROOMS = [
  'gatewayBridge',
  'orchestrator',
  'arbitrator',
  'dmu',
  'filecoinInterface',
  'marketplace',
] as const;

export interface TestEdge {
  readonly identity: Identity;
  readonly dataDir: string;
  readonly bus: Bus;
  readonly rooms: Record<(typeof ROOMS)[number], Room> & { ledger?: Room };
  readonly edge: Edge2Edge;
  /** Its own rooms' way in. */
  readonly local: HttpPeer;
  readonly url: string;
  /** Stops and builds it again on the same data folder and identity. */
  restart(options?: object): Promise<void>;
  close(): Promise<void>;
}

async function openBus(): Promise<{ broker: Broker; bus: Bus }> {
  const broker = createBroker({ secret: systemRandom.bytes(32), listeners: [] }, silentLog);
  await broker.start();
  return { broker, bus: createLocalBus(broker, silentLog) };
}

export async function startEdge(
  options: object = {},
  more: Readonly<Record<string, HttpPeer>> = {},
): Promise<TestEdge> {
  const identity = openIdentity(generateIdentity());
  const dataDir = mkdtempSync(join(tmpdir(), 'antirio-e2e-'));
  const { broker, bus } = await openBus();
  const rooms = Object.fromEntries(ROOMS.map((name) => [name, new Room()])) as TestEdge['rooms'];
  if ('role' in options && options.role === 'central') rooms.ledger = ledgerRoom(identity.edgeId);
  const peers: Record<string, HttpPeer> = { ...more };
  for (const [name, room] of Object.entries(rooms)) peers[name] = await room.open();

  const build = async (more: object): Promise<Edge2Edge> => {
    const ports = { clock: systemClock, random: systemRandom, log: silentLog, bus, identity, peers };
    const parsed = edge2edgeOptions.parse({ port: 0, peerPort: 0, udpPort: 0, dataDir, ...options, ...more });
    const built = createEdge2Edge(parsed, ports);
    await built.start();
    return built;
  };
  const tidy = async (): Promise<void> => {
    for (const peer of Object.values(peers)) peer.close();
    for (const room of Object.values(rooms)) room.close();
    await bus.close();
    await broker.stop();
    rmSync(dataDir, { recursive: true });
  };
  let edge = await build({}).catch(async (error: unknown) => {
    await tidy();
    throw error;
  });
  let local = httpPeer({ url: `http://127.0.0.1:${edge.port}` });
  return {
    identity,
    dataDir,
    bus,
    rooms,
    get edge() {
      return edge;
    },
    get local() {
      return local;
    },
    get url() {
      return `http://127.0.0.1:${edge.peerPort}`;
    },
    async restart(more = {}) {
      await edge.stop();
      local.close();
      edge = await build(more);
      local = httpPeer({ url: `http://127.0.0.1:${edge.port}` });
    },
    async close() {
      await edge.stop();
      local.close();
      await tidy();
    },
  };
}

/** Tells one edge where another one is. */
export async function introduce(edge: TestEdge, other: TestEdge): Promise<void> {
  const udp = { host: '127.0.0.1', port: other.edge.udpPort };
  const json = { url: other.url, udp, sealKey: other.identity.sealKey };
  const answer = await edge.local.call({
    method: 'PUT',
    path: `/api/v3/peer/${other.identity.edgeId}`,
    json,
  });
  if (answer.status !== 200) throw new AntirioError('internal', Buffer.from(answer.body).toString());
}

/** Asks again and again; what never comes ends with the test's own limit. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await delay(10);
}
