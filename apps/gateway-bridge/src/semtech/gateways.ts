import type { Clock } from '@antirio/kernel';
import { claimAddress, isHeld, type Address, type AddressClaim, type ClaimOutcome } from './address-claim.ts';
import { aheadMs, observe, tmstAfter, tmstIn, type GatewayClock } from './gateway-clock.ts';
import type { Version } from './packet.ts';
import type { Rx } from '../frame.ts';
import type { GatewayStat } from './stat.ts';
import { createTally, type Tally } from './tally.ts';
import type { TxAckStatus } from './tx-ack.ts';

/** What is known of one gateway since it was first heard. */
export interface GatewayStatus {
  readonly gatewayId: string;
  /** Where its downlinks go; undefined before its first PULL_DATA. */
  readonly address: Address | undefined;
  /** Of Semtech's protocol, as it spoke last. */
  readonly protocolVersion: Version | undefined;
  /** Ms since each happened; undefined for never. */
  readonly pulledAgoMs: number | undefined;
  readonly pushedAgoMs: number | undefined;
  readonly heardAgoMs: number | undefined;
  /** Frames that it heard. */
  readonly frames: number;
  /** Datagrams with frames or a report, and those of them that were acknowledged. */
  readonly pushed: number;
  readonly acknowledged: number;
  /** Downlinks by their outcome; `NO_ANSWER` where none came. */
  readonly downlinks: Readonly<Partial<Record<TxAckStatus | 'NO_ANSWER', number>>>;
  readonly addressChanged: number;
  /** Datagrams under its id from where it is not. */
  readonly addressContested: number;
  readonly online: boolean;
  readonly reachable: boolean;
  /** Its last report of itself. */
  readonly stat: (GatewayStat & { readonly agoMs: number }) | undefined;
}

export interface GatewayRecord {
  readonly id: string;
  claim: AddressClaim | undefined;
  version: Version | undefined;
  pulledAt: number | undefined;
  pushedAt: number | undefined;
  heardAt: number | undefined;
  /** Of any datagram. */
  seenAt: number;
  clock: GatewayClock | undefined;
  /** A reading of its counter and of GPS time at once. */
  gps: { readonly tmst: number; readonly gpsTimeMs: number; readonly at: number } | undefined;
  frames: number;
  pushed: number;
  acknowledged: number;
  readonly downlinks: Partial<Record<TxAckStatus | 'NO_ANSWER', number>>;
  addressChanged: number;
  addressContested: number;
  online: boolean;
  stat: GatewayStat | undefined;
  statAt: number;
  readonly tally: Tally;
}

export interface GatewaysOptions {
  readonly allowed: 'any' | readonly string[];
  /** `newest`: any PULL_DATA takes over the id at once. */
  readonly addressChange: 'guarded' | 'newest';
  readonly addressMaxAgeMs: number;
  readonly clock: Clock;
}

/** The gateways that were heard, each under its id. */
export interface Gateways {
  /** The gateway, remembered from now on; undefined for one that is not listened to. */
  of(id: string): GatewayRecord | undefined;
  find(id: string): GatewayRecord | undefined;
  pulled(gateway: GatewayRecord, from: Address, version: Version): ClaimOutcome;
  /** Whether a datagram comes from another host than the one that holds the id. */
  isForeign(gateway: GatewayRecord, host: string): boolean;
  /** Takes in one reception that came from there; gives how long ago its datagram was sent, in ms. */
  observe(gateway: GatewayRecord, rx: Rx, from: Address): number;
  isReachable(gateway: GatewayRecord): boolean;
  /** The counter value at a GPS time; undefined while the gateway has not told GPS time lately. */
  tmstAtGps(gateway: GatewayRecord, gpsTimeMs: number): number | undefined;
  /** Ms until a gateway's counter reaches the value; undefined while its clock is unknown. */
  aheadMs(gateway: GatewayRecord, tmst: number): number | undefined;
  /** The counter value in so many ms; undefined while a gateway's clock is unknown, or was told too long ago. */
  tmstIn(gateway: GatewayRecord, ms: number): number | undefined;
  statuses(): GatewayStatus[];
  /** Those that are silent, told once. */
  fallenSilent(): GatewayRecord[];
}

/** Gateways remembered; spoofed ids must not fill the memory. */
const MAX_GATEWAYS = 10_000;
/** One that is silent for this long makes room for another. */
const FORGET_MS = 600_000;
/** Half of what the counter takes to wrap is 35.8 minutes. */
const GPS_MAX_AGE_MS = 1_800_000;

