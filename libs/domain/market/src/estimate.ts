import type { Capacity } from './resources.ts';

/** What was measured of a service; what is missing is taken from the defaults. */
export interface Measured {
  /** Resident memory of the running service. */
  readonly residentBytes?: number;
  /** CPU seconds that it used, and over how many. */
  readonly cpu?: { readonly usedMs: number; readonly overMs: number };
  /** Of image and configuration in the content store. */
  readonly imageBytes?: number;
}

export interface EstimateDefaults {
  readonly cpuMillis: number;
  readonly memoryMiB: number;
  readonly imageMiB: number;
  /** Of one device, in thousandths of an uplink per second. */
  readonly uplinksPermille: number;
}

/** Of one raw frame with its radio metadata on disk. */
export const FRAME_BYTES = 300;
/** Of one reading in the provider's core-data. */
const READING_BYTES = 1000;
const MIB = 1 << 20;
/** A contract's ring is never smaller. */
const LEAST_RING_BYTES = 1 << 20;

/** motes x rate x outage x bytes of a frame, for at least an hour. */
export function ringBudget(devices: number, outageS: number, uplinksPermille: number): number {
  const frames = Math.ceil((devices * uplinksPermille * Math.max(outageS, 3600)) / 1000);
  return Math.max(LEAST_RING_BYTES, frames * FRAME_BYTES);
}

/** Half as much again as was measured: a trial of one service on one machine is no percentile. */
const withReserve = (n: number): number => Math.ceil((n * 3) / 2);

/** What a provider must have for a service with so many devices during an outage. */
export function estimateNeeds(
  measured: Measured,
  devices: number,
  outageS: number,
  defaults: EstimateDefaults,
): Capacity {
  const { residentBytes, cpu, imageBytes } = measured;
  const { uplinksPermille } = defaults;
  const ringBytes = ringBudget(devices, outageS, uplinksPermille);
  const readingBytes = Math.ceil((devices * uplinksPermille * outageS) / 1000) * READING_BYTES;
  const image = imageBytes ?? defaults.imageMiB * MIB;
  return {
    cpuMillis:
      cpu === undefined || cpu.overMs <= 0
        ? defaults.cpuMillis
        : Math.max(1, withReserve((cpu.usedMs * 1000) / cpu.overMs)),
    memoryMiB: residentBytes === undefined ? defaults.memoryMiB : withReserve(residentBytes / MIB),
    // The image is there as an archive and unpacked.
    storageMiB: Math.ceil((3 * image + ringBytes + readingBytes) / MIB),
    bandwidthKbps: Math.max(1, Math.ceil((devices * uplinksPermille * FRAME_BYTES * 8) / 1_000_000)),
    ringBytes,
  };
}
