import type { DeviceCommand, DeviceProfile, DeviceResource } from '@antirio/edgex-contracts';

export type ResourceOperation = DeviceCommand['resourceOperations'][number];

/** A profile by names. */
export interface ProfileIndex {
  readonly resources: ReadonlyMap<string, DeviceResource>;
  readonly commands: ReadonlyMap<string, DeviceCommand>;
  /** The first operation of any command on a resource. */
  readonly operations: ReadonlyMap<string, ResourceOperation>;
}

const indexes = new WeakMap<DeviceProfile, ProfileIndex>();

function index(profile: DeviceProfile): ProfileIndex {
  const commands = profile.deviceCommands ?? [];
  const operations = new Map<string, ResourceOperation>();
  for (const { resourceOperations } of commands)
    for (const operation of resourceOperations)
      if (!operations.has(operation.deviceResource)) operations.set(operation.deviceResource, operation);
  return {
    resources: new Map((profile.deviceResources ?? []).map((resource) => [resource.name, resource])),
    commands: new Map(commands.map((command) => [command.name, command])),
    operations,
  };
}

/** The index of a profile, made once: a profile is never changed, but replaced by another. */
export function indexOf(profile: DeviceProfile): ProfileIndex {
  const known = indexes.get(profile);
  if (known !== undefined) return known;
  const made = index(profile);
  indexes.set(profile, made);
  return made;
}
