import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { isIP } from 'node:net';
import { AntirioError, describeError, isAntirioError, type Clock, type Random } from '@antirio/kernel';
import type { Log } from '@antirio/host';
import { createCounted } from '../counted.ts';
import type { Reception } from '../frame.ts';
import type { Address } from './address-claim.ts';
import { createGateways, type GatewayRecord, type GatewaysOptions, type GatewayStatus } from './gateways.ts';
import { createNetworks, plainHost } from './networks.ts';
import { parseDatagram, pullAck, pullResp, pushAck, type Datagram, type Version } from './packet.ts';
import { readPushData, type Heard, type PushData } from './push-data.ts';
import type { GatewayStat } from './stat.ts';
import type { Counts, Radio } from './tally.ts';
import { readTxAck, type TxAnswer } from './tx-ack.ts';

/** Why a datagram or a part of it was not taken, or what is odd about it. */
export type Ignored =
  | 'sourceNetwork'
  | 'malformedDatagram'
  | 'unknownGateway'
  | 'malformedJson'
  | 'malformedRxpk'
  | 'crcFailed'
  | 'fsk'
  | 'otherModulation'
  | 'unexpectedTxAck'
  /** A PULL_DATA from where the gateway is not: it gets no downlinks. */
  | 'addressContested'
  /** Frames from where the gateway is not: kept, but never answered. */
  | 'contestedPush'
  /** More than can be written down; not acknowledged. */
  | 'busy'
  /** Not acknowledged either. */
  | 'notStored';

const ORDINARY = ['crcFailed', 'fsk', 'otherModulation'] as const;

/** `unconfirmed`: protocol version 1 knows no TX_ACK. `unanswered`: one was due, and none came. */
export type TxOutcome =
  | (TxAnswer & { readonly kind: 'answered' })
  | { readonly kind: 'unconfirmed' }
  | { readonly kind: 'unanswered' };

/** A gateway's report of itself, with what was counted here since the one before. */
export interface StatReport {
  readonly gatewayId: string;
  readonly stat: GatewayStat;
  readonly counts: Counts;
  readonly protocolVersion: number;
  readonly host: string;
}

/** All packet forwarders behind one UDP port. */
export interface Forwarders {
  readonly port: number;
  /** Ms until a gateway's counter reaches the value; undefined while its clock is unknown. */
  aheadMs(gatewayId: string, tmst: number): number | undefined;
  /** The value of a gateway's counter in so many ms; undefined while its clock is unknown, or was told too long ago. */
  tmstIn(gatewayId: string, ms: number): number | undefined;
  /** The value of a gateway's counter at a GPS time; undefined while it tells no GPS time. */
  tmstAtGps(gatewayId: string, gpsTimeMs: number): number | undefined;
  /** Sends a PULL_RESP and waits for the TX_ACK. @throws AntirioError unavailable where the gateway has not asked lately. */
  transmit(gatewayId: string, txpk: unknown, radio: Radio): Promise<TxOutcome>;
  gateways(): GatewayStatus[];
  isOnline(gatewayId: string): boolean;
  ignored(): Readonly<Partial<Record<Ignored, number>>>;
  /** Notices gateways that have fallen silent. */
  tidy(): void;
  /** What the kernel gave, as it counts. */
  readonly recvBufferBytes: number;
  close(): Promise<void>;
}

export interface ForwardersPorts {
  readonly bind: string;
  readonly port: number;
  readonly recvBufferBytes: number;
  readonly gateways: GatewaysOptions['allowed'];
  readonly addressChange: GatewaysOptions['addressChange'];
  readonly sourceNetworks: readonly string[];
  readonly addressMaxAgeMs: number;
  readonly txAckTimeoutMs: number;
  readonly maxFramesUnderWay: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /**
   * Resolves when all of it is durable: the PUSH_ACK waits for it, and is not sent when it fails. Frames that are `contested`
   * came from where their gateway is not.
   */
  readonly onReceptions: (receptions: readonly Reception[], contested: boolean) => Promise<void>;
  readonly onStat: (report: StatReport) => void;
  /** A gateway is heard of for the first time, again, or no more. */
  readonly onConnection: (gatewayId: string, online: boolean) => void;
}

