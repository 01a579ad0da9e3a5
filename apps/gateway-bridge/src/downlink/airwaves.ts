import type { Clock } from '@antirio/kernel';
import { airtimeUs, type RegionPlan } from '@antirio/lorawan';
import type { DownlinkItem, Timing } from '../bus/command-down.ts';
import type { Forwarders } from '../semtech/forwarders.ts';
import type { TxAckStatus } from '../semtech/tx-ack.ts';
import type { DutyCycle } from './duty-cycle.ts';
import type { JitQueue } from './jit-queue.ts';

/** Why a downlink may not go on air: by the region's rules, or because the gateway sends something else then. */
export type AirRefusal =
  'outOfPlan' | 'overPower' | 'dutyCycle' | 'collision' | 'noGpsTime' | 'notTimed' | 'tooFarAhead';

/** ChirpStack's word for each. */
export const AIR_STATUS: Readonly<Record<AirRefusal, TxAckStatus>> = {
  outOfPlan: 'TX_FREQ',
  overPower: 'TX_POWER',
  dutyCycle: 'DUTY_CYCLE_OVERFLOW',
  collision: 'COLLISION_PACKET',
  noGpsTime: 'GPS_UNLOCKED',
  notTimed: 'INTERNAL_ERROR',
  tooFarAhead: 'TOO_EARLY',
};

/** Time on air that a downlink has to itself. */
export interface Slot {
  /** When it leaves: never `immediately`, for which it is the reserved time on the gateway's clock. */
  readonly timing: Timing;
  /** Ms until it goes on air; undefined while the gateway's clock is unknown. */
  readonly ahead: () => number | undefined;
  /** Resolves when the time on air is written down. */
  readonly durable: Promise<void>;
  /** It was not sent. */
  release(): void;
}

export interface AirwavesPorts {
  readonly plan: RegionPlan;
  readonly forwarders: Pick<Forwarders, 'aheadMs' | 'tmstAtGps' | 'tmstIn'>;
  readonly jit: JitQueue;
  /** Undefined where nobody asks for it. */
  readonly dutyCycle: DutyCycle | undefined;
  readonly clock: Clock;
}

/** Semtech's forwarders give an immediate packet this time at least. */
const IMMEDIATE_MS = 1000;
const CODE_RATES = ['4/5', '4/6', '4/7', '4/8'];

/** Ms. */
function airtimeMsOf(item: DownlinkItem): number {
  const options = {
    crc: !item.noCrc,
    codingRate: CODE_RATES.indexOf(item.codeRate) + 1 || 1,
    ...(item.preamble === 0 ? {} : { preamble: item.preamble }),
  };
  return airtimeUs(item, item.phyPayload.length, options) / 1000;
}

/** The rules of the air: band, power, duty cycle, one downlink at a time on each gateway. */
export function createAirwaves({ plan, forwarders, jit, dutyCycle, clock }: AirwavesPorts) {
  const aheadMs = (gatewayId: string, timing: Timing): number | undefined => {
    if (timing.kind === 'delay') return forwarders.aheadMs(gatewayId, timing.tmst);
    if (timing.kind !== 'gps') return undefined;
    const tmst = forwarders.tmstAtGps(gatewayId, timing.gpsTimeMs);
    return tmst === undefined ? undefined : forwarders.aheadMs(gatewayId, tmst);
  };
  /** What can be told without the time. */
  const judge = ({ frequency, power, timing }: DownlinkItem, gatewayId: string): AirRefusal | undefined => {
    const band = plan.band(frequency);
    if (band === undefined) return 'outOfPlan';
    if (power > band.maxEirp) return 'overPower';
    if (timing.kind === 'gps' && aheadMs(gatewayId, timing) === undefined) return 'noGpsTime';
    return undefined;
  };
  /** As it leaves: what goes at once has the first free time on the gateway's clock; undefined where that is unknown. */
  const timedOf = (gatewayId: string, timing: Timing, airtimeMs: number): Timing | undefined => {
    if (timing.kind !== 'immediately') return timing;
    const now = clock.monotonic();
    const startMs = jit.firstFree(gatewayId, now + IMMEDIATE_MS, airtimeMs);
    const tmst = forwarders.tmstIn(gatewayId, startMs - now);
    return tmst === undefined ? undefined : { kind: 'delay', tmst };
  };
  const aheadOf = (gatewayId: string, timing: Timing | undefined): number | undefined =>
    timing === undefined ? undefined : aheadMs(gatewayId, timing);
  const reserve = (gatewayId: string, item: DownlinkItem): Slot | AirRefusal => {
    const airtimeMs = airtimeMsOf(item);
    const timing = timedOf(gatewayId, item.timing, airtimeMs);
    const startsIn = aheadOf(gatewayId, timing);
    if (timing === undefined || startsIn === undefined) return 'notTimed';
    const queued = jit.reserve(gatewayId, clock.monotonic() + startsIn, airtimeMs);
    if (queued === undefined) return 'collision';
    const taken = dutyCycle?.take(gatewayId, item.frequency, Math.round(airtimeMs * 1000));
    if (dutyCycle !== undefined && taken === undefined) {
      queued.release();
      return 'dutyCycle';
    }
    return {
      timing,
      ahead: () => aheadMs(gatewayId, timing),
      durable: taken?.durable ?? Promise.resolve(),
      release() {
        queued.release();
        taken?.release();
      },
    };
  };
  /** Ms until the item can go on air, before a time is reserved for it. */
  const earliestMs = (gatewayId: string, item: DownlinkItem): number | undefined =>
    aheadOf(gatewayId, timedOf(gatewayId, item.timing, airtimeMsOf(item)));
  return { judge, aheadMs, earliestMs, reserve };
}

export type Airwaves = ReturnType<typeof createAirwaves>;
