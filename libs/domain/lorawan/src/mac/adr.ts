import type { RegionPlan } from '../region/plan.ts';
import { maskOf, withoutHistory } from './effects.ts';
import type { AdrState, MacRequest, MacState } from './state.ts';

/** Uplinks that a decision rests on. */
export const ADR_UPLINKS = 20;
const STEP_DB = 3;
/** The longest wait is 2^6 times 20 uplinks. */
const MOST_SILENCES = 6;
const MAX_NB_TRANS = 3;
/** More power by three steps at a time for a device that its neighbour does not hear, until there is none left. */
const NEVER_HEARD = -3;

/** How another edge that may have to serve the device hears it, since the device sends as it does now. */
export type NeighbourMargin =
  | { readonly heard: 'at'; readonly snr: number }
  /** It should have heard it by now. */
  | { readonly heard: 'never' }
  /** Nobody can say yet. */
  | { readonly heard: 'unknown' };

interface Setting {
  readonly dataRate: number;
  readonly txPower: number;
}

/** NbTrans by the part of uplinks that are lost: rows up to the part, columns the present NbTrans. */
const NB_TRANS: readonly { readonly below: number; readonly next: readonly number[] }[] = [
  { below: 0.05, next: [1, 1, 2] },
  { below: 0.1, next: [1, 2, 3] },
  { below: 0.3, next: [2, 3, 3] },
  { below: Infinity, next: [3, 3, 3] },
];

/** Part of the uplinks between the first and the last that were not heard. */
export function lostPart(fcnts: readonly number[]): number {
  const [first, last] = [fcnts[0], fcnts.at(-1)];
  if (first === undefined || last === undefined) return 0;
  return 1 - fcnts.length / (last - first + 1);
}

function nextNbTrans(nbTrans: number, lost: number): number {
  const row = NB_TRANS.find(({ below }) => lost < below)?.next;
  return row?.[Math.min(nbTrans, MAX_NB_TRANS) - 1] ?? nbTrans;
}

/** Up with the data rate first, then down with the power; a lack of margin is met with power alone. */
function adjusted({ dataRate, txPower }: Setting, steps: number, adr: AdrState): Setting {
  const faster = Math.min(Math.max(steps, 0), Math.max(0, adr.maxDataRate - dataRate));
  const power = txPower + (steps > 0 ? steps - faster : steps);
  return {
    dataRate: dataRate + faster,
    txPower: Math.min(Math.max(power, adr.minTxPower), adr.maxTxPower),
  };
}

/** The history with one more uplink. */
export function withUplink(
  adr: AdrState,
  heard: { readonly fcnt: number; readonly bestSnr: number; readonly gatewayCount: number },
): AdrState {
  const last = <Value>(values: readonly Value[], value: Value): Value[] => [
    ...values.slice(1 - ADR_UPLINKS),
    value,
  ];
  return {
    ...adr,
    fcnts: last(adr.fcnts, heard.fcnt),
    // What no demodulator says is held to what one could: gateways are not believed. JSON has no -0, which is 0 then.
    snrs: last(adr.snrs, Math.min(Math.max(heard.bestSnr, -128), 127) + 0),
    gateways: last(adr.gateways, heard.gatewayCount),
  };
}

/** A device that has slowed down on its own, for want of downlinks, had first gone to its highest power (1.0.4, 4.3.1.1). */
export function backedOff(state: MacState, dataRate: number): MacState {
  return { ...state, dataRate, txPower: 0, adr: withoutHistory(state.adr) };
}

const mayAsk = ({ adr, fcntUp }: MacState): boolean =>
  adr.enabled && !adr.isBlocked && adr.snrs.length >= ADR_UPLINKS && (fcntUp ?? 0) >= adr.notBefore;

/** A device that does not answer is left alone for longer each time: its downlinks are lost, and others' air time with them. */
export function afterSilence(adr: AdrState, fcnt: number): AdrState {
  const notBefore = fcnt + ADR_UPLINKS * 2 ** adr.silences;
  return { ...withoutHistory(adr), silences: Math.min(adr.silences + 1, MOST_SILENCES), notBefore };
}

/** Steps by the smaller margin of both; nothing is taken from a device that the neighbour may not hear. */
function stepsFor(ownDb: number, neighbourDb: (snr: number) => number, neighbour?: NeighbourMargin): number {
  const own = Math.floor(ownDb / STEP_DB);
  switch (neighbour?.heard) {
    case undefined:
      return own;
    case 'at':
      return Math.min(own, Math.floor(neighbourDb(neighbour.snr) / STEP_DB));
    case 'unknown':
      return Math.min(own, 0);
    case 'never':
      return Math.min(own, NEVER_HEARD);
  }
}

/**
 * What the device should send with: Semtech's rate adaptation (the best SNR of the last 20 uplinks against what the
 * demodulator needs, in steps of 3 dB), NbTrans by the loss. Undefined where nothing is to be changed or not yet known.
 */
export function adrRequest(
  plan: RegionPlan,
  state: MacState,
  neighbour?: NeighbourMargin,
): MacRequest | undefined {
  const { adr, dataRate, txPower, nbTrans } = state;
  const settings = plan.dataRate(dataRate);
  if (!mayAsk(state) || settings === undefined) return undefined;
  const marginOf = (snr: number): number => snr - plan.requiredSnr(settings) - adr.marginDb;
  const steps = stepsFor(marginOf(Math.max(...adr.snrs)), marginOf, neighbour);
  const next = adjusted({ dataRate, txPower }, steps, adr);
  const trans = nextNbTrans(nbTrans, lostPart(adr.fcnts));
  if (next.dataRate === dataRate && next.txPower === txPower && trans === nbTrans) return undefined;
  return { type: 'linkADRReq', ...next, chMask: maskOf(state.channels), chMaskCntl: 0, nbTrans: trans };
}
