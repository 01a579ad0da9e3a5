import type { Clock } from '@antirio/kernel';
import { parseJoinRequest, type DevEui } from '@antirio/lorawan';
import type { Reception } from '../frame.ts';
import type { Ring } from '../ring/ring.ts';
import type { Rings } from '../ring/rings.ts';
import { createTokenBuckets } from '@antirio/shadow-buffer';

/** Why a JoinRequest is not delivered. */
export type JoinRefusal = 'malformed' | 'unknownDevEui' | 'joinContested' | 'joinFlood';

/** A JoinRequest that may be answered, once. */
export interface JoinAnswer {
  readonly devEui: DevEui;
  /** The rings behind the prefix that it was given for. */
  readonly rings: readonly Ring[];
  /** Nothing went on air: it may be answered again. */
  release(): void;
}

/** Brings JoinRequests to those who answer them, and lets an answer pass for each. */
export interface Joins {
  /** Never waits; gives why it is not delivered. */
  heard(reception: Reception, contested: boolean): JoinRefusal | undefined;
  /** The JoinRequest that a reader behind `prefix` was given from this gateway with this counter value, if it is still to be answered. */
  answer(prefix: string, gatewayId: string, tmst: number): JoinAnswer | undefined;
}

export interface JoinsOptions {
  /** JoinRequests that one device, on one gateway, can have delivered for long, and at once. */
  readonly perDevicePerSecond: number;
  readonly perDeviceBurst: number;
  /** The same of all devices and gateways together. */
  readonly perSecond: number;
  readonly burst: number;
}

export interface JoinsPorts extends JoinsOptions {
  readonly rings: Rings;
  readonly clock: Clock;
  readonly deliver: (ring: Ring, reception: Reception, heardAt: number) => void;
}

interface Pending {
  readonly devEui: DevEui;
  readonly rings: Set<Ring>;
  readonly until: number;
  answered: boolean;
}

/** RX2 of a join is 6 s after it. */
const ANSWERABLE_MS = 7000;
const MAX_PENDING = 4096;
const BUCKETS_KEPT = 10_000;

export function createJoins(ports: JoinsPorts): Joins {
  const { rings, clock } = ports;
  const perDevice = createTokenBuckets(ports.perDevicePerSecond, ports.perDeviceBurst);
  const all = createTokenBuckets(ports.perSecond, ports.burst);
  // in the order of their coming, which is that of their end
  const pending = new Map<string, Pending>();
  let bucketKeys = new Set<string>();
  const keyOf = (prefix: string, gatewayId: string, tmst: number): string => `${gatewayId} ${tmst} ${prefix}`;

  const prune = (now: number): void => {
    for (const [key, { until }] of pending) {
      if (until > now && pending.size < MAX_PENDING) return;
      pending.delete(key);
    }
  };
  // a forged JoinRequest of a true device takes a token on the gateway that heard it, and on no other
  const mayPass = (devEui: string, gatewayId: string, now: number): boolean => {
    const key = `${devEui} ${gatewayId}`;
    if (bucketKeys.size >= BUCKETS_KEPT && !bucketKeys.has(key)) {
      bucketKeys = new Set();
      perDevice.keepOnly(() => false);
    }
    bucketKeys.add(key);
    return perDevice.spend(key, now) && all.spend('', now);
  };
  const remember = (ring: Ring, { gatewayId, rx }: Reception, devEui: DevEui, until: number): void => {
    const key = keyOf(ring.settings.prefix, gatewayId, rx.tmst);
    const known = pending.get(key);
    if (known?.devEui === devEui) known.rings.add(ring);
    else pending.set(key, { devEui, rings: new Set([ring]), until, answered: false });
  };

  return {
    heard(reception, contested) {
      let devEui: DevEui;
      try {
        ({ devEui } = parseJoinRequest(reception.phyPayload));
      } catch {
        return 'malformed';
      }
      const wanting = rings.joining(devEui);
      if (wanting.length === 0) return 'unknownDevEui';
      if (contested) return 'joinContested';
      const now = clock.monotonic();
      if (!mayPass(devEui, reception.gatewayId, now)) return 'joinFlood';
      const heardAt = now - (clock.now() - reception.receivedAt);
      prune(now);
      for (const ring of wanting) {
        remember(ring, reception, devEui, heardAt + ANSWERABLE_MS);
        ports.deliver(ring, reception, heardAt);
      }
      return undefined;
    },
    answer(prefix, gatewayId, tmst) {
      const found = pending.get(keyOf(prefix, gatewayId, tmst));
      if (found === undefined || found.answered || found.until <= clock.monotonic()) return undefined;
      found.answered = true;
      return {
        devEui: found.devEui,
        rings: [...found.rings],
        release() {
          found.answered = false;
        },
      };
    },
  };
}
