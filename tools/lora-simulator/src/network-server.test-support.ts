import { createSocket } from 'node:dgram';
import type { RemoteInfo, Socket } from 'node:dgram';
import { once } from 'node:events';

/** One `rxpk`, as far as tests look at it. */
export interface ReceivedPacket {
  readonly tmst: number;
  readonly freq: number;
  readonly datr: string;
  readonly data: string;
}

/** One datagram of a gateway. */
export interface GatewayDatagram {
  readonly identifier: number;
  readonly token: number;
  readonly gatewayId: string;
  readonly body: {
    readonly rxpk?: readonly ReceivedPacket[];
    readonly txpk_ack?: { readonly error: string };
  };
  readonly bytes: Buffer;
  readonly from: RemoteInfo;
}

/** A Semtech UDP server on loopback that answers as a real one, unless told otherwise. */
export interface NetworkServer {
  readonly port: number;
  readonly datagrams: readonly GatewayDatagram[];
  /** Whether PUSH_DATA is acknowledged. */
  acknowledges: boolean;
  /** Called for each packet, before its datagram is acknowledged. */
  onPacket: (packet: ReceivedPacket, datagram: GatewayDatagram) => void;
  /** Sends a PULL_RESP where the last PULL_DATA came from. */
  pullResp(token: number, txpk: object): void;
  sendTo(port: number, bytes: Buffer): void;
  /** Waits for a datagram, past or to come. */
  waitFor(matches: (datagram: GatewayDatagram) => boolean): Promise<GatewayDatagram>;
  close(): void;
}

function read(bytes: Buffer, from: RemoteInfo): GatewayDatagram {
  const json = bytes.toString('utf8', 12);
  return {
    identifier: bytes.readUInt8(3),
    token: bytes.readUInt16BE(1),
    gatewayId: bytes.toString('hex', 4, 12),
    body: (json === '' ? {} : JSON.parse(json)) as GatewayDatagram['body'],
    bytes,
    from,
  };
}

class LoopbackServer implements NetworkServer {
  readonly datagrams: GatewayDatagram[] = [];
  acknowledges = true;
  onPacket: NetworkServer['onPacket'] = () => undefined;
  readonly #socket: Socket = createSocket('udp4');
  #waiting: ((datagram: GatewayDatagram) => void)[] = [];
  #down: RemoteInfo | undefined;

  async open(): Promise<void> {
    this.#socket.on('message', (bytes, from) => this.#receive(read(bytes, from)));
    this.#socket.bind(0, '127.0.0.1');
    await once(this.#socket, 'listening');
  }

  get port(): number {
    return this.#socket.address().port;
  }

  pullResp(token: number, txpk: object): void {
    const head = Buffer.from([2, token >> 8, token & 0xff, 3]);
    this.sendTo(this.#down?.port ?? 0, Buffer.concat([head, Buffer.from(JSON.stringify({ txpk }))]));
  }

  sendTo(port: number, bytes: Buffer): void {
    this.#socket.send(bytes, port, '127.0.0.1');
  }

  async waitFor(matches: (datagram: GatewayDatagram) => boolean): Promise<GatewayDatagram> {
    const past = this.datagrams.find(matches);
    if (past !== undefined) return past;
    const { promise, resolve } = Promise.withResolvers<GatewayDatagram>();
    this.#waiting.push((datagram) => matches(datagram) && resolve(datagram));
    return promise;
  }

  close(): void {
    this.#socket.close();
  }

  #receive(datagram: GatewayDatagram): void {
    const { identifier, from, bytes } = datagram;
    if (identifier === 2) this.#down = from;
    for (const packet of datagram.body.rxpk ?? []) this.onPacket(packet, datagram);
    const answer = identifier === 0 ? 1 : 4;
    if (identifier === 2 || (identifier === 0 && this.acknowledges)) {
      this.sendTo(from.port, Buffer.from([2, bytes.readUInt8(1), bytes.readUInt8(2), answer]));
    }
    this.datagrams.push(datagram);
    for (const waiting of this.#waiting) waiting(datagram);
  }
}

export async function openNetworkServer(): Promise<NetworkServer> {
  const server = new LoopbackServer();
  await server.open();
  return server;
}
