import type { Reading } from '@antirio/edgex-contracts';

/** The newest reading by device and resource. */
export interface Latest {
  get(device: string, resource: string): Reading | undefined;
  set(device: string, readings: readonly Reading[]): void;
}

export function createLatest(): Latest {
  // one entry for each device: with one for each of its resources, their names would be most of what is kept
  const byDevice = new Map<string, readonly Reading[]>();
  return {
    get: (device, resource) => byDevice.get(device)?.find(({ resourceName }) => resourceName === resource),
    set(device, readings) {
      const isNew = ({ resourceName }: Reading): boolean =>
        readings.every((reading) => reading.resourceName !== resourceName);
      const older = byDevice.get(device)?.filter(isNew) ?? [];
      byDevice.set(device, older.length === 0 ? readings : [...readings, ...older]);
    },
  };
}
