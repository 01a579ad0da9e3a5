import type { RemoteInfo } from 'node:dgram';
import type { Agenda } from './agenda.ts';
import type { Clock } from './clock.ts';
import type { GatewayConfig, SimulatorConfig } from './config.ts';
import type { GatewayClock } from './gateway-clock.ts';
import type { TxError } from './gwmp.ts';
import type { PushWindow } from './push-window.ts';
import type { Random } from './random.ts';
import type { Receiver } from './receiver.ts';
import type { InFlight, Reception } from './rxpk.ts';
import type { TruthLog } from './truth.ts';
import type { TxQueue } from './tx-queue.ts';
import type { TimedDownlink } from './txpk.ts';
import type { Target, UdpLink } from './udp-link.ts';
import { createGatewayClock } from './gateway-clock.ts';
import { pullData, pushData, readServerDatagram, txAck } from './gwmp.ts';
import { createPushWindow } from './push-window.ts';
import { createRandom } from './random.ts';
import { createReceiver } from './receiver.ts';
import { rxpkOf, statOf } from './rxpk.ts';
import { reportOf, sensitivityDbm } from './signal.ts';
import { createTxQueue } from './tx-queue.ts';
import { readTxpk } from './txpk.ts';
import { isFrom, openUdpLink, resolveTarget } from './udp-link.ts';

/** What a gateway counted since it was opened. */
export interface GatewayCounters {
  /** Frames received by radio, and those of them that a server acknowledged. */
  readonly heard: number;
  readonly acked: number;
  readonly pushSent: number;
  readonly pushAcked: number;
  readonly pullSent: number;
  readonly pullAcked: number;
  readonly downlinksProgrammed: number;
  readonly downlinksRefused: number;
  /** Acknowledgements of nothing that waits for one: wrong token, too late, or twice. */
  readonly unknownTokens: number;
  /** Datagrams that are none of the protocol's. */
  readonly garbage: number;
  /** Datagrams from somewhere else than the server. */
  readonly strangers: number;
  readonly sendErrors: number;
}

/** What a gateway draws for each transmission, in the order on air. */
export interface Hearing {
  readonly heard: boolean;
  readonly rssi: number;
  readonly snr: number;
  /** Power of the frame here. */
  readonly signalDbm: number;
}

/** A downlink as it goes on air, `at` in monotonic ms. */
export interface DownlinkSent extends TimedDownlink {
  readonly at: number;
}

/** A simulated LoRa gateway with the packet forwarder that runs on it. */
export interface Gateway {
  readonly id: string;
  readonly counters: GatewayCounters;
  readonly target: Target;
  /** Frames not yet pushed, pushes not yet acknowledged, downlinks not yet on air. */
  readonly pending: { readonly frames: number; readonly pushes: number; readonly downlinks: number };
  /** Probabilities from now on. */
  setLoss(loss: number | undefined, downlinkLoss: number | undefined): void;
  /** Sends to another server from now on. Throws `badTarget`. */
  retarget(host: string, port: number): Promise<void>;
  /** What it makes of a frame whose power here is known, or is nobody's business. Always draws three times. */
  hear(spreadingFactor: number, signalDbm?: number): Hearing;
  readonly receiver: Receiver;
  losesDownlink(): boolean;
  receive(reception: Reception): void;
  /** Sends a recorded frame; its `tmst` is that of now unless it is to be kept. */
  forward(rxpk: Readonly<Record<string, unknown>>, tx: InFlight, keepTmst: boolean): void;
  close(): void;
}

/** What a gateway needs from around it. */
export interface GatewayPorts {
  readonly seed: string;
  readonly radio: SimulatorConfig['radio'];
  readonly clock: Clock;
  readonly agenda: Agenda;
  readonly truth: TruthLog;
  readonly onAir: (gatewayId: string, downlink: DownlinkSent) => void;
}

interface BatchedFrame {
  readonly tx: InFlight;
  readonly rxpk: Readonly<Record<string, unknown>>;
}

interface PendingPush {
  readonly target: Target;
  readonly frames: readonly InFlight[];
}

const MOST_FRAMES_PER_PUSH = 8;
const SMALL_DRIFT_PPM = 20;

const newCounters = (): { -readonly [name in keyof GatewayCounters]: number } => ({
  heard: 0,
  acked: 0,
  pushSent: 0,
  pushAcked: 0,
  pullSent: 0,
  pullAcked: 0,
  downlinksProgrammed: 0,
  downlinksRefused: 0,
  unknownTokens: 0,
  garbage: 0,
  strangers: 0,
  sendErrors: 0,
});

