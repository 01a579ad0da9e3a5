import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { BlockList, isIP } from 'node:net';
import { AntirioError, describeError, isAntirioError, type Clock, type Random } from '@antirio/kernel';
import type { Log } from '@antirio/host';
import type { Reception } from '../frame.ts';
import { aheadMs, observe, type GatewayClock } from './gateway-clock.ts';
import { parseDatagram, pullAck, pullResp, pushAck, type Datagram, type Version } from './packet.ts';
import { readPushData, readTxAck, type Heard } from './push-data.ts';

/** Why a datagram or a part of it was not taken. */
export type Ignored =
  | 'sourceNetwork'
  | 'malformedDatagram'
  | 'unknownGateway'
  | 'malformedJson'
  | 'malformedRxpk'
  | 'crcFailed'
  | 'otherModulation'
  | 'unexpectedTxAck';

/** `unknown`: sent, and no TX_ACK came. */
export type TxOutcome = string;

export interface GatewayStatus {
  readonly gatewayId: string;
  /** Ms since each happened; undefined for never. */
  readonly pulledAgoMs: number | undefined;
  readonly pushedAgoMs: number | undefined;
  readonly heardAgoMs: number | undefined;
  readonly frames: number;
  readonly reachable: boolean;
}

/** All packet forwarders behind one UDP port. */
export interface Forwarders {
  readonly port: number;
  /** Ms until a gateway's counter reaches the value; undefined while its clock is unknown. */
  aheadMs(gatewayId: string, tmst: number): number | undefined;
  /** Sends a PULL_RESP and waits for the TX_ACK. @throws AntirioError unavailable where the gateway has not asked lately. */
  transmit(gatewayId: string, txpk: unknown): Promise<TxOutcome>;
  gateways(): GatewayStatus[];
  ignored(): Readonly<Partial<Record<Ignored, number>>>;
  /** What the kernel gave, as it counts. */
  readonly recvBufferBytes: number;
  close(): Promise<void>;
}

export interface ForwardersPorts {
  readonly bind: string;
  readonly port: number;
  readonly recvBufferBytes: number;
  readonly gateways: 'any' | readonly string[];
  readonly sourceNetworks: readonly string[];
  readonly addressMaxAgeMs: number;
  readonly txAckTimeoutMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Resolves when all of it is durable: the PUSH_ACK waits for it, and is not sent when it fails. */
  readonly onReceptions: (receptions: readonly Reception[]) => Promise<void>;
  readonly onStat: (gatewayId: string, stat: Readonly<Record<string, unknown>>) => void;
}

interface Gateway {
  address: { readonly host: string; readonly port: number; readonly version: Version } | undefined;
  pulledAt: number | undefined;
  pushedAt: number | undefined;
  heardAt: number | undefined;
  clock: GatewayClock | undefined;
  frames: number;
}

/** Gateways remembered; spoofed ids must not fill the memory. */
const MAX_GATEWAYS = 10_000;

function createNetworks(cidrs: readonly string[]): (info: RemoteInfo) => boolean {
  const list = new BlockList();
  for (const cidr of cidrs) {
    const [address = '', bits] = cidr.split('/');
    list.addSubnet(address, Number(bits), isIP(address) === 6 ? 'ipv6' : 'ipv4');
  }
  return ({ address, family }) => {
    const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1];
    return mapped === undefined
      ? list.check(address, family === 'IPv6' ? 'ipv6' : 'ipv4')
      : list.check(mapped, 'ipv4');
  };
}

async function bindSocket(ports: ForwardersPorts): Promise<Socket> {
  const socket = createSocket(isIP(ports.bind) === 6 ? 'udp6' : 'udp4');
  await new Promise<void>((resolve, reject) => {
    socket.once('error', (cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'EADDRINUSE' ? 'is taken' : 'cannot be bound';
      reject(new AntirioError('unavailable', `UDP port ${ports.port} ${why}`, {}, cause));
    });
    socket.bind({ port: ports.port, address: ports.bind, exclusive: true }, resolve);
  });
  socket.removeAllListeners('error');
  // Linux doubles what it is asked for, and counts its own overhead against that.
  socket.setRecvBufferSize(ports.recvBufferBytes / 2);
  return socket;
}

