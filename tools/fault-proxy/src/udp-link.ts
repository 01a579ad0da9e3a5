import { createSocket } from 'node:dgram';
import type { RemoteInfo, Socket } from 'node:dgram';
import { once } from 'node:events';
import type { Direction } from './faults.ts';
import type { Endpoint, Link, LinkPorts } from './link.ts';
import { isCut } from './faults.ts';
import { cannotListen, newCounters } from './link.ts';

const SOURCE_IDLE_MS = 120_000;
const SWEEP_MS = 10_000;
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;

interface Source {
  readonly socket: Socket;
  usedAt: number;
}

// The system may grant less than asked for, and may refuse to be asked.
function widenReceiveBuffer(socket: Socket): void {
  try {
    socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
  } catch {
    return;
  }
}

class UdpLink implements Link {
  readonly counters = newCounters();
  readonly peers = { sources: 0, evicted: 0, strangers: 0, sendErrors: 0 };
  readonly #ports: LinkPorts;
  readonly #socket = createSocket('udp4');
  // One socket for each source, as a NAT has it, so that the target's replies find their way. Least recently used first.
  readonly #sources = new Map<string, Source>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #target: Endpoint;
  #sweep: NodeJS.Timeout | undefined;

  constructor(ports: LinkPorts) {
    this.#ports = ports;
    this.#target = ports.target;
  }

  async open(): Promise<void> {
    const { options } = this.#ports;
    this.#socket.on('message', (bytes, from) => this.#fromClient(bytes, from));
    try {
      this.#socket.bind(options.listenPort, options.listenHost);
      await once(this.#socket, 'listening');
    } catch (error) {
      await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
      throw cannotListen(options, error);
    }
    this.#socket.on('error', () => (this.peers.sendErrors += 1));
    widenReceiveBuffer(this.#socket);
    this.#sweep = setInterval(() => this.#closeIdle(), SWEEP_MS).unref();
  }

  get port(): number {
    return this.#socket.address().port;
  }

  stateChanged(): void {
    // Datagrams under way meet the new state when they arrive.
  }

  resetAll(): void {
    // There is nothing to reset without connections.
  }

  retarget(target: Endpoint): void {
    this.#target = target;
  }

  async close(): Promise<void> {
    clearInterval(this.#sweep);
    for (const timer of this.#timers) clearTimeout(timer);
    for (const { socket } of this.#sources.values()) socket.close();
    this.#sources.clear();
    const closed = once(this.#socket, 'close');
    this.#socket.close();
    await closed;
  }

  #fromClient(bytes: Buffer, from: RemoteInfo): void {
    const key = `${from.address}:${String(from.port)}`;
    const source = this.#sources.get(key) ?? this.#openSource(from);
    source.usedAt = performance.now();
    this.#sources.delete(key);
    this.#sources.set(key, source);
    this.peers.sources = this.#sources.size;
    this.#carry('toTarget', bytes, () => this.#send(source.socket, bytes, this.#target));
  }

  #openSource(client: RemoteInfo): Source {
    if (this.#sources.size >= this.#ports.options.maxSources) this.#closeOldest();
    const socket = createSocket('udp4');
    socket.on('error', () => (this.peers.sendErrors += 1));
    socket.on('message', (bytes, from) => {
      if (from.port !== this.#target.port || from.address !== this.#target.address) {
        this.peers.strangers += 1;
        return;
      }
      this.#carry('toClient', bytes, () => this.#send(this.#socket, bytes, client));
    });
    socket.bind(0, () => widenReceiveBuffer(socket));
    return { socket, usedAt: 0 };
  }

  #send(socket: Socket, bytes: Buffer, to: Endpoint): void {
    try {
      socket.send(bytes, to.port, to.address, (error) => {
        if (error !== null) this.peers.sendErrors += 1;
      });
    } catch {
      // The source was closed while its datagram was under way.
      this.peers.sendErrors += 1;
    }
  }

  #carry(direction: Direction, bytes: Buffer, deliver: () => void): void {
    const { state, random } = this.#ports;
    const counters = this.counters[direction];
    const faults = state.faults[direction];
    if (isCut(state, direction)) {
      counters.droppedByCut += 1;
      return;
    }
    if (random() < faults.loss) {
      counters.droppedByLoss += 1;
      return;
    }
    this.#carryOnce(direction, bytes.length, deliver);
    if (random() >= faults.duplicate) return;
    counters.duplicated += 1;
    this.#carryOnce(direction, bytes.length, deliver);
  }

  #carryOnce(direction: Direction, size: number, deliver: () => void): void {
    const { options, state, random } = this.#ports;
    const counters = this.counters[direction];
    const { delayMs, jitterMs, reorder, reorderMs } = state.faults[direction];
    const isHeldBack = random() < reorder;
    if (isHeldBack) counters.reordered += 1;
    const waitMs = delayMs + random() * jitterMs + (isHeldBack ? reorderMs : 0);
    const arrive = (): void => {
      // What was under way when the cut came is lost in it.
      if (isCut(state, direction)) {
        counters.droppedByCut += 1;
        return;
      }
      counters.forwarded += 1;
      counters.bytes += size;
      deliver();
    };
    if (waitMs === 0) arrive();
    else if (this.#timers.size >= options.maxInFlight) counters.droppedByOverflow += 1;
    else {
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        arrive();
      }, waitMs);
      this.#timers.add(timer);
    }
  }

  #closeOldest(): void {
    const oldest = this.#sources.entries().next();
    if (oldest.done === true) return;
    const [key, { socket }] = oldest.value;
    socket.close();
    this.#sources.delete(key);
    this.peers.evicted += 1;
  }

  #closeIdle(): void {
    const idleSince = performance.now() - SOURCE_IDLE_MS;
    for (const [key, source] of this.#sources) {
      if (source.usedAt >= idleSince) break;
      source.socket.close();
      this.#sources.delete(key);
    }
    this.peers.sources = this.#sources.size;
  }
}

/** Opens a datagram relay. Throws `cannotListen`. */
export async function openUdpLink(ports: LinkPorts): Promise<Link> {
  const link = new UdpLink(ports);
  await link.open();
  return link;
}
