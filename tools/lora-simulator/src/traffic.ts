import type { SimulatorConfig } from './config.ts';
import type { Channel } from './eu868.ts';
import type { FrameHistory } from './frame-history.ts';
import type { Mote } from './mote.ts';
import type { Random } from './random.ts';
import type { Frame, Transmission, TransmissionKind } from './transmission.ts';
import { deviceAt, foreignAt } from './devices.ts';
import { CHANNELS } from './eu868.ts';
import { createFrameHistory } from './frame-history.ts';
import { createTimeHeap } from './heap.ts';
import { createMote } from './mote.ts';
import { createRandom } from './random.ts';

/** Everything that will be on air, as a function of the seed; it knows no clock. */
export interface Traffic {
  readonly motes: readonly Mote[];
  /** Traffic time in ms of the next transmission. */
  nextAt(): number;
  /** The next transmission; undefined where a planned replay found nothing old enough. */
  next(): Transmission | undefined;
  /** Plans nothing more. */
  stop(): void;
}

/** Lowest time between two uplinks of a mote. Above one second, so that a late timer cannot push it below. */
export const SHORTEST_INTERVAL_MS = 1_025;
const REPLAY_AGE_MS = 2_000;
const HEADER_BYTES = 8;
const MIC_BYTES = 4;

interface Station {
  readonly index: number;
  readonly mote: Mote;
  readonly radio: Random;
  readonly attacker: Random;
  readonly history: FrameHistory;
  stranger?: Mote;
}

type Plan =
  | { readonly kind: 'uplink'; readonly station: Station }
  | { readonly kind: 'retransmission' | 'bitflip'; readonly station: Station; readonly frame: Frame }
  | { readonly kind: 'replay' | 'foreign'; readonly station: Station };

function createStation(config: SimulatorConfig, index: number): Station {
  const device = deviceAt(config, index);
  const starts = typeof config.fcntUpStart === 'number' ? [config.fcntUpStart] : config.fcntUpStart;
  const attacker = createRandom(config.seed, `attacker/${device.devEui}`);
  return {
    index,
    mote: createMote(config, { device, fcntUpStart: starts[index % starts.length] ?? 0 }),
    radio: createRandom(config.seed, `radio/${device.devEui}`),
    attacker,
    history: createFrameHistory(config.replayDepth, attacker),
  };
}

// Its counter keeps about the pace of its victim's, so that both contend for the same counter values.
function strangerOf(config: SimulatorConfig, station: Station, fcntUpStart: number): Mote {
  const pace = Math.min(1_000, 1 / Math.max(config.attack.foreign, 1e-3));
  station.stranger ??= createMote(config, {
    device: foreignAt(config, station.index),
    fcntUpStart,
    skip: (random) => random.integer(Math.max(1, Math.round(2 * pace) - 1)),
  });
  return station.stranger;
}

// Half of the flips hit MHDR and FHDR, half FPort and FRMPayload; each makes the MIC wrong.
function flipBit(phyPayload: Buffer, random: Random): { phyPayload: Buffer; flippedBit: number } {
  const inHeader = random.chance(0.5);
  const draw = random.uniform();
  const first = inHeader ? 0 : HEADER_BYTES;
  const end = inHeader ? HEADER_BYTES : phyPayload.length - MIC_BYTES;
  const flippedBit = 8 * first + Math.floor(draw * 8 * (end - first));
  const flipped = Buffer.from(phyPayload);
  const byte = flippedBit >> 3;
  flipped.writeUInt8(flipped.readUInt8(byte) ^ (1 << (flippedBit & 7)), byte);
  return { phyPayload: flipped, flippedBit };
}

const channelFrom = (random: Random): Channel => CHANNELS[random.integer(CHANNELS.length)] ?? CHANNELS[0];

class SeededTraffic implements Traffic {
  readonly #config: SimulatorConfig;
  readonly #stations: readonly Station[];
  readonly #plans = createTimeHeap<Plan>();
  readonly motes: readonly Mote[];
  #lastId = 0;
  #stopped = false;

