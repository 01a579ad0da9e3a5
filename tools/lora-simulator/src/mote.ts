import type { SimulatorConfig } from './config.ts';
import type { Device, OtaaDevice } from './devices.ts';
import type { DownlinkOnAir, DownlinkReception, ReceptionResult } from './downlink-reception.ts';
import type { Exchange } from './exchange.ts';
import type { SessionKeys } from './frames.ts';
import type { Joined, Joining, JoinResult } from './join.ts';
import type { MacExchange, MacLayer } from './mac-layer.ts';
import type { MacParameters, MoteChannel } from './mac-parameters.ts';
import type { Random } from './random.ts';
import type { RadioDownlink, RadioSettings } from './receive-windows.ts';
import type { Frame, JoinRequestFrame } from './transmission.ts';
import { encodeLpp } from './cayenne-lpp.ts';
import { isOtaa } from './devices.ts';
import { createDownlinkReception } from './downlink-reception.ts';
import { spreadingFactorAt } from './eu868.ts';
import { createExchange } from './exchange.ts';
import { buildUplink, ownBytes } from './frames.ts';
import { createJoining } from './join.ts';
import { createMacLayer } from './mac-layer.ts';
import { factoryParameters, JOIN_CHANNELS, joinedParameters, usableChannels } from './mac-parameters.ts';
import { createRandom } from './random.ts';

/** What both sides agree on after an activation. */
export interface Session {
  readonly devAddr: string;
  readonly keys: SessionKeys;
  readonly reception: DownlinkReception;
  /** Joins so far; undefined of an ABP mote. */
  readonly number?: number;
}

/** What a mote makes of a data downlink. */
export type MoteReception = ReceptionResult & { readonly mac?: MacExchange };

/** An end device of LoRaWAN 1.0.x, class A. */
export interface Mote {
  readonly device: Device | OtaaDevice;
  /** Undefined while it is not joined. */
  readonly session: Session | undefined;
  /** The counter that its next uplink will carry, 32 bits. */
  readonly fcntUp: number;
  readonly parameters: MacParameters;
  readonly spreadingFactor: number;
  /** Its uplink on air now; done once nothing more of it will be on air. */
  readonly exchange: Exchange;
  /** Its joins; undefined of an ABP mote. */
  readonly joining: Joining | undefined;
  /** Channels on which it may send now. */
  channels(): readonly Pick<MoteChannel, 'freqMhz'>[];
  /** Its next uplink; spends one FCntUp. Only of a mote that has a session. */
  nextUplink(txId: number, at: number): Frame;
  /** Leaves its session, if any, and begins to join. Only of an OTAA mote. */
  leave(): void;
  nextJoinRequest(txId: number): JoinRequestFrame | undefined;
  /** It sent data until `endMs`; gives how long after that its last window opens, ms. */
  listenAfter(endMs: number, radio: RadioSettings): number;
  receive(downlink: DownlinkOnAir): MoteReception;
  receiveJoinAccept(downlink: RadioDownlink): JoinResult;
  /** Whether its network has more for it and wants an uplink soon; asking settles it. */
  takePoll(): boolean;
}

/** How a mote differs from the others. */
export interface MoteOptions {
  readonly device: Device | OtaaDevice;
  readonly fcntUpStart: number;
  /** Counters its sender skips before each frame, for a foreign mote most of whose frames go elsewhere. */
  readonly skip?: (random: Random) => number;
}

const keysOf = (device: Device): SessionKeys => ({
  nwkSKey: ownBytes(Buffer.from(device.nwkSKey, 'hex')),
  appSKey: ownBytes(Buffer.from(device.appSKey, 'hex')),
});

// A slow wave with noise on it, each within what its encoding holds: no two readings look alike.
function measure(random: Random, phase: number, count: number): Buffer {
  const wave = Math.sin(phase + count / 50);
  return encodeLpp({
    temperatureC: 18 + 9 * wave + random.between(-1.5, 1.5),
    humidityPercent: 55 - 25 * wave + random.between(-5, 5),
    batteryVolt: 3.6 - Math.min(0.8, count / 100_000) + random.between(-0.05, 0.05),
  });
}

const FOPTS_BYTES = 15;
const FULL_BATTERY = 254;
const UPLINKS_PER_BATTERY_STEP = 400;
/** Of a downlink whose path nobody computes, dB. */
const UNKNOWN_SNR = 10;

class ClassAMote implements Mote {
  readonly device: Device | OtaaDevice;
  readonly exchange = createExchange();
  readonly joining: Joining | undefined;
  readonly #config: SimulatorConfig;
  readonly #skip: MoteOptions['skip'];
  readonly #random: Random;
  readonly #phase: number;
  readonly #adr: boolean;
  readonly #configuredSf: number;
  readonly #mac: MacLayer;
  #session: Session | undefined;
  #sessions = 0;
  #count = 0;
  #fcnt: number;

