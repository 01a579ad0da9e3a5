import { mkdirSync, chmodSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import type { Aedes, AedesPublishPacket, PublishPacket } from 'aedes';
import mqemitter from 'mqemitter';
import mqttPacket from 'mqtt-packet';
import { AntirioError } from '@antirio/kernel';
import { removeStaleSocket, type Check, type Log } from '@antirio/host';
import { AcknowledgingAedes } from './acknowledging.ts';
import { createAccess, type AccessCounters, type BearerRights } from './broker-clients.ts';
import { createFrameLimit } from './frame-limit.ts';
import { isLoopback } from './broker-access.ts';
import { tlsFront, type TlsSide } from './tls-front.ts';
import { MAX_PACKET_BYTES } from './limits.ts';
import type { Offered } from './inbox.ts';

/** Where to listen, and from where clients without a login are taken: this host's loopback, everywhere, nowhere. */
export type BrokerListener = (
  | {
      readonly port: number;
      readonly bind: string;
      readonly anonymous: 'loopback' | 'all' | 'none';
      /** For those who come from other hosts; from this host TLS or not, as they begin. */
      readonly tls?: TlsSide | undefined;
    }
  | { readonly socketPath: string; readonly anonymous: 'all' | 'none' }
) & {
  /** Largest MQTT packet from here, where it is less than the broker's. */
  readonly maxPacketBytes?: number;
};

export interface BrokerOptions {
  /** 32 bytes: what the passwords of foreign services are made with. */
  readonly secret: Uint8Array;
  readonly listeners: readonly BrokerListener[];
  /** Who logs in with a token in place of a contract's password. */
  readonly bearer?: BearerRights | undefined;
  /** Connections at once (default 256); at a listener with TLS other hosts have three quarters of them. */
  readonly maxClients?: number;
  /** Connections at once with the login of one contract (default 8). */
  readonly maxClientsPerLogin?: number;
  /** Largest MQTT packet (default 36 MiB and its head: EdgeX's largest event of 25 000 KB, in base64, in its envelope). */
  readonly maxPacketBytes?: number;
  /** QoS 2 messages of one client that may wait for their release (default 64). */
  readonly maxInflight?: number;
  /** A client that takes nothing for so long is disconnected (default 10 s); until then those who publish to it wait. */
  readonly slowClientMs?: number;
}

export interface BrokerCounters extends AccessCounters {
  readonly connected: number;
  /** Connections closed because there were too many. */
  readonly refusedConnections: number;
  readonly published: number;
  readonly oversized: number;
  readonly retained: number;
}

/** What the in-process bus needs of the broker. */
export interface BrokerEngine {
  /**
   * Resolves when every subscriber in this process is through with it and every other one's socket has taken it.
   * @throws AntirioError unavailable when a subscriber in this process refused it (QoS 1).
   */
  publish(topic: string, payload: Uint8Array, qos: 0 | 1, retain: boolean): Promise<void>;
  /** Attaches a subscriber; messages come in the order in which they were published. Returns how to detach it. */
  attach(filter: string, deliver: (message: BrokerMessage) => Promise<Offered>): () => void;
  retained(filter: string): Promise<BrokerMessage[]>;
}

export interface BrokerMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: number;
}

/** An MQTT 3.1.1 broker inside this process. Sessions end with their connection and retained messages with the broker. */
export interface Broker {
  readonly engine: BrokerEngine;
  /** @throws AntirioError unavailable when a port is taken. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** The TCP ports in use, in the order of the listeners. */
  readonly ports: readonly number[];
  counters(): BrokerCounters;
  health(): Check;
}

// The library would keep a buffer for each of 65 536 numbers, seven megabytes, from the first packet that it writes.
mqttPacket.writeToStream.cacheNumbers = false;

const payloadOf = (packet: { readonly payload: string | Uint8Array }): Uint8Array => {
  const { payload } = packet;
  if (typeof payload === 'string') return Buffer.from(payload);
  return new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength);
};

/**
 * The broker's emitter, without its limit of messages under way: a handler that publishes and waits would wait for its own place. It
 * numbers messages when they leave: the broker numbers them earlier, and its clients drop as doubled what another one has overtaken.
 */
