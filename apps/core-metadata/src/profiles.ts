import { AntirioError } from '@antirio/kernel';
import { profileFault, type DeviceProfile, type Page } from '@antirio/edgex-contracts';
import type { Stored } from './entities.ts';
import { find, stored, type Named, type Room } from './room.ts';

/** All device services that have devices of a profile are told of its changes. */
const EVERY: Page = { offset: 0, limit: 100_000, counted: true };

function servicesUsing({ entities }: Room, profile: string): string[] {
  const { docs } = entities.list({ kind: 'device', profile }, EVERY);
  return [...new Set(docs.map((doc) => (JSON.parse(doc) as { serviceName: string }).serviceName))];
}

/** @throws AntirioError invalidInput for a unit that is not among those of `unitsOfMeasure`. */
function checkUnits({ options }: Room, profile: DeviceProfile): void {
  if (!options.validateUnits) return;
  const known = new Set(Object.values(options.unitsOfMeasure.units).flatMap((unit) => unit.values));
  for (const { name, properties } of profile.deviceResources ?? []) {
    const { units = '' } = properties;
    if (units !== '' && !known.has(units))
      throw new AntirioError('invalidInput', `DeviceResource ${name} units ${units} is invalid`);
  }
}

/** @throws AntirioError conflict when the name is taken. */
export async function addProfile(
  room: Room,
  profile: DeviceProfile,
  by: string | undefined,
): Promise<{ id: string }> {
  checkUnits(room, profile);
  const entity = stored(room.ports, profile);
  await room.commit.run(0, () => room.entities.add('deviceprofile', entity));
  room.tell({ kind: 'deviceprofile', action: 'add', entity }, by);
  return { id: entity.id };
}

/** Changes a profile by a function of what it was. @throws AntirioError notFound | invalidInput, and what the function throws. */
export async function changeProfile(
  room: Room,
  named: Named,
  by: string | undefined,
  change: (before: Stored<DeviceProfile>) => DeviceProfile,
): Promise<void> {
  const entity = await room.commit.run(0, () => {
    const before = find(room.entities, 'deviceprofile', named);
    const after = stored(room.ports, change(before), before);
    const fault = profileFault(after);
    if (fault !== undefined) throw new AntirioError('invalidInput', fault);
    checkUnits(room, after);
    room.entities.replace('deviceprofile', after);
    return after;
  });
  room.tell(
    { kind: 'deviceprofile', action: 'update', entity, owners: servicesUsing(room, entity.name) },
    by,
  );
}

/** EdgeX's ProfileChange settings. @throws AntirioError locked */
export function checkChangeable({ options }: Room): void {
  if (options.strictProfileChanges)
    throw new AntirioError(
      'locked',
      'profile change is not allowed when StrictDeviceProfileChanges config is enabled',
    );
}

/** @throws AntirioError locked */
export function checkDeletable({ options }: Room): void {
  if (options.strictProfileDeletes)
    throw new AntirioError(
      'locked',
      'profile deletion is not allowed when StrictDeviceProfileDeletes config is enabled',
    );
}

/** @throws AntirioError conflict while a device or provision watcher has the profile. */
export function checkUnused({ entities }: Room, profile: string, action: string): void {
  for (const kind of ['device', 'provisionwatcher'] as const)
    if (entities.count({ kind, profile }) > 0)
      throw new AntirioError('conflict', `fail to ${action} when associated ${kind} exists`);
}

/** @throws AntirioError notFound | conflict | locked */
export async function removeProfile(room: Room, profile: string, by: string | undefined): Promise<void> {
  checkDeletable(room);
  const entity = await room.commit.run(0, () => {
    const found = find(room.entities, 'deviceprofile', { name: profile });
    checkUnused(room, profile, 'delete the device profile');
    room.entities.remove('deviceprofile', profile);
    return found;
  });
  room.tell({ kind: 'deviceprofile', action: 'delete', entity }, by);
}
