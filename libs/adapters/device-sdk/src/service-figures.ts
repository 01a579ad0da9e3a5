import type { Registry } from 'prom-client';
import { addFigures } from './metrics.ts';
import type { Cache } from './cache.ts';
import type { Parts } from './parts.ts';

/** What the service tells of itself at `/metrics`. */
export function addServiceFigures(registry: Registry, parts: Parts): void {
  const { autoEvents, cache, calls, commands, events, lanes } = parts;
  addFigures(
    registry,
    {
      device_events_sent_total: ['events sent', () => events.counts.events],
      device_readings_sent_total: ['readings sent', () => events.counts.readings],
      device_events_dropped_total: ['events that could not be sent', () => events.counts.dropped],
      device_reads_total: ['requests to the driver to read', () => commands.counts.read],
      device_writes_total: ['requests to the driver to write', () => commands.counts.written],
      device_driver_failures_total: ['calls of the driver that failed', () => calls.counts.failed],
      device_driver_timeouts_total: ['calls of the driver that took too long', () => calls.counts.late],
      device_driver_refused_total: [
        'calls that were not made because too many for the device are not over',
        () => calls.counts.refused,
      ],
      device_async_waited_total: ['values sent by the driver that had to wait', () => lanes.counts.waited],
      device_async_refused_total: ['values sent by the driver that were refused', () => lanes.counts.refused],
      device_autoevents_missed_total: [
        'auto events that were due while the one before was under way',
        () => autoEvents.counts.missed,
      ],
      device_autoevents_failed_total: ['auto events that failed', () => autoEvents.counts.failed],
    },
    {
      device_devices: ['devices of the service', () => cache.devices.size],
      device_autoevents: ['auto events that run', () => autoEvents.counts.running],
    },
  );
}

/** EdgeX's metrics `LastConnected-<device>`, in nanoseconds since the Unix epoch. */
export function lastConnectedGauges({ lastConnected }: Cache): {
  name: string;
  value: bigint;
  tags: Record<string, string>;
}[] {
  return [...lastConnected].map(([device, ms]) => ({
    name: `LastConnected-${device}`,
    value: BigInt(Math.round(ms)) * 1_000_000n,
    tags: { device },
  }));
}