  constructor(config: SimulatorConfig, { device, fcntUpStart, skip }: MoteOptions) {
    const random = createRandom(config.seed, `mote/${device.devEui}`);
    this.device = device;
    this.#config = config;
    this.#skip = skip;
    this.#random = random;
    this.#phase = random.between(0, 2 * Math.PI);
    this.#adr = random.chance(config.adr);
    this.#configuredSf = config.spreadingFactors[random.integer(config.spreadingFactors.length)] ?? 7;
    this.#fcnt = fcntUpStart;
    if (isOtaa(device)) {
      this.joining = createJoining(device, config, createRandom(config.seed, `join/${device.devEui}`));
      this.#mac = createMacLayer(factoryParameters(this.#configuredSf, JOIN_CHANNELS), config);
    } else {
      this.#mac = createMacLayer(factoryParameters(this.#configuredSf), config);
      const keys = keysOf(device);
      const reception = createDownlinkReception(device, keys, config.fcntDownStart);
      this.#session = { devAddr: device.devAddr, keys, reception };
    }
  }

  get session(): Session | undefined {
    return this.#session;
  }

  get fcntUp(): number {
    return this.#fcnt;
  }

  get parameters(): MacParameters {
    return this.#mac.parameters;
  }

  get spreadingFactor(): number {
    return spreadingFactorAt(this.parameters.dataRate);
  }

  channels(): readonly MoteChannel[] {
    const usable = usableChannels(this.parameters);
    // A network that took away every channel left the three that it cannot take.
    return usable.length > 0 ? usable : usableChannels({ ...this.parameters, channels: JOIN_CHANNELS });
  }

  nextUplink(txId: number, at: number): Frame {
    const session = this.#session;
    if (session === undefined) throw new TypeError('a mote without a session has no uplinks');
    const random = this.#random;
    const { reception, devAddr, keys } = session;
    this.#fcnt = (this.#fcnt + (this.#skip?.(random) ?? 0)) % 0x1_0000_0000;
    const fields = {
      fcnt: this.#fcnt,
      ...this.#content(this.#mac.takeAnswers()),
      confirmed: random.chance(this.#config.confirmedUplinks),
      adr: this.#adr,
      adrAckReq: this.#mac.beforeUplink(this.#adr, reception.silentUplinks),
      ack: reception.takeAck(),
    };
    this.#count += 1;
    this.#fcnt = (this.#fcnt + 1) % 0x1_0000_0000;
    reception.countUplink();
    const phyPayload = buildUplink(keys, { ...fields, devAddr: Buffer.from(devAddr, 'hex') });
    const frame: Frame = {
      ...fields,
      devAddr,
      firstTxId: txId,
      firstAt: at,
      phyPayload,
      ...(session.number !== undefined && { session: session.number }),
    };
    const attempts = this.#attemptsOf(frame);
    // Class A sends nothing new before its windows are over.
    this.exchange.begin(frame, attempts, attempts > 1 || this.#config.mac === 'answered');
    return frame;
  }

  leave(): void {
    this.#session = undefined;
    this.exchange.end();
    this.#mac.reset(factoryParameters(this.#configuredSf, JOIN_CHANNELS));
    this.joining?.begin();
  }

  nextJoinRequest(txId: number): JoinRequestFrame | undefined {
    return this.joining?.request(txId);
  }

  listenAfter(endMs: number, radio: RadioSettings): number {
    const { reception, channels } = this.parameters;
    const channel = channels.find((candidate) => candidate?.freqMhz === radio.freqMhz);
    this.#session?.reception.listenAfter(endMs, radio, reception, channel?.downlinkMhz);
    return reception.rx2DelayMs;
  }

  receive(downlink: DownlinkOnAir): MoteReception {
    const result = this.#session?.reception.receive(downlink) ?? { accepted: false, reason: 'noWindow' };
    if (!result.accepted) return result;
    const { header, snr = UNKNOWN_SNR } = downlink;
    this.exchange.settle(header);
    const battery = Math.max(1, FULL_BATTERY - Math.floor(this.#count / UPLINKS_PER_BATTERY_STEP));
    const { fPort, fPending } = header;
    const fOpts = Buffer.from(header.fOpts, 'hex');
    const mac = this.#mac.receive({ fOpts, fPort, payload: result.payload, fPending, snr, battery });
    return { ...result, ...(mac !== undefined && { mac }) };
  }

  takePoll(): boolean {
    return this.#mac.takePoll();
  }

  receiveJoinAccept(downlink: RadioDownlink): JoinResult {
    const result = this.joining?.receive(downlink) ?? { accepted: false, reason: 'noWindow' };
    if (result.accepted) this.#joined(result);
    return result;
  }

  #joined({ accept, keys }: Joined): void {
    const { devAddr } = accept;
    this.#sessions += 1;
    this.#fcnt = 0;
    this.#mac.reset(joinedParameters(this.#configuredSf, accept));
    const reception = createDownlinkReception({ devAddr }, keys, 0);
    this.#session = { devAddr, keys, reception, number: this.#sessions };
  }

  // Answers that FOpts cannot hold are a frame of their own; the reading is in the next.
  #content(answers: Buffer): Pick<Frame, 'fPort' | 'payload' | 'fOpts'> {
    if (answers.length > FOPTS_BYTES) return { fPort: 0, payload: answers };
    const payload = measure(this.#random, this.#phase, this.#count);
    return { fPort: this.#config.fPort, payload, ...(answers.length > 0 && { fOpts: answers }) };
  }

  #attemptsOf(frame: Frame): number {
    const { nbTrans } = this.parameters;
    return frame.confirmed ? Math.max(nbTrans, this.#config.confirmedAttempts) : nbTrans;
  }
}

/** A mote whose radio settings, ADR flag and readings follow from the seed and its DevEUI. */
export function createMote(config: SimulatorConfig, options: MoteOptions): Mote {
  return new ClassAMote(config, options);
}
