import type { DeviceProfile, ValueType } from '@antirio/edgex-contracts';

interface Parameter {
  readonly resourceName: string;
  readonly valueType: ValueType;
}

/** What can be asked of a device, as core-command shows it. */
export interface CoreCommand {
  readonly name: string;
  readonly get?: true;
  readonly set?: true;
  readonly path: string;
  readonly url: string;
  readonly parameters: readonly Parameter[];
}

export interface DeviceCoreCommand {
  readonly deviceName: string;
  readonly profileName: string;
  readonly coreCommands: readonly CoreCommand[];
}

function command(
  at: { readonly url: string; readonly device: string },
  name: string,
  readWrite: string,
  parameters: readonly Parameter[],
): CoreCommand {
  return {
    name,
    ...(readWrite.includes('R') ? { get: true } : {}),
    ...(readWrite.includes('W') ? { set: true } : {}),
    path: `/api/v3/device/name/${encodeURIComponent(at.device)}/${encodeURIComponent(name)}`,
    url: at.url,
    parameters,
  };
}

/** The profile's commands and, where no command has its name, each of its resources; without those that are hidden. */
export function coreCommandsOf(
  device: string,
  profile: DeviceProfile | undefined,
  url: string,
): DeviceCoreCommand {
  const at = { url, device };
  const resources = profile?.deviceResources ?? [];
  const commands = profile?.deviceCommands ?? [];
  const typeOf = (name: string): Parameter[] =>
    resources
      .filter((resource) => resource.name === name)
      .map(({ properties }) => ({ resourceName: name, valueType: properties.valueType }));
  const named = new Set(commands.map(({ name }) => name));
  const shownCommands = commands
    .filter(({ isHidden }) => isHidden !== true)
    .map(({ name, readWrite, resourceOperations }) =>
      command(
        at,
        name,
        readWrite,
        resourceOperations.flatMap(({ deviceResource }) => typeOf(deviceResource)),
      ),
    );
  const shownResources = resources
    .filter(({ isHidden, name }) => isHidden !== true && !named.has(name))
    .map(({ name, properties }) => command(at, name, properties.readWrite, typeOf(name)));
  return {
    deviceName: device,
    profileName: profile?.name ?? '',
    coreCommands: [...shownCommands, ...shownResources],
  };
}
