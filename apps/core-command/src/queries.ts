import { AntirioError } from '@antirio/kernel';
import { baseResponse, type DeviceProfile, type Page } from '@antirio/edgex-contracts';
import { coreCommandsOf } from './core-commands.ts';
import type { Room } from './room.ts';

type Answer = Record<string, unknown>;

/** The commands of one device. @throws AntirioError notFound */
export async function commandsOfDevice({ metadata, url }: Room, name: string): Promise<Answer> {
  const device = await metadata.device(name);
  const profile = await metadata.profile(device.profileName);
  return { ...baseResponse(200), deviceCoreCommand: coreCommandsOf(device.name, profile, url()) };
}

/** The commands of a page of devices; each profile is asked for once. @throws AntirioError rangeNotSatisfiable */
export async function allCommands({ metadata, url }: Room, { offset, limit }: Page): Promise<Answer> {
  const { total, devices } = await metadata.devices(offset, limit);
  const profiles = new Map<string, DeviceProfile | undefined>();
  for (const { profileName } of devices)
    if (!profiles.has(profileName)) profiles.set(profileName, await metadata.profile(profileName));
  const deviceCoreCommands = devices.map(({ name, profileName }) =>
    coreCommandsOf(name, profiles.get(profileName), url()),
  );
  return { ...baseResponse(200), totalCount: total, deviceCoreCommands };
}

/** @throws AntirioError invalidInput for a switch of the device service that is neither true nor false. */
export function checkSwitches(query: Readonly<Record<string, unknown>>): void {
  for (const key of ['ds-pushevent', 'ds-returnevent']) {
    const value = query[key];
    if (value !== undefined && value !== 'true' && value !== 'false')
      throw new AntirioError('invalidInput', `${key} should be true or false`);
  }
}