function createEmitter(numberNext: () => number, onEmit: (payload: unknown) => void): mqemitter.MQEmitter {
  const emitter = mqemitter({ concurrency: 0, matchEmptyLevels: true });
  const emit = emitter.emit.bind(emitter);
  emitter.emit = (message, callback) => {
    message['brokerCounter'] = numberNext();
    onEmit(message['payload']);
    emit(message, callback);
  };
  return emitter;
}

interface EngineParts {
  readonly aedes: AcknowledgingAedes;
  /** What to call when the message with this payload object leaves the emitter. */
  readonly emissions: WeakMap<object, () => void>;
  readonly isOpen: () => boolean;
  readonly admitRetained: (topic: string, bytes: number) => boolean;
}

function createEngine({ aedes, emissions, isOpen, admitRetained }: EngineParts): BrokerEngine {
  let turn: Promise<unknown> = Promise.resolve();
  const closed = (): AntirioError => new AntirioError('unavailable', 'the broker is closed');
  return {
    publish(topic, payload, qos, retain) {
      if (!isOpen()) return Promise.reject(closed());
      if (retain && !admitRetained(topic, payload.length))
        return Promise.reject(new AntirioError('busy', 'too many retained messages', { topic }));
      const bytes = Buffer.from(payload);
      const packet: PublishPacket = { cmd: 'publish', topic, payload: bytes, qos, retain, dup: false };
      const done = Promise.withResolvers<undefined>();
      // The next one begins when this one has left: retaining takes the broker a moment in which it would be overtaken.
      turn = turn.then(() => {
        const left = Promise.withResolvers<undefined>();
        emissions.set(bytes, () => left.resolve(undefined));
        aedes.publish(packet, (cause) => {
          left.resolve(undefined);
          if (cause instanceof AntirioError) done.reject(cause);
          else if (cause)
            done.reject(new AntirioError('unavailable', 'the broker did not publish', { topic }, cause));
          else done.resolve(undefined);
        });
        return left.promise;
      });
      return done.promise;
    },
    attach(filter, deliver) {
      const system = filter.startsWith('$');
      let attached = true;
      const listener = (packet: AedesPublishPacket, done: () => void): void => {
        const { topic, payload, qos } = packet;
        if (!attached || (topic.startsWith('$') && !system)) {
          done();
          return;
        }
        void deliver({ topic, payload: payloadOf(packet), qos }).then((offered) => {
          if (offered === 'refused' && typeof payload === 'object') aedes.refuse(payload);
          done();
        });
      };
      aedes.subscribe(filter, listener, () => undefined);
      return () => {
        // The emitter lets go of the listener a turn later.
        attached = false;
        aedes.unsubscribe(filter, listener, () => undefined);
      };
    },
    async retained(filter) {
      const { persistence } = aedes as unknown as { persistence?: Persistence };
      const found: BrokerMessage[] = [];
      if (persistence === undefined) return found;
      for await (const packet of persistence.createRetainedStreamCombi([filter]))
        found.push({ topic: packet.topic, payload: payloadOf(packet), qos: packet.qos });
      return found;
    },
  };
}

/** The part of aedes-persistence in use; aedes does not declare it. */
interface Persistence {
  createRetainedStreamCombi(filters: string[]): AsyncIterable<AedesPublishPacket>;
}

const addressOf = (listener: BrokerListener): string =>
  'port' in listener ? `${listener.bind}:${listener.port}` : listener.socketPath;

/** Longest path of a unix socket (Linux: `sun_path`). */
const MAX_SOCKET_PATH = 107;

/** Makes room for the socket. @throws AntirioError unavailable where another process listens there. */
async function prepareSocket(path: string): Promise<void> {
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH)
    throw new AntirioError('badConfig', `${path} is too long for a unix socket: use a shorter data folder`);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  await removeStaleSocket(path);
}

async function listen(server: Server, listener: BrokerListener): Promise<void> {
  if ('socketPath' in listener) await prepareSocket(listener.socketPath);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'EADDRINUSE' ? 'is taken' : 'cannot be listened on';
      reject(new AntirioError('unavailable', `broker: ${addressOf(listener)} ${why}`, {}, cause));
    });
    server.once('listening', resolve);
    if ('port' in listener) server.listen(listener.port, listener.bind);
    else server.listen(listener.socketPath, () => chmodSync(listener.socketPath, 0o600));
  });
}

function logDisconnections(aedes: Aedes, log: Log): void {
  for (const event of ['clientError', 'connectionError'] as const)
    aedes.on(event, (client, error) =>
      log.info({ client: client.id, error: error.message }, 'a client was disconnected'),
    );
}

