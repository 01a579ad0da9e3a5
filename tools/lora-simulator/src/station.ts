import type { SimulatorConfig } from './config.ts';
import type { DutyCycle } from './duty-cycle.ts';
import type { FrameHistory } from './frame-history.ts';
import type { Mote } from './mote.ts';
import type { Random } from './random.ts';
import { foreignAt, provisionedAt } from './devices.ts';
import { createDutyCycle } from './duty-cycle.ts';
import { createFrameHistory } from './frame-history.ts';
import { createMote } from './mote.ts';
import { createRandom } from './random.ts';

/** A mote, its luck, and the attacker who listens to it. */
export interface Station {
  readonly index: number;
  readonly mote: Mote;
  readonly radio: Random;
  /** Delays of retransmissions and joins. */
  readonly timing: Random;
  readonly attacker: Random;
  readonly history: FrameHistory;
  readonly dutyCycle: DutyCycle;
  /** Counts the times that the mote changed its plans: those of before are void. */
  epoch: number;
  /** Since when it tries to join, traffic time in ms. */
  joinSince: number;
  /** Its periodic uplinks are planned. */
  isSending: boolean;
  /** An uplink came due while the last was still waiting. */
  isDeferred: boolean;
  stranger?: Mote;
}

const HEADER_BYTES = 8;
const MIC_BYTES = 4;

export function createStation(config: SimulatorConfig, index: number): Station {
  const device = provisionedAt(config, index);
  const starts = typeof config.fcntUpStart === 'number' ? [config.fcntUpStart] : config.fcntUpStart;
  const attacker = createRandom(config.seed, `attacker/${device.devEui}`);
  const mote = createMote(config, { device, fcntUpStart: starts[index % starts.length] ?? 0 });
  return {
    index,
    mote,
    radio: createRandom(config.seed, `radio/${device.devEui}`),
    timing: createRandom(config.seed, `timing/${device.devEui}`),
    attacker,
    history: createFrameHistory(config.replayDepth, attacker),
    dutyCycle: createDutyCycle(config.dutyCycle),
    epoch: 0,
    joinSince: 0,
    isSending: mote.joining === undefined,
    isDeferred: false,
  };
}

/**
 * The foreign mote with the DevAddr that the station's mote had last. Its counter keeps about the pace of its
 * victim's, so that both contend for the same counter values.
 */
export function strangerOf(
  config: SimulatorConfig,
  station: Station,
  { devAddr, fcnt }: { readonly devAddr: string; readonly fcnt: number },
): Mote {
  const pace = Math.min(1_000, 1 / Math.max(config.attack.foreign, 1e-3));
  if (station.stranger?.session?.devAddr !== devAddr) {
    station.stranger = createMote(config, {
      device: foreignAt(config, station.index, devAddr),
      fcntUpStart: fcnt,
      skip: (random) => random.integer(Math.max(1, Math.round(2 * pace) - 1)),
    });
  }
  return station.stranger;
}

/** Half of the flips hit MHDR and FHDR, half FPort and FRMPayload; each makes the MIC wrong. */
export function flipBit(phyPayload: Buffer, random: Random): { phyPayload: Buffer; flippedBit: number } {
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