  constructor(config: SimulatorConfig) {
    this.#config = config;
    this.#stations = Array.from({ length: config.motes }, (_, index) => createStation(config, index));
    this.motes = this.#stations.map((station) => station.mote);
    for (const station of this.#stations) {
      this.#plans.push(station.radio.between(0, config.periodMs), { kind: 'uplink', station });
    }
  }

  nextAt(): number {
    return this.#stopped ? Infinity : this.#plans.nextAt();
  }

  stop(): void {
    this.#stopped = true;
    this.#plans.clear();
  }

  next(): Transmission | undefined {
    const at = this.#plans.nextAt();
    const plan = this.#plans.pop();
    switch (plan?.kind) {
      case undefined:
        return undefined;
      case 'uplink':
        return this.#uplink(plan.station, at);
      case 'retransmission':
        return this.#transmit('retransmission', plan.station, plan.frame);
      case 'bitflip':
        return this.#transmit(
          'bitflip',
          plan.station,
          plan.frame,
          flipBit(plan.frame.phyPayload, plan.station.attacker),
        );
      case 'replay':
        return this.#replay(plan.station, at);
      case 'foreign':
        return this.#foreign(plan.station, at);
    }
  }

  #uplink(station: Station, at: number): Transmission {
    const frame = station.mote.nextUplink(this.#lastId + 1, at);
    station.history.add(frame);
    const { periodMs, jitter } = this.#config;
    const interval = periodMs * (1 + station.radio.between(-jitter, jitter));
    this.#plans.push(at + Math.max(SHORTEST_INTERVAL_MS, interval), { kind: 'uplink', station });
    this.#planAttacks(station, frame, at);
    return this.#transmit('uplink', station, frame);
  }

  #planAttacks(station: Station, frame: Frame, at: number): void {
    const { attack, periodMs } = this.#config;
    const { attacker, radio } = station;
    const planned = (ratio: number, random: Random, low: number, high: number, plan: Plan): void => {
      const wanted = random.chance(ratio);
      const delayMs = random.between(low, high);
      if (wanted) this.#plans.push(at + delayMs, plan);
    };
    planned(attack.retransmission, radio, 300, 900, { kind: 'retransmission', station, frame });
    planned(attack.bitflip, attacker, 300, 1_500, { kind: 'bitflip', station, frame });
    planned(attack.replay, attacker, 100, periodMs, { kind: 'replay', station });
    planned(attack.foreign, attacker, 0, periodMs, { kind: 'foreign', station });
  }

  #replay(station: Station, at: number): Transmission | undefined {
    const frame = station.history.pick(at - REPLAY_AGE_MS);
    return frame === undefined ? undefined : this.#transmit('replay', station, frame);
  }

  #foreign(station: Station, at: number): Transmission {
    const newest = station.history.newest()?.fcnt ?? 0;
    const stranger = strangerOf(this.#config, station, newest);
    const frame = stranger.nextUplink(this.#lastId + 1, at);
    return this.#transmit('foreign', station, frame, { devEui: stranger.device.devEui });
  }

  #transmit(
    kind: TransmissionKind,
    station: Station,
    frame: Frame,
    changes: Partial<Pick<Transmission, 'devEui' | 'phyPayload' | 'flippedBit'>> = {},
  ): Transmission {
    this.#lastId += 1;
    const { device, spreadingFactor } = station.mote;
    const byMote = kind === 'uplink' || kind === 'retransmission';
    return {
      id: this.#lastId,
      kind,
      devEui: device.devEui,
      devAddr: device.devAddr,
      frame,
      phyPayload: frame.phyPayload,
      channel: channelFrom(byMote ? station.radio : station.attacker),
      spreadingFactor,
      ...changes,
    };
  }
}

/** The traffic of a configuration: same configuration, same transmissions in the same order. */
export function createTraffic(config: SimulatorConfig): Traffic {
  return new SeededTraffic(config);
}
