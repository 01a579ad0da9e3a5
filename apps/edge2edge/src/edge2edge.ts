import { isIPv6 } from 'node:net';
import { Gauge } from 'prom-client';
import {
  createHttpRim,
  httpPeer,
  type Health,
  type HttpPeer,
  type HttpRim,
  type Service,
} from '@antirio/host';
import { AntirioError, fromUtf8 } from '@antirio/kernel';
import { createLedgerClient, type LedgerClient } from '@antirio/ledger-http';
import { openAddressBook } from './address-book.ts';
import { createDatagrams } from './datagrams.ts';
import { createDirectory, type Directory } from './directory.ts';
import { addLocalRoutes } from './local-routes.ts';
import { VERSION, type Edge2EdgeOptions, type Edge2EdgePorts, type PeerAddress } from './options.ts';
import { createPeerDevices } from './peer-devices.ts';
import { createPeerClient, type PeerClient, type PeerClientParts } from './peer-client.ts';
import { createPeerListener } from './peer-listener.ts';
import { askingEdge, createRelay } from './relay.ts';
import { relayedRequest } from './relay-wire.ts';
import { MAX_BODY_BYTES } from './request-proof.ts';
import { HEADERS } from './request-signature.ts';
import { keepRegistered, type Registration } from './registration.ts';

/** The door between edges. Its ports are known once it is started. */
export interface Edge2Edge extends Service {
  readonly port: number;
  readonly peerPort: number;
  readonly udpPort: number;
}

const EVERYWHERE = ['0.0.0.0', '::', '[::]'];

/** What others should use to reach us. @throws AntirioError badConfig where nobody could know. */
function advertised(options: Edge2EdgeOptions, peerPort: number, udpPort: number): Required<PeerAddress> {
  const { advertise, peerBind } = options;
  if (advertise === undefined && EVERYWHERE.includes(peerBind))
    throw new AntirioError(
      'badConfig',
      `edge2edge.peerBind is ${peerBind}: say in edge2edge.advertise under which url and udp address others reach this edge`,
    );
  const host = isIPv6(peerBind) ? `[${peerBind}]` : peerBind;
  const url = advertise?.url ?? `http://${host}:${peerPort}`;
  const udp = advertise?.udp ?? { host: new URL(url).hostname.replace(/^\[|\]$/g, ''), port: udpPort };
  return { url, udp };
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(fromUtf8(bytes));
  } catch {
    return undefined;
  }
}

function countIn(rim: HttpRim, counters: () => Readonly<Record<string, number>>): void {
  new Gauge({
    name: 'antirio_edge2edge_total',
    help: 'requests and datagrams by what became of them',
    labelNames: ['what'],
    registers: [rim.metrics],
    collect() {
      for (const [what, count] of Object.entries(counters())) this.set({ what }, count);
    },
  });
}

/** The ledger: at the centre in the next room, elsewhere through our own signed requests to the centre. */
function ledgerOf(options: Edge2EdgeOptions, ports: Edge2EdgePorts, client: PeerClient): LedgerClient {
  const { identity, random, log } = ports;
  const central = options.central?.edgeId;
  const local = options.role === 'central' ? ports.peers['ledger'] : undefined;
  const remote: HttpPeer = {
    call: async (call) => {
      if (central === undefined) throw new AntirioError('unavailable', 'no central is configured');
      return client.call(central, call);
    },
    close: () => undefined,
  };
  const prefix = local === undefined ? '/ledger' : '';
  return createLedgerClient({ peer: local ?? remote, prefix, identity, random, log });
}

/** Who carries what the other edge itself cannot be asked. */
function relayedBy({ role, central, relay }: Edge2EdgeOptions): PeerClientParts['relay'] {
  if (!relay.enabled || role === 'central' || central === undefined) return undefined;
  return { central: central.edgeId, directMs: relay.directMs };
}