class SemtechGateway implements Gateway {
  readonly id: string;
  readonly counters = newCounters();
  readonly #config: GatewayConfig;
  readonly #ports: GatewayPorts;
  readonly #radio: Random;
  readonly #downlinkRadio: Random;
  readonly #tokens: Random;
  readonly receiver: Receiver;
  readonly #clock: GatewayClock;
  readonly #pushes: PushWindow<PendingPush>;
  readonly #queue: TxQueue;
  #target: Target;
  #loss: number;
  #downlinkLoss: number;
  #batch: BatchedFrame[] = [];
  #pullToken = -1;
  #reported = newCounters();
  #up: UdpLink | undefined;
  #down: UdpLink | undefined;
  #timers: NodeJS.Timeout[] = [];

  constructor(config: GatewayConfig, target: Target, ports: GatewayPorts) {
    const stream = (name: string): Random => createRandom(ports.seed, `gateway/${config.id}/${name}`);
    const draws = stream('clock');
    const tmstStart = config.tmstStart ?? draws.integer(0x1_0000_0000);
    const driftPpm = config.driftPpm ?? draws.between(-SMALL_DRIFT_PPM, SMALL_DRIFT_PPM);
    this.id = config.id;
    this.#config = config;
    this.#ports = ports;
    this.#target = target;
    this.receiver = createReceiver(ports.radio);
    this.#loss = config.loss;
    this.#downlinkLoss = config.downlinkLoss;
    this.#radio = stream('radio');
    this.#downlinkRadio = stream('downlink');
    this.#tokens = stream('tokens');
    this.#clock = createGatewayClock(ports.clock.monoMs(), tmstStart, driftPpm);
    this.#pushes = createPushWindow(config.ackWindowMs, () => this.#token());
    this.#queue = createTxQueue({ leadMs: config.txLeadUs / 1_000, advanceMs: config.txAdvanceMs });
  }

