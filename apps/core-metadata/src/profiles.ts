import { AntirioError } from '@antirio/kernel';
import { API_VERSION, profileFault, type DeviceProfile, type DeviceResource } from '@antirio/edgex-contracts';
import type { Stored } from './entities.ts';
import { find, stored, type Named, type Room } from './room.ts';

/** @throws AntirioError invalidInput for a unit that is not among those of `unitsOfMeasure`. */
export function checkUnits({ options, settings }: Room, resources: readonly DeviceResource[] = []): void {
  if (!settings.now.validateUnits) return;
  const known = new Set(Object.values(options.unitsOfMeasure.units).flatMap((unit) => unit.values));
  for (const { name, properties } of resources) {
    const { units = '' } = properties;
    if (units !== '' && !known.has(units))
      throw new AntirioError('invalidInput', `DeviceResource ${name} units ${units} is invalid`);
  }
}

/** EdgeX's answers have these fields whether or not they were given. */
function complete(profile: DeviceProfile): DeviceProfile {
  const visible = <P extends { readonly isHidden?: boolean | undefined }>(part: P): P => ({
    ...part,
    isHidden: part.isHidden ?? false,
  });
  return {
    ...profile,
    apiVersion: profile.apiVersion ?? API_VERSION,
    deviceResources: (profile.deviceResources ?? []).map(visible),
    deviceCommands: (profile.deviceCommands ?? []).map(visible),
  };
}

/** @throws AntirioError conflict when the name is taken. */
export async function addProfile(
  room: Room,
  profile: DeviceProfile,
  by: string | undefined,
): Promise<{ id: string }> {
  checkUnits(room, profile.deviceResources);
  const entity = stored(room.ports, complete(profile));
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
): Promise<undefined> {
  const entity = await room.commit.run(0, () => {
    const before = find(room.entities, 'deviceprofile', named);
    const after = stored(room.ports, complete(change(before)), before);
    const fault = profileFault(after);
    if (fault !== undefined) throw new AntirioError('invalidInput', fault);
    room.entities.replace('deviceprofile', after);
    return after;
  });
  room.tell(
    { kind: 'deviceprofile', action: 'update', entity, owners: room.entities.servicesUsing(entity.name) },
    by,
  );
}

/** EdgeX's ProfileChange settings. @throws AntirioError locked */
export function checkChangeable({ settings }: Room): void {
  if (settings.now.strictProfileChanges)
    throw new AntirioError(
      'locked',
      'profile change is not allowed when StrictDeviceProfileChanges config is enabled',
    );
}

/** @throws AntirioError conflict while a device has the profile. */
export function checkUnused({ entities }: Room, profile: string, action: 'delete' | 'update'): void {
  if (entities.count({ kind: 'device', profile }) > 0)
    throw new AntirioError('conflict', `fail to ${action} the device profile when associated device exists`);
}

/** @throws AntirioError notFound | conflict | locked */
export async function removeProfile(room: Room, profile: string, by: string | undefined): Promise<void> {
  if (room.settings.now.strictProfileDeletes)
    throw new AntirioError(
      'locked',
      'profile deletion is not allowed when StrictDeviceProfileDeletes config is enabled',
    );
  const entity = await room.commit.run(0, () => {
    const found = find(room.entities, 'deviceprofile', { name: profile });
    checkUnused(room, profile, 'delete');
    if (room.entities.count({ kind: 'provisionwatcher', profile }) > 0)
      throw new AntirioError(
        'conflict',
        'fail to delete the device profile when associated provisionWatcher exists',
      );
    room.entities.remove('deviceprofile', profile);
    return found;
  });
  room.tell({ kind: 'deviceprofile', action: 'delete', entity }, by);
}
