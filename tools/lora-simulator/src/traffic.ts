import type { SimulatorConfig } from './config.ts';
import type { Channel } from './eu868.ts';
import type { Mote } from './mote.ts';
import type { Random } from './random.ts';
import type { Station } from './station.ts';
import type {
  DataTransmission,
  Frame,
  JoinRequestFrame,
  JoinTransmissionKind,
  Transmission,
  TransmissionKind,
} from './transmission.ts';
import { airtimeMs, channelAt, CHANNELS, DEFAULT_CHANNELS, eirpAt, JOIN_RX2_DELAY_MS } from './eu868.ts';
import { createTimeHeap } from './heap.ts';
import { joinRetryDelayMs } from './join-back-off.ts';
import { createStation, flipBit, strangerOf } from './station.ts';

/**
 * Everything that will be on air, as a function of the seed and of what the motes received; it knows no clock. Times
 * are traffic time in ms.
 */
export interface Traffic {
  readonly motes: readonly Mote[];
  /** Time of the next plan. */
  nextAt(): number;
  /** The next transmission; undefined where a plan came to nothing: no old frame to replay, no need to repeat. */
  next(): Transmission | undefined;
  /** An OTAA mote leaves its session, if any, and joins, beginning within a second from `now`. */
  rejoin(mote: Mote, now: number): void;
  /** Plans nothing more. */
  stop(): void;
}

/** Lowest time between two uplinks of a mote. Above one second, so that a late timer cannot push it below. */
export const SHORTEST_INTERVAL_MS = 1_025;
const REPLAY_AGE_MS = 2_000;
/** How much later than planned a transmission and the downlinks after it may happen. */
const LATENESS_MS = 100;
const JOIN_FREQUENCIES = CHANNELS.slice(0, DEFAULT_CHANNELS);

interface OfStation {
  readonly station: Station;
}

/** A mote's own plan is void once it left its session, or was hurried: its epoch is another then. */
interface OfSession extends OfStation {
  readonly epoch: number;
}

type Plan =
  | ({ readonly kind: 'uplink' | 'join' | 'joinWindows' } & OfSession)
  | ({ readonly kind: 'windows' | 'retransmission'; readonly frame: Frame } & OfSession)
  | ({ readonly kind: 'bitflip'; readonly frame: Frame } & OfStation)
  | ({ readonly kind: 'joinReplay'; readonly request: JoinRequestFrame } & OfStation)
  | ({ readonly kind: 'replay' | 'foreign' } & OfStation);

const channelFrom = (random: Random, freqsMhz: readonly { readonly freqMhz: number }[]): Channel => {
  const { freqMhz } = freqsMhz[random.integer(freqsMhz.length)] ?? CHANNELS[0];
  return channelAt(freqMhz);
};

const freeAtOf = ({ mote, dutyCycle }: Station): number =>
  Math.min(...mote.channels().map(({ freqMhz }) => dutyCycle.freeAt(freqMhz)));

function freeChannels({ mote, dutyCycle }: Station, at: number): readonly { readonly freqMhz: number }[] {
  const channels = mote.channels();
  const free = channels.filter(({ freqMhz }) => dutyCycle.freeAt(freqMhz) <= at);
  return free.length > 0 ? free : channels;
}

function spend({ mote, dutyCycle }: Station, { freqMhz }: Channel, phyPayload: Buffer, at: number): void {
  const airMs = airtimeMs(mote.spreadingFactor, phyPayload.length, true);
  dutyCycle.spend(freqMhz, at, airMs, mote.parameters.maxDutyCycle);
}

class SeededTraffic implements Traffic {
  readonly #config: SimulatorConfig;
  readonly #stations: readonly Station[];
  readonly #stationOf = new Map<Mote, Station>();
  readonly #plans = createTimeHeap<Plan>();
  readonly motes: readonly Mote[];
  #lastId = 0;
  #stopped = false;

  constructor(config: SimulatorConfig) {
    this.#config = config;
    this.#stations = Array.from({ length: config.motes }, (_, index) => createStation(config, index));
    this.motes = this.#stations.map((station) => station.mote);
    for (const station of this.#stations) {
      this.#stationOf.set(station.mote, station);
      const kind = station.isSending ? 'uplink' : 'join';
      this.#plans.push(station.radio.between(0, config.periodMs), { kind, station, epoch: 0 });
    }
  }

  nextAt(): number {
    return this.#stopped ? Infinity : this.#plans.nextAt();
  }

  stop(): void {
    this.#stopped = true;
    this.#plans.clear();
  }

