import { join } from 'node:path';
import { Gauge } from 'prom-client';
import {
  createBroker as createMqttBroker,
  createLocalBus,
  type Broker,
  type BearerRights,
  type BrokerCounters,
  type BusRights,
  type TlsSide,
} from '@antirio/bus';
import {
  createHttpRim,
  grants,
  type Bus,
  type HttpRim,
  type Log,
  type RimAccess,
  type Scope,
  type Service,
} from '@antirio/host';
import type { Clock, Random } from '@antirio/kernel';
import type { BrokerRoomOptions } from './options.ts';
import { ensureBrokerSecret } from './secret.ts';

export interface BrokerPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Who may call by HTTP; without it everybody who reaches the port. */
  readonly access?: RimAccess | undefined;
}

/** The message broker of an edge, and the bus of the process that it runs in. */
export interface BrokerRoom extends Service {
  /** Carries messages once the room is started. */
  readonly bus: Bus;
  /** The MQTT port in use. */
  readonly port: number;
  readonly httpPort: number;
}

/** Where the rims of foreign services lead: nobody is taken there without the login of a contract. */
export function foreignSocket(dataDir: string): string {
  return join(dataDir, 'broker', 'foreign.sock');
}

const COUNTERS: Readonly<Record<keyof BrokerCounters, string>> = {
  connected: 'clients connected now',
  refusedConnections: 'connections closed because there were too many',
  refusedLogins: 'connections refused for their credentials',
  denied: 'publications and subscriptions beyond what the client may use',
  published: 'messages published',
  oversized: 'connections closed for a packet over the limit',
  retained: 'retained messages held now',
};

const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

function countIn(rim: HttpRim, broker: Broker): void {
  for (const name of Object.keys(COUNTERS) as (keyof BrokerCounters)[])
    new Gauge({
      name: `antirio_broker_${snake(name)}`,
      help: COUNTERS[name],
      registers: [rim.metrics],
      collect() {
        this.set(broker.counters()[name]);
      },
    });
}

/** What a token lets its bearer do here. */
function bearerOf(access: RimAccess | undefined): BearerRights | undefined {
  if (access === undefined) return undefined;
  const may = (scopes: readonly Scope[], right: BusRights): boolean =>
    grants(scopes, { service: 'broker', access: right });
  return (password) => {
    const scopes = access.tokens.scopesOf(password) ?? [];
    if (may(scopes, 'write')) return 'write';
    return may(scopes, 'read') ? 'read' : undefined;
  };
}

function tlsSideOf(access: RimAccess | undefined): TlsSide | undefined {
  if (access?.tls === undefined) return undefined;
  const { tls: material, clientCertificates } = access;
  return { material, clientCertificates, isOwnHost: (socket) => access.isOwnHost(socket) };
}

/** MQTT on `bind:port` for local clients and contracts, and on a unix socket for contracts alone. */
export function createBroker(options: BrokerRoomOptions, ports: BrokerPorts): BrokerRoom {
  const { bind, dataDir } = options;
  const { log, access } = ports;
  const anonymous = access?.requireTokens === true ? 'none' : options.anonymous;
  const broker = createMqttBroker(
    {
      secret: ensureBrokerSecret(dataDir, ports.random),
      listeners: [
        { port: options.port, bind, anonymous, tls: tlsSideOf(access) },
        {
          socketPath: foreignSocket(dataDir),
          anonymous: 'none',
          maxPacketBytes: options.maxForeignPacketBytes,
        },
      ],
      bearer: bearerOf(access),
      maxClients: options.maxClients,
      maxClientsPerLogin: options.maxClientsPerContract,
      maxPacketBytes: options.maxPacketBytes,
      slowClientMs: options.slowClientMs,
    },
    log,
  );
  const bus = createLocalBus(broker, log);
  const health = (): Record<string, { ok: boolean; detail?: string }> => ({ broker: broker.health() });
  const rim = createHttpRim({
    access: ports.access,
    serviceKey: 'broker',
    version: '0.1.0',
    config: () => options,
    health,
    log,
    clock: ports.clock,
  });
  rim.route('get', '/api/v3/counters', { summary: 'what the broker counted' }, () => broker.counters());
  countIn(rim, broker);
  let httpPort = 0;
  return {
    name: 'broker',
    bus,
    get port() {
      return broker.ports[0] ?? 0;
    },
    get httpPort() {
      return httpPort;
    },
    async start() {
      await broker.start();
      httpPort = await rim.listen(options.httpPort, bind);
    },
    async stop() {
      await rim.close();
      await bus.close();
      await broker.stop();
    },
    health,
  };
}
