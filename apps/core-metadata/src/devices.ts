import { AntirioError } from '@antirio/kernel';
import type { Device, UpdateDevice } from '@antirio/edgex-contracts';
import { checkSources } from './auto-event-sources.ts';
import type { Entities, Stored } from './entities.ts';
import { find, patched, stored, type Named, type Room } from './room.ts';

const invalid = (message: string): AntirioError => new AntirioError('invalidInput', message);

function checkService(entities: Entities, service: string): void {
  if (entities.textByName('deviceservice', service) === undefined)
    throw invalid(`device service '${service}' does not exists`);
}

/** Parents in a circle would have neither an end nor a device to begin deleting with. @throws AntirioError invalidInput */
function checkParent(entities: Entities, { name, parent }: Device): void {
  const seen = new Set<string>();
  for (let above = parent; above !== undefined && above !== ''; above = entities.parentOf(above)) {
    if (above === name) throw invalid(`device '${name}' cannot be its own parent`);
    if (seen.has(above)) return;
    seen.add(above);
  }
}

/** What a device refers to must be there. @throws AntirioError invalidInput */
function checkReferences(entities: Entities, device: Device): void {
  checkService(entities, device.serviceName);
  checkParent(entities, device);
  const { profileName = '', autoEvents = [] } = device;
  if (profileName === '') return;
  const profile = entities.byName('deviceprofile', profileName);
  if (profile === undefined)
    throw invalid(`device profile '${profileName}' not found during validating device '${device.name}'`);
  checkSources(
    profile,
    autoEvents.map(({ sourceName }) => sourceName),
  );
}

export interface How {
  readonly bypass: boolean;
  readonly force?: boolean;
  readonly correlationID: string | undefined;
}

/** What is refused before anyone is asked, and what the device service says. @throws AntirioError as addDevice, and what the validation throws. */
export async function checkNewDevice(room: Room, device: Device, how: How): Promise<void> {
  const { entities, validation } = room;
  checkReferences(entities, device);
  if (how.force === true) return;
  if (entities.textByName('device', device.name) !== undefined)
    throw new AntirioError('conflict', `device name ${device.name} already exists`);
  if (!how.bypass) await validation.check(device, how.correlationID);
}

/** With `force`, one of the same name is replaced. @throws AntirioError invalidInput | conflict */
export async function addDevice(room: Room, device: Device, how: How): Promise<{ id: string }> {
  const { commit, entities, ports, tell } = room;
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

interface Changed {
  readonly before: Stored<Device>;
  readonly after: Stored<Device>;
}

/** @throws AntirioError notFound | invalidInput */
function changed({ entities, ports }: Room, dto: UpdateDevice): Changed {
  if (dto.serviceName !== undefined) checkService(entities, dto.serviceName);
  const before = find(entities, 'device', dto satisfies Named);
  const after = stored(ports, patched(before, dto), before);
  checkReferences(entities, after);
  return { before, after };
}

/** @throws AntirioError as updateDevice, and what the validation throws. */
export async function checkUpdate(room: Room, dto: UpdateDevice, how: How): Promise<void> {
  const { after } = changed(room, dto);
  if (!how.bypass) await room.validation.check(after, how.correlationID);
}

/** @throws AntirioError notFound | invalidInput */
export async function updateDevice(room: Room, dto: UpdateDevice, how: How): Promise<undefined> {
  const { before, after } = await room.commit.run(0, () => {
    const change = changed(room, dto);
    room.entities.replace('device', change.after);
    return change;
  });
  const left = before.serviceName === after.serviceName ? [] : [before.serviceName];
  room.tell({ kind: 'device', action: 'update', entity: after, owners: left }, how.correlationID);
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
    if (entities.isParent(name)) throw new AntirioError('conflict', 'cannot delete device with children');
    entities.remove('device', name);
    return found;
  });
  tell({ kind: 'device', action: 'delete', entity }, correlationID);
}