  rejoin(mote: Mote, now: number): void {
    const station = this.#stationOf.get(mote);
    if (station === undefined || this.#stopped) return;
    mote.leave();
    station.epoch += 1;
    station.isSending = false;
    station.isDeferred = false;
    const { epoch } = station;
    this.#plans.push(now + station.timing.between(0, 1_000), { kind: 'join', station, epoch });
  }

  next(): Transmission | undefined {
    const at = this.#plans.nextAt();
    const plan = this.#plans.pop();
    if (plan === undefined) return undefined;
    if ('epoch' in plan) return plan.epoch === plan.station.epoch ? this.#ofMote(plan, at) : undefined;
    return this.#ofAttacker(plan, at);
  }

  #ofMote(plan: Extract<Plan, OfSession>, at: number): Transmission | undefined {
    const { station } = plan;
    switch (plan.kind) {
      case 'uplink':
        return this.#uplink(station, at);
      case 'windows':
        return this.#afterWindows(station, plan.frame, at);
      case 'retransmission':
        return this.#transmit('retransmission', station, plan.frame, at);
      case 'join':
        return this.#join(station, at);
      case 'joinWindows':
        this.#firstUplink(station, at);
        return undefined;
    }
  }

  #ofAttacker(plan: Exclude<Plan, OfSession>, at: number): Transmission | undefined {
    const { station } = plan;
    switch (plan.kind) {
      case 'bitflip':
        return this.#transmit(
          'bitflip',
          station,
          plan.frame,
          at,
          flipBit(plan.frame.phyPayload, station.attacker),
        );
      case 'replay':
        return this.#replay(station, at);
      case 'foreign':
        return this.#foreign(station, at);
      case 'joinReplay':
        return this.#request('joinReplay', station, plan.request, at);
    }
  }

  #uplink(station: Station, at: number): Transmission | undefined {
    if (station.mote.exchange.isOpen) {
      station.isDeferred = true;
      return undefined;
    }
    const freeAt = freeAtOf(station);
    if (freeAt > at) {
      this.#plans.push(freeAt, { kind: 'uplink', station, epoch: station.epoch });
      return undefined;
    }
    const frame = station.mote.nextUplink(this.#lastId + 1, at);
    station.history.add(frame);
    const { periodMs, jitter } = this.#config;
    const { epoch } = station;
    const interval = periodMs * (1 + station.radio.between(-jitter, jitter));
    this.#plans.push(at + Math.max(SHORTEST_INTERVAL_MS, interval), { kind: 'uplink', station, epoch });
    this.#planAttacks(station, frame, at);
    this.#planWindows(station, frame, at);
    return this.#transmit('uplink', station, frame, at);
  }

  #planAttacks(station: Station, frame: Frame, at: number): void {
    const { attack, periodMs } = this.#config;
    const { attacker, radio, epoch } = station;
    const planned = (ratio: number, random: Random, low: number, high: number, plan: Plan): void => {
      const wanted = random.chance(ratio);
      const delayMs = random.between(low, high);
      if (wanted) this.#plans.push(at + delayMs, plan);
    };
    planned(attack.retransmission, radio, 300, 900, { kind: 'retransmission', station, epoch, frame });
    planned(attack.bitflip, attacker, 300, 1_500, { kind: 'bitflip', station, frame });
    planned(attack.replay, attacker, 100, periodMs, { kind: 'replay', station });
    planned(attack.foreign, attacker, 0, periodMs, { kind: 'foreign', station });
  }

  // ACK_TIMEOUT is 2 +- 1 s after the second window; an unconfirmed uplink is repeated sooner.
  #planWindows(station: Station, frame: Frame, at: number): void {
    const { mote, timing, epoch } = station;
    if (!mote.exchange.isOpen) return;
    const airMs = airtimeMs(mote.spreadingFactor, frame.phyPayload.length, true);
    const waitMs = frame.confirmed ? timing.between(1_000, 3_000) : timing.between(LATENESS_MS, 1_000);
    const windowsEndMs = airMs + mote.parameters.reception.rx2DelayMs;
    this.#plans.push(at + windowsEndMs + waitMs, { kind: 'windows', station, epoch, frame });
  }

  #afterWindows(station: Station, frame: Frame, at: number): Transmission | undefined {
    const { mote } = station;
    const { exchange } = mote;
    const freeAt = freeAtOf(station);
    if (exchange.isOpen && freeAt > at) {
      this.#plans.push(freeAt, { kind: 'windows', station, epoch: station.epoch, frame });
      return undefined;
    }
    if (exchange.takeAttempt(frame)) {
      this.#planWindows(station, frame, at);
      return this.#transmit('retransmission', station, frame, at);
    }
    exchange.end(frame);
    // the next one is on its way already: what is wanted waits for its windows
    if (exchange.isOpen) return undefined;
    const isHurried = mote.takePoll();
    if (!station.isDeferred && !isHurried) return undefined;
    station.isDeferred = false;
    if (isHurried) station.epoch += 1;
    this.#plans.push(at, { kind: 'uplink', station, epoch: station.epoch });
    return undefined;
  }

  #join(station: Station, at: number): Transmission | undefined {
    const { mote, epoch } = station;
    if (mote.session !== undefined) {
      this.#firstUplink(station, at);
      return undefined;
    }
    const request = mote.nextJoinRequest(this.#lastId + 1);
    if (request === undefined) return undefined;
    if (request.attempt === 1) station.joinSince = at;
    const airMs = airtimeMs(mote.spreadingFactor, request.phyPayload.length, true);
    const retryMs = joinRetryDelayMs(at - station.joinSince, airMs, station.timing.uniform());
    const windowsMs = airMs + JOIN_RX2_DELAY_MS + LATENESS_MS;
    this.#plans.push(at + windowsMs, { kind: 'joinWindows', station, epoch });
    this.#plans.push(at + retryMs, { kind: 'join', station, epoch });
    const wanted = station.attacker.chance(this.#config.attack.joinReplay);
    const replayAt = at + station.attacker.between(1_000, 20_000);
    if (wanted) this.#plans.push(replayAt, { kind: 'joinReplay', station, request });
    return this.#request('joinRequest', station, request, at);
  }

  #firstUplink(station: Station, at: number): void {
    if (station.mote.session === undefined || station.isSending) return;
    station.isSending = true;
    const delayMs = station.timing.between(0, this.#config.periodMs);
    this.#plans.push(at + delayMs, { kind: 'uplink', station, epoch: station.epoch });
  }

  #replay(station: Station, at: number): Transmission | undefined {
    const frame = station.history.pick(at - REPLAY_AGE_MS);
    return frame === undefined ? undefined : this.#transmit('replay', station, frame, at);
  }

  #foreign(station: Station, at: number): Transmission | undefined {
    const newest = station.history.newest();
    if (newest === undefined) return undefined;
    const stranger = strangerOf(this.#config, station, newest);
    const frame = stranger.nextUplink(this.#lastId + 1, at);
    return this.#transmit('foreign', station, frame, at, { devEui: stranger.device.devEui });
  }

  #request(
    kind: JoinTransmissionKind,
    station: Station,
    request: JoinRequestFrame,
    at: number,
  ): Transmission {
    this.#lastId += 1;
    const { device, spreadingFactor } = station.mote;
    const { phyPayload } = request;
    const byMote = kind === 'joinRequest';
    const channel = channelFrom(byMote ? station.radio : station.attacker, JOIN_FREQUENCIES);
    if (byMote) spend(station, channel, phyPayload, at);
    return {
      id: this.#lastId,
      kind,
      devEui: device.devEui,
      request,
      phyPayload,
      channel,
      spreadingFactor,
      powerDbm: eirpAt(station.mote.parameters.txPower),
      from: device.devEui,
    };
  }

  #transmit(
    kind: TransmissionKind,
    station: Station,
    frame: Frame,
    at: number,
    changes: Partial<Pick<DataTransmission, 'devEui' | 'phyPayload' | 'flippedBit'>> = {},
  ): Transmission {
    this.#lastId += 1;
    const { mote, radio, attacker } = station;
    const byMote = kind === 'uplink' || kind === 'retransmission';
    const channel = byMote ? channelFrom(radio, freeChannels(station, at)) : channelFrom(attacker, CHANNELS);
    if (byMote) spend(station, channel, frame.phyPayload, at);
    return {
      id: this.#lastId,
      kind,
      devEui: mote.device.devEui,
      devAddr: frame.devAddr,
      frame,
      phyPayload: frame.phyPayload,
      channel,
      spreadingFactor: mote.spreadingFactor,
      powerDbm: eirpAt(byMote ? mote.parameters.txPower : 0),
      from: mote.device.devEui,
      ...changes,
    };
  }
}

/** The traffic of a configuration: same configuration, same transmissions in the same order. */
export function createTraffic(config: SimulatorConfig): Traffic {
  return new SeededTraffic(config);
}
