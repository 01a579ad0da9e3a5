import { runInNewContext } from 'node:vm';
import { AntirioError } from '@antirio/kernel';
import type { Device, DeviceProfile, UpdateDevice } from '@antirio/edgex-contracts';
import type { Entities, Stored } from './entities.ts';
import { find, patched, stored, type Room } from './room.ts';

const invalid = (message: string): AntirioError => new AntirioError('invalidInput', message);

const MATCH_MS = 20;

/** Whether one of the names matches as a whole; the pattern is the caller's, so it gets little time. */
function matchesOne(names: readonly string[], pattern: string): boolean {
  try {
    const script = 'const re = new RegExp(`^(?:${pattern})$`); names.some((name) => re.test(name))';
    return runInNewContext(script, { names, pattern }, { timeout: MATCH_MS }) === true;
  } catch (cause) {
    throw new AntirioError(
      'invalidInput',
      `the auto event source name ${pattern} is neither a name nor a pattern`,
      {},
      cause,
    );
  }
}

function hasSource(profile: DeviceProfile, source: string): boolean {
  if (profile.deviceCommands?.some((command) => command.name === source) === true) return true;
  const names = (profile.deviceResources ?? []).map((resource) => resource.name);
  return names.includes(source) || (/[^\w-]/.test(source) && matchesOne(names, source));
}

/** What a device refers to must be there. @throws AntirioError invalidInput */
function checkReferences(entities: Entities, device: Device): void {
  if (entities.textByName('deviceservice', device.serviceName) === undefined)
    throw invalid(`device service '${device.serviceName}' does not exists`);
  if (device.parent === device.name) throw invalid('a device cannot be its own parent');
  const { profileName = '', autoEvents = [] } = device;
  if (profileName === '') return;
  const profile = entities.byName('deviceprofile', profileName);
  if (profile === undefined)
    throw invalid(`device profile '${profileName}' not found during validating device '${device.name}'`);
  for (const { sourceName } of autoEvents)
    if (!hasSource(profile, sourceName))
      throw invalid(
        `auto event source '${sourceName}' cannot be found in the device profile '${profileName}'`,
      );
}

interface How {
  readonly bypass: boolean;
  readonly force?: boolean;
  readonly correlationID: string | undefined;
}

/** @throws AntirioError invalidInput | conflict, and what the validation throws. */
export async function addDevice(room: Room, device: Device, how: How): Promise<{ id: string }> {
  const { commit, entities, ports, tell, validation } = room;
  checkReferences(entities, device);
  const known = entities.byName('device', device.name);
  if (known !== undefined && how.force !== true)
    throw new AntirioError('conflict', `device name ${device.name} already exists`);
  if (!how.bypass && how.force !== true) await validation.check(device, how.correlationID);
  const { entity, before } = await commit.run(0, () => {
    checkReferences(entities, device);
    const there = how.force === true ? entities.byName('device', device.name) : undefined;
    const added = stored(ports, device, there);
    if (there === undefined) entities.add('device', added);
    else entities.replace('device', added);
    return { entity: added, before: there };
  });
  const left = before === undefined || before.serviceName === entity.serviceName ? [] : [before.serviceName];
  tell(
    { kind: 'device', action: before === undefined ? 'add' : 'update', entity, owners: left },
    how.correlationID,
  );
  return { id: entity.id };
}

/** @throws AntirioError notFound | invalidInput, and what the validation throws. */
export async function updateDevice(room: Room, dto: UpdateDevice, how: How): Promise<void> {
  const { commit, entities, ports, tell, validation } = room;
  const change = (): { before: Stored<Device>; after: Stored<Device> } => {
    const before = find(entities, 'device', dto);
    const after = stored(ports, patched(before, dto), before);
    checkReferences(entities, after);
    return { before, after };
  };
  if (!how.bypass) await validation.check(change().after, how.correlationID);
  const { before, after } = await commit.run(0, () => {
    const changed = change();
    entities.replace('device', changed.after);
    return changed;
  });
  const left = before.serviceName === after.serviceName ? [] : [before.serviceName];
  tell({ kind: 'device', action: 'update', entity: after, owners: left }, how.correlationID);
}

/** @throws AntirioError notFound; conflict while it has children. */
export async function removeDevice(
  room: Room,
  name: string,
  correlationID: string | undefined,
): Promise<void> {
  const { commit, entities, tell } = room;
  const entity = await commit.run(0, () => {
    const found = find(entities, 'device', { name });
    if (entities.count({ kind: 'device', descendantsOf: name, maxLevels: 1 }) > 0)
      throw new AntirioError('conflict', 'cannot delete device with children');
    entities.remove('device', name);
    return found;
  });
  tell({ kind: 'device', action: 'delete', entity }, correlationID);
}
