import type { Clock } from '@antirio/kernel';
import { lastingSubscription } from '@antirio/bus-request';
import type { Bus } from '@antirio/host';
import { parseEnvelope, SYSTEM_EVENTS_FILTER, systemEventSchema } from '@antirio/edgex-contracts';
import { createKnown, type Known, type KnownOptions } from './known.ts';
import type { Metadata } from './metadata.ts';

/** core-metadata's answers, remembered until a system event tells of a change. */
export interface RememberingMetadata extends Metadata {
  close(): Promise<void>;
}

interface Ports {
  readonly clock: Clock;
  readonly bus?: Bus | undefined;
}

function nameOf(details: unknown): string | undefined {
  const named = (details as { readonly name?: unknown } | null | undefined)?.name;
  return typeof named === 'string' ? named : undefined;
}

/** Without a bus nothing tells of changes, and nothing is remembered. */
export function rememberingMetadata(
  metadata: Metadata,
  options: KnownOptions,
  ports: Ports,
): RememberingMetadata {
  const { bus, clock } = ports;
  if (bus === undefined) return { ...metadata, close: async () => undefined };
  const devices = createKnown(options, clock, (name) => metadata.device(name));
  const services = createKnown(options, clock, (name) => metadata.service(name));
  const profiles = createKnown(options, clock, (name) => metadata.profile(name));
  const byType: Readonly<Record<string, Known<unknown>>> = {
    device: devices,
    deviceservice: services,
    deviceprofile: profiles,
  };
  const forgetAll = (): void => {
    for (const known of Object.values(byType)) known.forgetAll();
  };

  const hear = (payload: Uint8Array): void => {
    const event = systemEventSchema.safeParse(parseEnvelope(payload).payload);
    if (!event.success) return;
    const known = byType[event.data.type];
    const name = nameOf(event.data.details);
    if (name === undefined) known?.forgetAll();
    else known?.forget(name);
  };
  let hears = false;
  const events = lastingSubscription(bus, SYSTEM_EVENTS_FILTER, (_topic, payload) => hear(payload), {
    onSubscribed() {
      forgetAll();
      hears = true;
    },
  });

  /** What was said while the bus was away may have been missed. */
  const remembers = (): boolean => {
    if (hears && bus.health().ok) return true;
    forgetAll();
    return false;
  };
  return {
    ...metadata,
    device: (name) => (remembers() ? devices.get(name) : metadata.device(name)),
    service: (name) => (remembers() ? services.get(name) : metadata.service(name)),
    profile: (name) => (remembers() ? profiles.get(name) : metadata.profile(name)),
    close: () => events.close(),
  };
}
