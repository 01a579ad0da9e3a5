import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { YieldCause } from '@antirio/service-contract';

/** When an edge says its last. What a machine does not have, it does not watch. */
export const lastGaspOptions = z
  .strictObject({
    terminating: z.boolean().default(true).describe('on SIGTERM, where a provider is ready'),
    boundMs: z
      .int()
      .min(100)
      .max(8000)
      .default(4000)
      .describe('how long the end of the process waits for that'),
    batteryBelowPercent: z
      .int()
      .min(1)
      .max(99)
      .optional()
      .describe('while discharging (Linux: /sys/class/power_supply); off where not given'),
    hotterThanC: z
      .int()
      .min(30)
      .max(150)
      .optional()
      .describe('any thermal zone (Linux: /sys/class/thermal); off where not given'),
    sysFolder: z.string().default('/sys/class').describe('where the kernel shows them'),
  })
  .prefault({});
export type LastGaspOptions = z.output<typeof lastGaspOptions>;

function read(...path: string[]): string | undefined {
  try {
    return readFileSync(join(...path), 'utf8').trim();
  } catch {
    return undefined;
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** A number that the kernel shows; undefined where there is none. */
function shown(...path: string[]): number | undefined {
  const text = read(...path);
  return text === undefined || !/^-?\d+$/.test(text) ? undefined : Number(text);
}

/** Why this machine is about to fail, as far as its kernel tells. */
export function failingMachine(options: LastGaspOptions): YieldCause | undefined {
  const { batteryBelowPercent, hotterThanC, sysFolder } = options;
  if (batteryBelowPercent !== undefined) {
    const folder = join(sysFolder, 'power_supply');
    const low = list(folder).some((name) => {
      const draining =
        read(folder, name, 'type') === 'Battery' && read(folder, name, 'status') === 'Discharging';
      return draining && (shown(folder, name, 'capacity') ?? 100) < batteryBelowPercent;
    });
    if (low) return 'battery';
  }
  if (hotterThanC === undefined) return undefined;
  const folder = join(sysFolder, 'thermal');
  const zones = list(folder).filter((name) => name.startsWith('thermal_zone'));
  const hot = zones.some((name) => (shown(folder, name, 'temp') ?? 0) > hotterThanC * 1000);
  return hot ? 'heat' : undefined;
}
