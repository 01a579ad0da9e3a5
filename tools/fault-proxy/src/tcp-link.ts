import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import type { Endpoint, Link, LinkPorts } from './link.ts';
import type { Pipe } from './pipe.ts';
import { cannotListen, newCounters } from './link.ts';
import { createPipe } from './pipe.ts';

interface Connection {
  readonly client: Socket;
  server: Socket | undefined;
  pipes: readonly Pipe[];
}

const reset = (socket: Socket | undefined): void => {
  if (socket !== undefined && !socket.destroyed) socket.resetAndDestroy();
};

class TcpLink implements Link {
  readonly counters = newCounters();
  readonly peers = { connections: 0, accepted: 0, turnedAway: 0, reset: 0, targetFailed: 0 };
  readonly #ports: LinkPorts;
  readonly #listener = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
  readonly #connections = new Set<Connection>();
  #target: Endpoint;

  constructor(ports: LinkPorts) {
    this.#ports = ports;
    this.#target = ports.target;
  }

  async open(): Promise<void> {
    const { options } = this.#ports;
    this.#listener.on('connection', (client) => this.#accept(client));
    try {
      this.#listener.listen(options.listenPort, options.listenHost);
      await once(this.#listener, 'listening');
    } catch (error) {
      throw cannotListen(options, error);
    }
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port;
  }

  stateChanged(): void {
    const { cut } = this.#ports.state;
    if (cut?.mode === 'reset') {
      this.resetAll();
      return;
    }
    for (const connection of this.#connections) {
      for (const pipe of connection.pipes) pipe.resume();
      if (cut === undefined) this.#connectOn(connection);
    }
  }

  resetAll(): void {
    for (const connection of this.#connections) {
      this.peers.reset += 1;
      this.#drop(connection);
    }
  }

  retarget(target: Endpoint): void {
    this.#target = target;
  }

  async close(): Promise<void> {
    const closed = once(this.#listener, 'close');
    this.#listener.close();
    for (const connection of this.#connections) this.#drop(connection);
    await closed;
  }

  #accept(client: Socket): void {
    const { state, options } = this.#ports;
    const { cut } = state;
    client.on('error', () => undefined);
    if (this.#connections.size >= options.maxConnections || cut?.mode === 'reset') {
      this.peers.turnedAway += 1;
      client.resetAndDestroy();
      return;
    }
    this.peers.accepted += 1;
    const connection: Connection = { client, server: undefined, pipes: [] };
    this.#connections.add(connection);
    this.peers.connections = this.#connections.size;
    client.once('close', () => {
      if (connection.pipes.length === 0) this.#drop(connection);
    });
    // A handshake needs both ways: while one is cut, the connection waits here without an answer.
    if (cut === undefined) this.#connectOn(connection);
  }

  #connectOn(connection: Connection): void {
    if (connection.server !== undefined || connection.client.destroyed) return;
    const server = connect({
      host: this.#target.address,
      port: this.#target.port,
      allowHalfOpen: true,
      noDelay: true,
    });
    connection.server = server;
    server.on('error', () => undefined);
    server.once('connect', () => this.#join(connection, server));
    server.once('close', () => {
      if (connection.pipes.length > 0) return;
      this.peers.targetFailed += 1;
      this.#drop(connection);
    });
  }

  #join(connection: Connection, server: Socket): void {
    const { client } = connection;
    const { state, random } = this.#ports;
    const shared = { state, random };
    connection.pipes = [
      createPipe({
        ...shared,
        from: client,
        to: server,
        direction: 'toTarget',
        counters: this.counters.toTarget,
      }),
      createPipe({
        ...shared,
        from: server,
        to: client,
        direction: 'toClient',
        counters: this.counters.toClient,
      }),
    ];
    const forgetWhenOver = (): void => {
      if (client.destroyed && server.destroyed) this.#forget(connection);
    };
    client.once('close', forgetWhenOver);
    server.once('close', forgetWhenOver);
    for (const pipe of connection.pipes) pipe.resume();
  }

  #drop(connection: Connection): void {
    reset(connection.client);
    reset(connection.server);
    this.#forget(connection);
  }

  #forget(connection: Connection): void {
    for (const pipe of connection.pipes) pipe.close();
    this.#connections.delete(connection);
    this.peers.connections = this.#connections.size;
  }
}

/** Opens a stream relay. Throws `cannotListen`. */
export async function openTcpLink(ports: LinkPorts): Promise<Link> {
  const link = new TcpLink(ports);
  await link.open();
  return link;
}