const newRecord = (id: string, seenAt: number): GatewayRecord => ({
  id,
  claim: undefined,
  version: undefined,
  pulledAt: undefined,
  pushedAt: undefined,
  heardAt: undefined,
  seenAt,
  clock: undefined,
  gps: undefined,
  frames: 0,
  pushed: 0,
  acknowledged: 0,
  downlinks: {},
  addressChanged: 0,
  addressContested: 0,
  online: false,
  stat: undefined,
  statAt: 0,
  tally: createTally(),
});

export function createGateways(options: GatewaysOptions): Gateways {
  const { clock, addressMaxAgeMs } = options;
  const allowed = options.allowed === 'any' ? undefined : new Set(options.allowed);
  const guarded = options.addressChange === 'guarded';
  const records = new Map<string, GatewayRecord>();
  let sweptAt = -Infinity;

  const makeRoom = (now: number): boolean => {
    // a flood of new ids must not make every one of them cost a walk over all
    if (now - sweptAt < FORGET_MS / 10) return false;
    sweptAt = now;
    for (const [id, { seenAt }] of records) if (now - seenAt > FORGET_MS) records.delete(id);
    return records.size < MAX_GATEWAYS;
  };
  const isReachable: Gateways['isReachable'] = ({ pulledAt }) =>
    pulledAt !== undefined && clock.monotonic() - pulledAt <= addressMaxAgeMs;
  const statusOf = (record: GatewayRecord): GatewayStatus => {
    const now = clock.monotonic();
    const ago = (at: number | undefined): number | undefined => (at === undefined ? undefined : now - at);
    return {
      gatewayId: record.id,
      address: record.claim?.address,
      protocolVersion: record.version,
      pulledAgoMs: ago(record.pulledAt),
      pushedAgoMs: ago(record.pushedAt),
      heardAgoMs: ago(record.heardAt),
      frames: record.frames,
      pushed: record.pushed,
      acknowledged: record.acknowledged,
      downlinks: { ...record.downlinks },
      addressChanged: record.addressChanged,
      addressContested: record.addressContested,
      online: record.online,
      reachable: isReachable(record),
      stat: record.stat && { ...record.stat, agoMs: now - record.statAt },
    };
  };

  return {
    of(id) {
      const known = records.get(id);
      if (known !== undefined) return known;
      if (allowed?.has(id) === false) return undefined;
      const now = clock.monotonic();
      if (records.size >= MAX_GATEWAYS && !makeRoom(now)) return undefined;
      const fresh = newRecord(id, now);
      records.set(id, fresh);
      return fresh;
    },
    find: (id) => records.get(id),
    pulled(gateway, from, version) {
      const now = clock.monotonic();
      const { claim, outcome } = claimAddress(guarded ? gateway.claim : undefined, from, now);
      const before = gateway.claim?.address;
      gateway.claim = claim;
      if (outcome === 'contested') {
        gateway.addressContested += 1;
        return outcome;
      }
      if (outcome === 'reinstated') gateway.addressContested += 1;
      const changed = before !== undefined && (before.host !== from.host || before.port !== from.port);
      if (changed) gateway.addressChanged += 1;
      gateway.version = version;
      gateway.pulledAt = now;
      return changed && outcome === 'kept' ? 'changed' : outcome;
    },
    isForeign: ({ claim }, host) =>
      guarded && claim !== undefined && claim.address.host !== host && isHeld(claim, clock.monotonic()),
    observe(gateway, rx, { host, port }) {
      const now = clock.monotonic();
      const observed = observe(gateway.clock, rx.tmst, now, `${host} ${port}`);
      gateway.clock = observed.clock;
      gateway.heardAt = now;
      if (rx.gpsTimeMs !== undefined) gateway.gps = { tmst: rx.tmst, gpsTimeMs: rx.gpsTimeMs, at: now };
      return observed.delayMs;
    },
    isReachable,
    tmstAtGps({ gps }, gpsTimeMs) {
      if (gps === undefined || clock.monotonic() - gps.at > GPS_MAX_AGE_MS) return undefined;
      const us = (gpsTimeMs - gps.gpsTimeMs) * 1000;
      return Math.abs(us) < 2 ** 31 ? tmstAfter(gps.tmst, us) : undefined;
    },
    aheadMs: ({ clock: known }, tmst) =>
      known === undefined ? undefined : aheadMs(known, tmst, clock.monotonic()),
    tmstIn: ({ clock: known }, ms) =>
      known === undefined ? undefined : tmstIn(known, ms, clock.monotonic()),
    statuses: () => [...records.values()].map(statusOf),
    fallenSilent() {
      const now = clock.monotonic();
      const silent = [...records.values()].filter(
        ({ online, seenAt }) => online && now - seenAt > addressMaxAgeMs,
      );
      for (const gateway of silent) gateway.online = false;
      return silent;
    },
  };
}