interface WaitingAck {
  /** Only from there is the TX_ACK believed. */
  readonly host: string;
  readonly settle: (outcome: TxOutcome) => void;
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
  const gateways = createGateways({
    allowed: ports.gateways,
    addressChange: ports.addressChange,
    addressMaxAgeMs: ports.addressMaxAgeMs,
    clock,
  });
  const ignored = createCounted<Ignored>({ what: 'from the gateways', ordinary: ORDINARY, log, clock });
  const waiting = new Map<string, WaitingAck>();
  let framesUnderWay = 0;
  const socket = await bindSocket(ports);
  const recvBufferBytes = socket.getRecvBufferSize();
  if (recvBufferBytes < ports.recvBufferBytes)
    log.warn(
      { wanted: ports.recvBufferBytes, got: recvBufferBytes },
      'the UDP receive buffer is smaller than wanted: raise net.core.rmem_max',
    );

  const onIpv6 = isIP(ports.bind) === 6;
  const send = (bytes: Uint8Array, { host, port }: Address): void => {
    socket.send(bytes, port, onIpv6 && isIP(host) === 4 ? `::ffff:${host}` : host, (error) => {
      if (error !== null) log.debug({ error: describeError(error) }, 'a datagram could not be sent');
    });
  };
  const seen = (gateway: GatewayRecord, version: Version): void => {
    gateway.seenAt = clock.monotonic();
    gateway.version ??= version;
    if (gateway.online) return;
    gateway.online = true;
    ports.onConnection(gateway.id, true);
  };

  const receive = (
    gateway: GatewayRecord,
    { phyPayload, rx }: Extract<Heard, { kind: 'frame' }>,
    from: Address,
    contested: boolean,
  ): Reception => {
    gateway.frames += 1;
    gateway.tally.heard(rx);
    // a stranger must not set the clock that downlinks are timed by
    const delayMs = contested ? 0 : gateways.observe(gateway, rx, from);
    return { gatewayId: gateway.id, phyPayload, rx, receivedAt: clock.now() - delayMs };
  };
  const receptionsOf = (
    gateway: GatewayRecord,
    { heard }: PushData,
    from: Address,
    contested: boolean,
  ): Reception[] => {
    const receptions: Reception[] = [];
    for (const one of heard)
      if (one.kind === 'frame') receptions.push(receive(gateway, one, from, contested));
      else if (one.kind === 'malformed')
        ignored.count('malformedRxpk', { gatewayId: gateway.id, why: one.why });
      else ignored.count(one.kind, { gatewayId: gateway.id });
    return receptions;
  };
  const reportStat = (gateway: GatewayRecord, stat: GatewayStat, version: number, host: string): void => {
    gateway.stat = stat;
    gateway.statAt = clock.monotonic();
    const counts = gateway.tally.take();
    ports.onStat({ gatewayId: gateway.id, stat, counts, protocolVersion: version, host });
  };
  const store = async (receptions: readonly Reception[], contested: boolean): Promise<boolean> => {
    if (framesUnderWay + receptions.length > ports.maxFramesUnderWay) {
      ignored.count('busy', { framesUnderWay });
      return false;
    }
    framesUnderWay += receptions.length;
    try {
      await ports.onReceptions(receptions, contested);
      return true;
    } catch (error) {
      ignored.count('notStored', { error: describeError(error) });
      return false;
    } finally {
      framesUnderWay -= receptions.length;
    }
  };
  const onPushData = async (
    { version, token, json }: Extract<Datagram, { kind: 'pushData' }>,
    gateway: GatewayRecord,
    from: Address,
  ): Promise<void> => {
    let data: PushData;
    try {
      data = readPushData(json);
    } catch (error) {
      if (!isAntirioError(error)) throw error;
      ignored.count('malformedJson', { gatewayId: gateway.id, why: error.message });
      return;
    }
    const contested = gateways.isForeign(gateway, from.host);
    gateway.pushed += 1;
    if (contested) {
      gateway.addressContested += 1;
      ignored.count('contestedPush', { gatewayId: gateway.id, from: from.host });
    } else {
      gateway.pushedAt = clock.monotonic();
      seen(gateway, version);
      if (data.stat !== undefined) reportStat(gateway, data.stat, version, from.host);
    }
    if (!(await store(receptionsOf(gateway, data, from, contested), contested))) return;
    gateway.acknowledged += 1;
    send(pushAck(version, token), from);
  };
  const onPullData = ({ version, token }: Datagram, gateway: GatewayRecord, from: Address): void => {
    const held = gateway.claim?.address;
    const outcome = gateways.pulled(gateway, from, version);
    const about = { gatewayId: gateway.id, from, held };
    if (outcome === 'contested' || outcome === 'reinstated') ignored.count('addressContested', about);
    else if (outcome === 'changed') log.debug(about, 'a gateway has another address');
    // it says that downlinks can be sent there at any time
    if (outcome === 'contested') return;
    seen(gateway, version);
    send(pullAck(version, token), from);
  };
  const onTxAck = ({ gatewayId, token, json }: Extract<Datagram, { kind: 'txAck' }>, from: Address): void => {
    const ack = waiting.get(`${gatewayId}/${token}`);
    if (ack?.host !== from.host) {
      ignored.count('unexpectedTxAck', { gatewayId, from });
      return;
    }
    try {
      ack.settle({ kind: 'answered', ...readTxAck(json) });
    } catch (error) {
      ignored.count('malformedJson', { gatewayId, why: describeError(error) });
    }
  };
  const onDatagram = async (bytes: Uint8Array, info: RemoteInfo): Promise<void> => {
    if (!allowedNetwork(info)) {
      ignored.count('sourceNetwork', { from: info.address });
      return;
    }
    const from: Address = { host: plainHost(info.address), port: info.port };
    let datagram: Datagram;
    try {
      datagram = parseDatagram(bytes);
    } catch (error) {
      ignored.count('malformedDatagram', { from, why: describeError(error) });
      return;
    }
    const gateway = gateways.of(datagram.gatewayId);
    if (gateway === undefined) ignored.count('unknownGateway', { gatewayId: datagram.gatewayId, from });
    else if (datagram.kind === 'pushData') await onPushData(datagram, gateway, from);
    else if (datagram.kind === 'pullData') onPullData(datagram, gateway, from);
    else onTxAck(datagram, from);
  };
  socket.on('message', (bytes, info) => {
    onDatagram(bytes, info).catch((error: unknown) => {
      log.error({ error: describeError(error) }, 'a datagram could not be handled');
    });
  });
  socket.on('error', (error) => log.error({ error: describeError(error) }, 'UDP socket'));