  async open(): Promise<void> {
    const onError = (): void => {
      this.counters.sendErrors += 1;
    };
    // As the reference forwarder, one socket upstream and one downstream: a server must answer where it was asked.
    this.#up = await openUdpLink((bytes, remote) => this.#fromServer(bytes, remote, 'up'), onError);
    this.#down = await openUdpLink((bytes, remote) => this.#fromServer(bytes, remote, 'down'), onError);
    this.#timers = [
      setInterval(() => this.#pull(), this.#config.keepaliveMs),
      setInterval(() => this.#report(), this.#config.statMs),
    ];
    this.#pull();
  }

  get target(): Target {
    return this.#target;
  }

  get pending(): Gateway['pending'] {
    const pushes = this.#pushes.expire(this.#ports.clock.monoMs());
    return { frames: this.#batch.length, pushes, downlinks: this.#queue.waiting(this.#ports.clock.monoMs()) };
  }

  setLoss(loss: number | undefined, downlinkLoss: number | undefined): void {
    this.#loss = loss ?? this.#loss;
    this.#downlinkLoss = downlinkLoss ?? this.#downlinkLoss;
  }

  async retarget(host: string, port: number): Promise<void> {
    this.#target = await resolveTarget(host, port);
    this.#pull();
  }

  hear(spreadingFactor: number, signalDbm?: number): Hearing {
    const isLost = this.#radio.chance(this.#loss);
    const [deviation, quality] = [this.#radio.between(-1, 1), this.#radio.uniform()];
    if (signalDbm !== undefined) {
      const faded = signalDbm + this.#ports.radio.fadingDb * deviation;
      const heard = !isLost && faded >= sensitivityDbm(spreadingFactor);
      return { heard, signalDbm: faded, ...reportOf(faded) };
    }
    const rssi = Math.round(Math.min(-20, this.#config.rssi + 12 * deviation));
    const snr = Math.round((-5 + 17 * quality) * 10) / 10;
    return { heard: !isLost, rssi, snr, signalDbm: rssi };
  }

  losesDownlink(): boolean {
    return this.#downlinkRadio.chance(this.#downlinkLoss);
  }

  receive(reception: Reception): void {
    const { clock, truth } = this.#ports;
    const { tx, rssi, snr, endMs } = reception;
    truth.append({
      type: 'heard',
      txId: tx.id,
      gateway: this.id,
      at: clock.monoMs(),
      tmst: this.#clock.tmstAt(endMs),
      rssi,
      snr,
    });
    this.#enqueue({ tx, rxpk: rxpkOf(reception, this.#clock.tmstAt(endMs), clock.wallNs(endMs)) });
  }

  forward(rxpk: Readonly<Record<string, unknown>>, tx: InFlight, keepTmst: boolean): void {
    const tmst = this.#clock.tmstAt(this.#ports.clock.monoMs());
    this.#enqueue({ tx, rxpk: keepTmst ? rxpk : { ...rxpk, tmst } });
  }

  #enqueue(frame: BatchedFrame): void {
    const { clock, agenda } = this.#ports;
    this.counters.heard += 1;
    this.#batch.push(frame);
    if (this.#batch.length >= MOST_FRAMES_PER_PUSH) this.#flush();
    else if (this.#batch.length === 1) agenda.at(clock.monoMs() + this.#config.batchMs, () => this.#flush());
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#up?.close();
    this.#down?.close();
  }

  #token(): number {
    return this.#tokens.integer(0x1_0000);
  }

  #flush(): void {
    if (this.#batch.length === 0) return;
    const batch = this.#batch;
    this.#batch = [];
    this.#push(
      { rxpk: batch.map(({ rxpk }) => rxpk) },
      batch.map(({ tx }) => tx),
    );
  }

  #push(body: object, frames: readonly InFlight[]): void {
    const token = this.#pushes.open({ target: this.#target, frames }, this.#ports.clock.monoMs());
    this.counters.pushSent += 1;
    this.#up?.send(pushData(token, this.id, body), this.#target);
  }

  #pull(): void {
    this.#pullToken = this.#token();
    this.counters.pullSent += 1;
    this.#down?.send(pullData(this.#pullToken, this.id), this.#target);
  }

  #report(): void {
    const { clock } = this.#ports;
    const now = { ...this.counters };
    const since = (name: keyof GatewayCounters): number => now[name] - this.#reported[name];
    const stat = statOf(
      {
        rxnb: since('heard'),
        rxok: since('heard'),
        rxfw: since('heard'),
        pushed: since('pushSent'),
        acked: since('pushAcked'),
        dwnb: since('downlinksProgrammed') + since('downlinksRefused'),
        txnb: since('downlinksProgrammed'),
      },
      clock.wallNs(clock.monoMs()),
      this.#config.position,
    );
    this.#reported = now;
    this.#push({ stat }, []);
  }

  #fromServer(bytes: Buffer, remote: RemoteInfo, socket: 'up' | 'down'): void {
    const read = readServerDatagram(bytes);
    if (read === undefined || (read.kind === 'pushAck') !== (socket === 'up')) this.counters.garbage += 1;
    else if (read.kind === 'pushAck') this.#acknowledged(read.token, remote);
    else if (!isFrom(this.#target, remote)) this.counters.strangers += 1;
    else if (read.kind === 'pullResp') this.#transmit(read.token, read.json);
    else if (read.token === this.#pullToken) {
      this.counters.pullAcked += 1;
      this.#pullToken = -1;
    } else this.counters.unknownTokens += 1;
  }

  #acknowledged(token: number, remote: RemoteInfo): void {
    const at = this.#ports.clock.monoMs();
    const push = this.#pushes.take(token, at, ({ target }) => isFrom(target, remote));
    if (push === undefined) {
      this.counters.unknownTokens += 1;
      return;
    }
    this.counters.pushAcked += 1;
    for (const tx of push.frames) {
      tx.acknowledged();
      this.counters.acked += 1;
      this.#ports.truth.append({ type: 'acked', txId: tx.id, gateway: this.id, at });
    }
  }

  #transmit(token: number, json: string): void {
    const { agenda, clock, onAir } = this.#ports;
    const read = readTxpk(json);
    if ('refused' in read) {
      this.#refuse(token, read.refused, read.txError, read.phyPayload);
      return;
    }
    const now = clock.monoMs();
    const at = this.#clock.monoOf(read.tmst, now);
    const error = this.#queue.program({ startMs: at, endMs: at + read.airtimeMs }, now);
    if (error !== undefined) {
      this.#refuse(token, 'schedule', error, read.phyPayload);
      return;
    }
    this.counters.downlinksProgrammed += 1;
    this.#down?.send(txAck(token, this.id), this.#target);
    agenda.at(at, () => {
      this.receiver.transmit(at, at + read.airtimeMs);
      onAir(this.id, { ...read, at });
    });
  }

  #refuse(token: number, reason: string, txError?: TxError, phyPayload?: Buffer): void {
    this.counters.downlinksRefused += 1;
    if (txError !== undefined) this.#down?.send(txAck(token, this.id, txError), this.#target);
    this.#ports.truth.append({
      type: 'downlinkRefused',
      gateway: this.id,
      at: this.#ports.clock.monoMs(),
      reason,
      txError: txError ?? null,
      phyPayload: phyPayload?.toString('hex') ?? null,
    });
  }
}

/** Opens a gateway: its sockets are bound and its first PULL_DATA is sent. Throws `badTarget`. */
export async function openGateway(config: GatewayConfig, ports: GatewayPorts): Promise<Gateway> {
  const gateway = new SemtechGateway(config, await resolveTarget(config.host, config.port), ports);
  await gateway.open();
  return gateway;
}
