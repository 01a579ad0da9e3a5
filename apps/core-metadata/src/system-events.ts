import { describeError, uuidV4 } from '@antirio/kernel';
import {
  makeEnvelope,
  systemEventToJson,
  systemEventTopic,
  type Device,
  type DeviceProfile,
  type ProvisionWatcher,
  type SystemEvent,
} from '@antirio/edgex-contracts';
import type { Kind, Kinds } from './entities.ts';
import type { Change, CoreMetadataPorts } from './room.ts';

const SERVICE = 'core-metadata';

function ownerOf(kind: Kind, entity: Kinds[Kind]): string {
  if (kind === 'deviceprofile') return SERVICE;
  return kind === 'deviceservice' ? entity.name : (entity as Device | ProvisionWatcher).serviceName;
}

function profileOf(kind: Kind, entity: Kinds[Kind]): string {
  switch (kind) {
    case 'device':
      return (entity as Device).profileName ?? '';
    case 'deviceprofile':
      return (entity as DeviceProfile).name;
    case 'provisionwatcher':
      return (entity as ProvisionWatcher).discoveredDevice.profileName ?? '';
    case 'deviceservice':
      return '';
  }
}

/** Publishes changes to everyone; a bus that takes none is logged, the change itself stands. */
export function createTeller(
  ports: CoreMetadataPorts,
): (change: Change, correlationID: string | undefined) => void {
  const { bus, clock, log, random } = ports;
  return ({ kind, action, entity, owners = [] }, given) => {
    if (bus === undefined) return;
    const correlationID = given ?? uuidV4(random);
    const timestamp = BigInt(Math.trunc(clock.now())) * 1_000_000n;
    for (const owner of new Set([ownerOf(kind, entity), ...owners])) {
      const event: SystemEvent = { type: kind, action, source: SERVICE, owner, details: entity, timestamp };
      const text = makeEnvelope(systemEventToJson(event), { correlationID });
      bus.publish(systemEventTopic(event, profileOf(kind, entity)), text).catch((error: unknown) => {
        log.warn({ kind, action, error: describeError(error) }, 'a change was not published');
      });
    }
  };
}