export function createEdge2Edge(options: Edge2EdgeOptions, ports: Edge2EdgePorts): Edge2Edge {
  const { identity, random, log } = ports;
  const own = identity.edgeId;
  const book = openAddressBook(options);
  const relayed = relayedBy(options);
  const client = createPeerClient({
    ...{ identity, clock: ports.clock, random, log },
    directory: () => directory,
    relay: relayed,
  });
  const ledger = ledgerOf(options, ports, client);
  const relay = createRelay({
    ...{ options: options.relay, clock: ports.clock, log },
    record: (key) => ledger.query(key),
    send: (to, call) => client.pass(to, call),
  });
  const directory: Directory = createDirectory({ options, ports, book, ledger });
  const datagrams = createDatagrams({ options, ports, directory });

  let self: HttpPeer | undefined;
  const rooms: Record<string, HttpPeer> = {
    ...ports.peers,
    edge2edge: {
      call: (call) => self?.call(call) ?? Promise.reject(new AntirioError('unavailable', 'not started')),
      close: () => self?.close(),
    },
  };
  const listener = createPeerListener({ options, ports, directory, rooms });
  const counters = (): Readonly<Record<string, number>> => {
    const dropped = Object.entries(datagrams.counters()).map(
      ([what, n]) => [`datagrams_${what}`, n] as const,
    );
    const requests = Object.entries(listener.counters()).map(([what, n]) => [`requests_${what}`, n] as const);
    const ways = Object.entries(client.counters());
    const carried = options.role === 'central' ? Object.entries(relay.counters()) : [];
    const relays = carried.map(([what, n]) => [`relay_${what}`, n] as const);
    return Object.fromEntries([...requests, ...dropped, ...ways, ...relays]);
  };
  let registration: Registration | undefined;
  let listening = { port: 0, peerPort: 0, udpPort: 0 };

  const health = async (): Promise<Health> => {
    const obstacle = registration?.obstacle();
    const obstacleOfDevices = await devices?.obstacle();
    return {
      bus: ports.bus.health(),
      peers: { ok: listening.peerPort !== 0, detail: `${book.all().length} edges in the address book` },
      // An edge whose ledger is away goes on: it is told, but it is no reason not to be ready.
      ...(registration === undefined ? {} : { ledger: { ok: true, detail: obstacle ?? 'registered' } }),
      ...(devices === undefined ? {} : { devices: { ok: true, detail: obstacleOfDevices ?? 'registered' } }),
    };
  };
  const rim = createHttpRim({
    access: ports.access,
    serviceKey: 'edge2edge',
    version: VERSION,
    config: () => ({ ...options, edgeId: own }),
    health,
    log,
    clock: ports.clock,
    maxBodyBytes: MAX_BODY_BYTES,
    // Bodies for other edges are passed on as they came.
    parseBody: parseJson,
  });
  addLocalRoutes({ rim, options, own, book, directory, client, rooms });
  rim.route('get', '/api/v3/counters', { summary: 'what came in and went out' }, counters);
  countIn(rim, counters);
  if (options.role === 'central' && options.relay.enabled)
    rim.route(
      'post',
      '/api/v3/relay',
      { summary: 'what one party of a contract has signed for the other, carried', body: relayedRequest },
      ({ body, request }) => relay.carry(askingEdge(request.get(HEADERS.peer)), body),
    );

  const localUrl = (): string =>
    `http://${isIPv6(options.bind) ? `[${options.bind}]` : options.bind}:${listening.port}`;
  const devices = createPeerDevices({ options, ports, client, book, rim, url: localUrl });

  const stop = async (): Promise<void> => {
    await registration?.stop();
    await devices?.stop();
    await listener.close();
    await rim.close();
    await datagrams.stop();
    client.close();
    self?.close();
  };
  const start = async (): Promise<void> => {
    const peerPort = await listener.listen(options.peerPort, options.peerBind);
    const udpPort = await datagrams.start(options.udpPort, options.peerBind);
    const addresses = advertised(options, peerPort, udpPort);
    const port = await rim.listen(options.port, options.bind);
    listening = { port, peerPort, udpPort };
    self = httpPeer({ url: localUrl(), credentials: ports.access?.credentialsFor(localUrl()) });
    await devices?.start();
    if (options.role === 'edge' && options.central === undefined) return;
    const registered = { name: options.name ?? own.slice(-8), sealKey: identity.sealKey, addresses };
    registration = keepRegistered({ ports, ledger, own: registered });
  };
  return {
    name: 'edge2edge',
    get port() {
      return listening.port;
    },
    get peerPort() {
      return listening.peerPort;
    },
    get udpPort() {
      return listening.udpPort;
    },
    async start() {
      try {
        await start();
      } catch (error) {
        await stop();
        throw error;
      }
    },
    stop,
    health,
  };
}
