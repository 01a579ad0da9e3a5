import { isAntirioError } from '@antirio/kernel';
import type { DeviceCommand, DeviceProfile, DeviceResource, ValueType } from '@antirio/edgex-contracts';
import type { CommandValue } from './command-value.ts';
import { fault, within } from './fault.ts';
import { wholeNamePattern } from './pattern.ts';
import { indexOf, type ProfileIndex, type ResourceOperation } from './profile-index.ts';

/** What a driver is asked to read: one resource. */
export interface ReadRequest {
  readonly resourceName: string;
  readonly valueType: ValueType;
  /** The resource's attributes in the profile; with `urlRawQuery` where the command had a query. */
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** What a driver is asked to write: one resource, and its value as the device takes it. */
export interface WriteRequest extends ReadRequest {
  readonly value: CommandValue;
}

/** One resource of a command, and how the command has it. */
export interface PlannedOperation {
  readonly resource: DeviceResource;
  readonly operation?: ResourceOperation;
  readonly request: ReadRequest;
}

/** What a command comes to: of one resource, of a device command, or of all resources whose names a pattern matches. */
export interface CommandPlan {
  readonly kind: 'resource' | 'command' | 'pattern';
  /** The source of the event that comes of it. */
  readonly sourceName: string;
  /** In the profile's order; at least one. */
  readonly operations: readonly PlannedOperation[];
  /** Whether what was written is published as an event: not where it can only be written. */
  readonly publishes: boolean;
}

export type CommandMethod = 'get' | 'set';

export interface PlanOptions {
  readonly deviceName: string;
  /** EdgeX's `Device.MaxCmdOps`: how many resources a device command may have. */
  readonly maxCmdOps: number;
  /** Whether a get of what is neither command nor resource is a pattern (`ds-regexcmd`); it is unless told otherwise. */
  readonly patterns?: boolean;
  /** The query of the command without what is for the SDK (`ds-...`). */
  readonly rawQuery?: string;
}

const FORBIDDEN = { get: 'W', set: 'R' } as const;
const MARK = { get: 'write-only', set: 'read-only' } as const;

const isAllowed = (readWrite: string, method: CommandMethod): boolean => readWrite !== FORBIDDEN[method];

const isPublished = (readWrite: string): boolean => readWrite !== 'W';

function requestOf(resource: DeviceResource, rawQuery = ''): ReadRequest {
  const attributes = resource.attributes ?? {};
  return {
    resourceName: resource.name,
    valueType: resource.properties.valueType,
    attributes: rawQuery === '' ? attributes : { ...attributes, urlRawQuery: rawQuery },
  };
}

function planOfCommand(
  { resources }: ProfileIndex,
  command: DeviceCommand,
  method: CommandMethod,
  options: PlanOptions,
): CommandPlan {
  const { name, readWrite, resourceOperations } = command;
  if (!isAllowed(readWrite, method))
    throw fault('methodNotAllowed', `DeviceCommand ${name} is marked as ${MARK[method]}`);
  const { deviceName, maxCmdOps } = options;
  const which = `${method.toUpperCase()} command ${name}`;
  if (resourceOperations.length > maxCmdOps)
    throw fault('failed', `${which} exceed device ${deviceName} MaxCmdOps (${maxCmdOps})`);
  const operations = resourceOperations.map((operation): PlannedOperation => {
    const resource = resources.get(operation.deviceResource);
    if (resource === undefined)
      throw fault(
        'failed',
        `DeviceResource ${operation.deviceResource} in ${which} for ${deviceName} not defined`,
      );
    return { resource, operation, request: requestOf(resource, options.rawQuery) };
  });
  return { kind: 'command', sourceName: name, operations, publishes: isPublished(readWrite) };
}

function planOfResource(resource: DeviceResource, method: CommandMethod, options: PlanOptions): CommandPlan {
  const { readWrite } = resource.properties;
  if (!isAllowed(readWrite, method))
    throw fault('methodNotAllowed', `DeviceResource ${resource.name} is marked as ${MARK[method]}`);
  const operations = [{ resource, request: requestOf(resource, options.rawQuery) }];
  return { kind: 'resource', sourceName: resource.name, operations, publishes: isPublished(readWrite) };
}

function matcherOf(pattern: string): (name: string) => boolean {
  try {
    return wholeNamePattern(pattern);
  } catch (error) {
    if (isAntirioError(error)) throw within('invalidInput', 'failed to CompilePOSIX resource name', error);
    throw error;
  }
}

function planOfPattern({ resources }: ProfileIndex, pattern: string, options: PlanOptions): CommandPlan {
  const matches = matcherOf(pattern);
  const matched = [...resources.values()].filter(({ name }) => name === pattern || matches(name));
  if (matched.length === 0) throw fault('notFound', `Regex DeviceResource ${pattern} not found`);
  const readable = matched.filter(({ properties }) => isAllowed(properties.readWrite, 'get'));
  if (readable.length === 0) throw fault('methodNotAllowed', `no readable resources matched with ${pattern}`);
  const operations = readable.map((resource) => ({
    resource,
    request: requestOf(resource, options.rawQuery),
  }));
  return { kind: 'pattern', sourceName: pattern, operations, publishes: true };
}

/**
 * What a command of a device reads or writes. A device command goes before a resource of the same name, a resource before a pattern.
 * The messages are those of EdgeX's Go SDK.
 * @throws AntirioError notFound where there is no such command, methodNotAllowed where it cannot be read or written, invalidInput for what
 * is no pattern, failed where a device command has too many resources.
 */
export function planCommand(
  profile: DeviceProfile,
  commandName: string,
  method: CommandMethod,
  options: PlanOptions,
): CommandPlan {
  if (commandName === '') throw fault('invalidInput', 'command is empty');
  const index = indexOf(profile);
  const command = index.commands.get(commandName);
  if (command !== undefined) return planOfCommand(index, command, method, options);
  const resource = index.resources.get(commandName);
  const asPattern = method === 'get' && options.patterns !== false;
  if (resource !== undefined && (!asPattern || isAllowed(resource.properties.readWrite, 'get')))
    return planOfResource(resource, method, options);
  if (asPattern) return planOfPattern(index, commandName, options);
  throw fault('notFound', `DeviceResource ${commandName} not found`);
}