/** Opens the UDP port. @throws AntirioError unavailable when it is taken. */
export async function openForwarders(ports: ForwardersPorts): Promise<Forwarders> {
  const { clock, log } = ports;
  const allowedNetwork = createNetworks(ports.sourceNetworks);
  const allowedGateway = ports.gateways === 'any' ? undefined : new Set(ports.gateways);
  const gateways = new Map<string, Gateway>();
  const ignored: Partial<Record<Ignored, number>> = {};
  const waiting = new Map<string, (outcome: TxOutcome) => void>();
  const socket = await bindSocket(ports);
  const recvBufferBytes = socket.getRecvBufferSize();
  if (recvBufferBytes < ports.recvBufferBytes)
    log.warn(
      { wanted: ports.recvBufferBytes, got: recvBufferBytes },
      'the UDP receive buffer is smaller than wanted: raise net.core.rmem_max',
    );

  const ignore = (reason: Ignored): void => {
    ignored[reason] = (ignored[reason] ?? 0) + 1;
  };
  const send = (bytes: Uint8Array, to: { readonly host: string; readonly port: number }): void => {
    socket.send(bytes, to.port, to.host, (error) => {
      if (error !== null) log.debug({ error: describeError(error) }, 'a datagram could not be sent');
    });
  };
  const gatewayOf = (id: string): Gateway | undefined => {
    const known = gateways.get(id);
    if (known !== undefined) return known;
    if (allowedGateway?.has(id) === false || gateways.size >= MAX_GATEWAYS) return undefined;
    const fresh: Gateway = {
      address: undefined,
      pulledAt: undefined,
      pushedAt: undefined,
      heardAt: undefined,
      clock: undefined,
      frames: 0,
    };
    gateways.set(id, fresh);
    return fresh;
  };

  const receive = (
    gatewayId: string,
    gateway: Gateway,
    heard: Extract<Heard, { kind: 'frame' }>,
  ): Reception => {
    const now = clock.monotonic();
    const observed = observe(gateway.clock, heard.rx.tmst, now);
    gateway.clock = observed.clock;
    gateway.heardAt = now;
    gateway.frames += 1;
    return {
      gatewayId,
      phyPayload: heard.phyPayload,
      rx: heard.rx,
      receivedAt: clock.now() - observed.delayMs,
    };
  };
  const onPushData = async (
    datagram: Extract<Datagram, { kind: 'pushData' }>,
    gateway: Gateway,
    from: RemoteInfo,
  ): Promise<void> => {
    gateway.pushedAt = clock.monotonic();
    let data;
    try {
      data = readPushData(datagram.json);
    } catch (error) {
      if (!isAntirioError(error)) throw error;
      ignore('malformedJson');
      return;
    }
    const receptions: Reception[] = [];
    for (const heard of data.heard)
      if (heard.kind === 'frame') receptions.push(receive(datagram.gatewayId, gateway, heard));
      else ignore(heard.kind === 'malformed' ? 'malformedRxpk' : heard.kind);
    if (data.stat !== undefined) ports.onStat(datagram.gatewayId, data.stat);
    await ports.onReceptions(receptions);
    send(pushAck(datagram.version, datagram.token), { host: from.address, port: from.port });
  };
  const onPullData = ({ version, token }: Datagram, gateway: Gateway, from: RemoteInfo): void => {
    const address = { host: from.address, port: from.port, version };
    gateway.address = address;
    gateway.pulledAt = clock.monotonic();
    send(pullAck(version, token), address);
  };
  const onTxAck = ({ gatewayId, token, json }: Extract<Datagram, { kind: 'txAck' }>): void => {
    const settle = waiting.get(`${gatewayId}/${token}`);
    if (settle === undefined) {
      ignore('unexpectedTxAck');
      return;
    }
    try {
      settle(readTxAck(json));
    } catch {
      ignore('malformedJson');
    }
  };
  const onDatagram = async (bytes: Uint8Array, from: RemoteInfo): Promise<void> => {
    if (!allowedNetwork(from)) {
      ignore('sourceNetwork');
      return;
    }
    let datagram: Datagram;
    try {
      datagram = parseDatagram(bytes);
    } catch {
      ignore('malformedDatagram');
      return;
    }
    const gateway = gatewayOf(datagram.gatewayId);
    if (gateway === undefined) ignore('unknownGateway');
    else if (datagram.kind === 'pushData') await onPushData(datagram, gateway, from);
    else if (datagram.kind === 'pullData') onPullData(datagram, gateway, from);
    else onTxAck(datagram);
  };
  socket.on('message', (bytes, from) => {
    onDatagram(bytes, from).catch((error: unknown) => {
      log.error({ error: describeError(error) }, 'frames could not be stored and are not acknowledged');
    });
  });
  socket.on('error', (error) => log.error({ error: describeError(error) }, 'UDP socket'));

  const isReachable = (gateway: Gateway | undefined): boolean =>
    gateway?.pulledAt !== undefined && clock.monotonic() - gateway.pulledAt <= ports.addressMaxAgeMs;
  const freeToken = (gatewayId: string): number => {
    for (;;) {
      const [high = 0, low = 0] = ports.random.bytes(2);
      const token = (high << 8) | low;
      if (!waiting.has(`${gatewayId}/${token}`)) return token;
    }
  };
  const ago = (at: number | undefined): number | undefined =>
    at === undefined ? undefined : clock.monotonic() - at;

  return {
    port: socket.address().port,
    recvBufferBytes,
    aheadMs(gatewayId, tmst) {
      const known = gateways.get(gatewayId)?.clock;
      return known === undefined ? undefined : aheadMs(known, tmst, clock.monotonic());
    },
    transmit(gatewayId, txpk) {
      const gateway = gateways.get(gatewayId);
      if (gateway?.address === undefined || !isReachable(gateway))
        throw new AntirioError('unavailable', `gateway ${gatewayId} has not asked for downlinks`, {
          gatewayId,
        });
      const { address } = gateway;
      const token = freeToken(gatewayId);
      const key = `${gatewayId}/${token}`;
      return new Promise((resolve) => {
        const settle = (outcome: TxOutcome): void => {
          clearTimeout(timer);
          waiting.delete(key);
          resolve(outcome);
        };
        const timer = setTimeout(settle, ports.txAckTimeoutMs, 'unknown');
        waiting.set(key, settle);
        send(pullResp(address.version, token, txpk), address);
      });
    },
    gateways: () =>
      [...gateways].map(([gatewayId, gateway]) => ({
        gatewayId,
        pulledAgoMs: ago(gateway.pulledAt),
        pushedAgoMs: ago(gateway.pushedAt),
        heardAgoMs: ago(gateway.heardAt),
        frames: gateway.frames,
        reachable: isReachable(gateway),
      })),
    ignored: () => ({ ...ignored }),
    async close() {
      for (const settle of waiting.values()) settle('unknown');
      await new Promise<void>((resolve) => {
        socket.close(resolve);
      });
    },
  };
}
