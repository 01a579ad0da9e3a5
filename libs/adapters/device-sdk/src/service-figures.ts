import type { Registry } from 'prom-client';
import { addFigures } from './metrics.ts';
import type { Cache } from './cache.ts';
import type { Parts } from './parts.ts';

/** What the service tells of itself at `/metrics`. */
export function addServiceFigures(registry: Registry, parts: () => Parts | undefined): void {
  addFigures(
    registry,
    {
      device_events_sent_total: ['events sent', () => parts()?.events.counts.events ?? 0],
      device_readings_sent_total: ['readings sent', () => parts()?.events.counts.readings ?? 0],
      device_events_dropped_total: [
        'events that could not be sent',
        () => parts()?.events.counts.dropped ?? 0,
      ],
      device_reads_total: ['requests to the driver to read', () => parts()?.commands.counts.read ?? 0],
      device_writes_total: ['requests to the driver to write', () => parts()?.commands.counts.written ?? 0],
      device_driver_failures_total: [
        'calls of the driver that failed',
        () => parts()?.calls.counts.failed ?? 0,
      ],
      device_driver_timeouts_total: [
        'calls of the driver that took too long',
        () => parts()?.calls.counts.late ?? 0,
      ],
      device_driver_refused_total: [
        'calls that were not made because too many for the device are not over',
        () => parts()?.calls.counts.refused ?? 0,
      ],
      device_async_waited_total: [
        'values sent by the driver that had to wait',
        () => parts()?.lanes.counts.waited ?? 0,
      ],
      device_async_refused_total: [
        'values sent by the driver that were refused',
        () => parts()?.lanes.counts.refused ?? 0,
      ],
      device_autoevents_missed_total: [
        'auto events that were due while the one before was under way',
        () => parts()?.autoEvents.counts.missed ?? 0,
      ],
      device_autoevents_failed_total: [
        'auto events that failed',
        () => parts()?.autoEvents.counts.failed ?? 0,
      ],
    },
    {
      device_devices: ['devices of the service', () => parts()?.cache.devices.size ?? 0],
      device_autoevents: ['auto events that run', () => parts()?.autoEvents.counts.running ?? 0],
    },
  );
}

/** EdgeX's metrics `LastConnected-<device>`, in nanoseconds since the Unix epoch. */
export function lastConnectedGauges(cache: Cache | undefined): {
  name: string;
  value: bigint;
  tags: Record<string, string>;
}[] {
  return [...(cache?.lastConnected ?? [])].map(([device, ms]) => ({
    name: `LastConnected-${device}`,
    value: BigInt(Math.round(ms)) * 1_000_000n,
    tags: { device },
  }));
}
