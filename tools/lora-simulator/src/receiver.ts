import type { SimulatorConfig } from './config.ts';
import { addDbm } from './signal.ts';

/** A frame as it arrives at one gateway's antenna. */
export interface Arrival {
  readonly freqMhz: number;
  readonly spreadingFactor: number;
  /** Monotonic ms. */
  readonly startMs: number;
  readonly endMs: number;
  readonly signalDbm: number;
  /** Strong enough, and not lost for other reasons: it takes a demodulator. */
  readonly isDetected: boolean;
}

/** Why a gateway received nothing of a frame that was strong enough. */
export type MissReason = 'collision' | 'demodulators' | 'transmitting';

/** A frame under way to a gateway. */
export interface Incoming {
  /** Asked at its end: why it is not received, if so. */
  missed(): MissReason | undefined;
}

/** The radio of one gateway: what disturbs what. */
export interface Receiver {
  arrive(arrival: Arrival): Incoming;
  /** It sends from `startMs` to `endMs`, and hears nothing meanwhile. */
  transmit(startMs: number, endMs: number): void;
}

type Options = Pick<SimulatorConfig['radio'], 'collisions' | 'captureDb' | 'demodulators' | 'halfDuplex'>;

interface Active extends Arrival {
  interferenceDbm: number;
  hasDemodulator: boolean;
  isDeafened: boolean;
}

const SILENCE_DBM = -300;

/**
 * Frames on the same frequency and spreading factor disturb each other where they overlap; one is received all the
 * same if it is `captureDb` above all others together. Other spreading factors do not matter.
 */
export function createReceiver(options: Options): Receiver {
  const { collisions, captureDb, demodulators, halfDuplex } = options;
  let active: Active[] = [];
  let sending = { startMs: -Infinity, endMs: -Infinity };

  const disturb = (one: Active, other: Active): void => {
    if (one.freqMhz !== other.freqMhz || one.spreadingFactor !== other.spreadingFactor) return;
    one.interferenceDbm = addDbm(one.interferenceDbm, other.signalDbm);
    other.interferenceDbm = addDbm(other.interferenceDbm, one.signalDbm);
  };
  const missReason = (arrival: Active): MissReason | undefined => {
    if (halfDuplex && arrival.isDeafened) return 'transmitting';
    if (!arrival.hasDemodulator) return 'demodulators';
    const isDrowned = arrival.signalDbm - arrival.interferenceDbm < captureDb;
    return collisions && isDrowned ? 'collision' : undefined;
  };
  return {
    arrive(arrival) {
      active = active.filter(({ endMs }) => endMs > arrival.startMs);
      const busy = active.filter(({ isDetected, hasDemodulator }) => isDetected && hasDemodulator).length;
      const next: Active = {
        ...arrival,
        interferenceDbm: SILENCE_DBM,
        hasDemodulator: demodulators === 0 || busy < demodulators,
        isDeafened: sending.startMs < arrival.endMs && arrival.startMs < sending.endMs,
      };
      for (const other of active) disturb(next, other);
      active.push(next);
      return { missed: () => (arrival.isDetected ? missReason(next) : undefined) };
    },
    transmit(startMs, endMs) {
      sending = { startMs, endMs };
      for (const arrival of active) if (arrival.endMs > startMs) arrival.isDeafened = true;
    },
  };
}