/** Looks at what is read before the parser does: the broker reads by itself, so that its back-pressure stays as it is. */
function limitPackets(socket: Socket, maxPacketBytes: number, onOversized: () => void): void {
  const keeps = createFrameLimit(maxPacketBytes);
  const read = socket.read.bind(socket);
  socket.read = (size?: number): unknown => {
    const chunk: unknown = read(size);
    if (!(chunk instanceof Uint8Array) || keeps(chunk)) return chunk;
    onOversized();
    socket.destroy(new AntirioError('tooLarge', 'packet over the limit', { maxPacketBytes }));
    return null;
  };
}

/** Builds the broker; it takes messages of this process and connections once it is started. */
export function createBroker(options: BrokerOptions, log: Log): Broker {
  const { listeners, maxClients = 256, maxPacketBytes = MAX_PACKET_BYTES, slowClientMs = 10_000 } = options;
  const counts = { refusedConnections: 0, published: 0, oversized: 0 };
  const emissions = new WeakMap<object, () => void>();
  const sockets = new Set<Socket>();
  const servers: Server[] = [];
  let open = false;
  let emitted = 0;

  const emitter = createEmitter(
    () => ++emitted,
    (payload) => {
      if (typeof payload === 'object' && payload !== null) emissions.get(payload)?.();
    },
  );
  const access = createAccess(
    { secret: options.secret, maxClientsPerLogin: options.maxClientsPerLogin ?? 8, bearer: options.bearer },
    log,
  );
  const { authorizePublish, ...hooks } = access.hooks;
  const aedes = new AcknowledgingAedes({
    ...hooks,
    access: authorizePublish,
    mq: emitter,
    concurrency: 0,
    connectTimeout: 10_000,
    drainTimeout: slowClientMs,
    maxInflightInbound: options.maxInflight ?? 64,
    // Logins stand before the names of their clients.
    maxClientsIdLength: 512,
  });
  aedes.on('publish', (packet) => {
    if (!packet.topic.startsWith('$')) counts.published += 1;
  });
  aedes.on('unsubscribe', (filters, client) => access.unsubscribed(client, filters));
  logDisconnections(aedes, log);

  const onRefused = (): void => {
    counts.refusedConnections += 1;
  };
  const accept = (listener: BrokerListener, socket: Socket): void => {
    if (!open || sockets.size >= maxClients) {
      onRefused();
      socket.destroy();
      return;
    }
    const anonymous =
      listener.anonymous === 'all' || (listener.anonymous === 'loopback' && isLoopback(socket.remoteAddress));
    sockets.add(socket);
    socket.setNoDelay(true);
    limitPackets(socket, Math.min(maxPacketBytes, listener.maxPacketBytes ?? Infinity), () => {
      counts.oversized += 1;
    });
    const client = aedes.handle(socket);
    access.connected(client, anonymous);
    socket.once('close', () => {
      sockets.delete(socket);
      access.disconnected(client);
    });
  };
  const stop = async (): Promise<void> => {
    open = false;
    const ended = servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve)));
    await new Promise<void>((resolve) => aedes.close(resolve));
    for (const socket of sockets) socket.destroy();
    await Promise.all(ended);
  };
  return {
    engine: createEngine({
      aedes,
      emissions,
      isOpen: () => open,
      admitRetained: (topic, bytes) => access.admitRetained(topic, bytes),
    }),
    get ports() {
      return servers
        .map((server) => server.address())
        .flatMap((a) => (a !== null && typeof a === 'object' ? [a.port] : []));
    },
    async start() {
      await aedes.listen();
      open = true;
      try {
        for (const listener of listeners) {
          const take = (socket: Socket): void => accept(listener, socket);
          const tls = 'port' in listener ? listener.tls : undefined;
          const admission = { maxClients, accept: take, onRefused };
          const server = createServer(tls === undefined ? take : tlsFront(tls, admission));
          await listen(server, listener);
          servers.push(server);
        }
      } catch (error) {
        await stop();
        throw error;
      }
    },
    stop,
    counters: () => ({
      ...counts,
      ...access.counters(),
      connected: sockets.size,
      retained: access.retained(),
    }),
    health: () => (open ? { ok: true } : { ok: false, detail: 'the broker is closed' }),
  };
}
