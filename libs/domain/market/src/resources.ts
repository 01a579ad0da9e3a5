import { z } from 'zod';

const quantity = z.int().min(0).max(1_000_000_000_000);

/** What is used up: two services on one provider need the sum. Integers, so that every engine counts alike. */
export const capacity = z.strictObject({
  /** Thousandths of a core. */
  cpuMillis: quantity,
  memoryMiB: quantity,
  /** For image, configuration and what the service stores. */
  storageMiB: quantity,
  bandwidthKbps: quantity,
  /** Of the shadow buffer. */
  ringBytes: quantity,
});
export type Capacity = z.output<typeof capacity>;

const capacityKeys = ['cpuMillis', 'memoryMiB', 'storageMiB', 'bandwidthKbps', 'ringBytes'] as const;

function combine(a: Capacity, b: Capacity, how: (x: number, y: number) => number): Capacity {
  const out = { ...a };
  for (const key of capacityKeys) out[key] = how(a[key], b[key]);
  return out;
}

export function addCapacity(a: Capacity, b: Capacity): Capacity {
  return combine(a, b, (x, y) => x + y);
}

/** What of it somebody uses who keeps frames and runs nothing. */
export function ofKeeping({ bandwidthKbps, ringBytes }: Capacity): Capacity {
  return { cpuMillis: 0, memoryMiB: 0, storageMiB: 0, bandwidthKbps, ringBytes };
}

/** Never below zero. */
export function subtractCapacity(a: Capacity, b: Capacity): Capacity {
  return combine(a, b, (x, y) => Math.max(0, x - y));
}

/** The first dimension in which `needed` exceeds `offered`; undefined when it fits. */
export function lacksCapacity(
  offered: Capacity,
  needed: Capacity,
): (typeof capacityKeys)[number] | undefined {
  return capacityKeys.find((key) => needed[key] > offered[key]);
}

const name = z.string().regex(/^[A-Za-z0-9._:/~-]{1,64}$/);

/** What is not used up by sharing. In a bid each is the least that will do, in an ask what the edge has. */
export const qualities = z.strictObject({
  cores: z.int().min(0).max(4096).default(1),
  /** Of the last 30 days, in thousandths. */
  uptimePermille: z.int().min(0).max(1000).default(0),
  /** Minutes on battery; 0 = none. */
  batteryMinutes: z.int().min(0).max(1_000_000).default(0),
  /** Radio and network interfaces, such as `lora-eu868`. A bid's must all be in the ask. */
  interfaces: z.array(name).max(32).default([]),
  /** Local markets (geographic cells, such as geohash prefixes) in which the order stands. One must be shared. */
  cells: z.array(name).min(1).max(64),
  /** Power feed, uplink carrier, site: what would take both edges down together. */
  failureDomains: z.array(name).max(32).default([]),
});
export type Qualities = z.output<typeof qualities>;
