import { z } from 'zod';
import { describeError } from '@antirio/kernel';
import type { Log } from '@antirio/host';
import {
  device,
  deviceProfile,
  deviceService,
  parseEnvelope,
  provisionWatcher,
  systemEventSchema,
  topicLevel,
} from '@antirio/edgex-contracts';
import type { Changes } from './changes.ts';

const HEAD = 'edgex/system-events/core-metadata';

/** What a device service hears of: its own, and profiles that are deleted. */
export function systemEventFilters(serviceName: string): readonly string[] {
  return [`${HEAD}/+/+/${topicLevel(serviceName)}/#`, `${HEAD}/deviceprofile/delete/#`];
}

const named = z.object({ name: z.string() });

type SystemEvent = z.output<typeof systemEventSchema>;

function deviceChange(changes: Changes, { action, details }: SystemEvent): void {
  if (action === 'delete') changes.deviceIsGone(named.parse(details).name);
  else changes.deviceIs(device.parse(details));
}

function profileChange(changes: Changes, { action, details }: SystemEvent): void {
  if (action === 'delete') changes.profileIsGone(named.parse(details).name);
  if (action === 'update') changes.profileIs(deviceProfile.parse(details));
}

function watcherChange(changes: Changes, { action, details }: SystemEvent): void {
  if (action === 'delete') changes.watcherIsGone(named.parse(details).name);
  else changes.watcherIs(provisionWatcher.parse(details));
}

function apply(changes: Changes, serviceName: string, event: SystemEvent): void {
  switch (event.type) {
    case 'device':
      deviceChange(changes, event);
      return;
    case 'deviceprofile':
      profileChange(changes, event);
      return;
    case 'provisionwatcher':
      watcherChange(changes, event);
      return;
    case 'deviceservice': {
      const service = event.action === 'update' ? deviceService.parse(event.details) : undefined;
      if (service?.name === serviceName) changes.serviceIs(service);
    }
  }
}

interface Ports {
  readonly changes: Changes;
  readonly serviceName: string;
  readonly log: Log;
  /** Something was missed. */
  readonly onMissed: () => void;
}

/** Hears what core-metadata tells: the cache has it at once, the driver is told afterwards. */
export function hearSystemEvents(ports: Ports): (topic: string, payload: Uint8Array) => void {
  const { changes, log, onMissed, serviceName } = ports;
  return (topic, payload) => {
    let event: SystemEvent;
    try {
      event = systemEventSchema.parse(parseEnvelope(payload).payload);
    } catch (error) {
      // actions of other services' events are no concern of ours
      log.debug({ topic, error: describeError(error) }, 'no system event');
      return;
    }
    try {
      apply(changes, serviceName, event);
    } catch (error) {
      log.warn({ topic, error: describeError(error) }, 'a change could not be followed');
      onMissed();
    }
  };
}