  const freeToken = (gatewayId: string): number => {
    for (;;) {
      const [high = 0, low = 0] = ports.random.bytes(2);
      const token = (high << 8) | low;
      if (!waiting.has(`${gatewayId}/${token}`)) return token;
    }
  };
  const awaitAck = (gatewayId: string, token: number, host: string): Promise<TxOutcome> => {
    const key = `${gatewayId}/${token}`;
    return new Promise((resolve) => {
      const settle = (outcome: TxOutcome): void => {
        clearTimeout(timer);
        waiting.delete(key);
        resolve(outcome);
      };
      const timer = setTimeout(settle, ports.txAckTimeoutMs, { kind: 'unanswered' });
      waiting.set(key, { host, settle });
    });
  };
  const record = (gateway: GatewayRecord, radio: Radio, outcome: TxOutcome): TxOutcome => {
    const status = outcome.kind === 'answered' ? outcome.status : 'OK';
    const key = outcome.kind === 'unanswered' ? 'NO_ANSWER' : status;
    gateway.downlinks[key] = (gateway.downlinks[key] ?? 0) + 1;
    if (key !== 'NO_ANSWER') gateway.tally.answered(radio, status);
    return outcome;
  };

  return {
    port: socket.address().port,
    recvBufferBytes,
    aheadMs(gatewayId, tmst) {
      const gateway = gateways.find(gatewayId);
      return gateway && gateways.aheadMs(gateway, tmst);
    },
    tmstIn(gatewayId, ms) {
      const gateway = gateways.find(gatewayId);
      return gateway && gateways.tmstIn(gateway, ms);
    },
    tmstAtGps(gatewayId, gpsTimeMs) {
      const gateway = gateways.find(gatewayId);
      return gateway && gateways.tmstAtGps(gateway, gpsTimeMs);
    },
    transmit(gatewayId, txpk, radio) {
      const gateway = gateways.find(gatewayId);
      const address = gateway?.claim?.address;
      if (gateway?.version === undefined || address === undefined || !gateways.isReachable(gateway))
        throw new AntirioError('unavailable', `gateway ${gatewayId} has not asked for downlinks`, {
          gatewayId,
        });
      const confirms = gateway.version !== 1;
      const token = confirms ? freeToken(gatewayId) : 0;
      const outcome = confirms
        ? awaitAck(gatewayId, token, address.host)
        : Promise.resolve<TxOutcome>({ kind: 'unconfirmed' });
      send(pullResp(gateway.version, token, txpk), address);
      return outcome.then((told) => record(gateway, radio, told));
    },
    gateways: () => gateways.statuses(),
    isOnline: (gatewayId) => gateways.find(gatewayId)?.online === true,
    ignored: () => ignored.counts(),
    tidy() {
      for (const { id } of gateways.fallenSilent()) ports.onConnection(id, false);
    },
    async close() {
      for (const { settle } of waiting.values()) settle({ kind: 'unanswered' });
      await new Promise<void>((resolve) => {
        socket.close(resolve);
      });
    },
  };
}
