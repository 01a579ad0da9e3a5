import { isAntirioError, type AntirioError } from '@antirio/kernel';
import { parseJsonBytes, type DeviceResource, type ValueType } from '@antirio/edgex-contracts';
import type { CommandPlan, PlannedOperation, WriteRequest } from './command-plan.ts';
import { commandValue, type CommandValue } from './command-value.ts';
import { fault, within } from './fault.ts';
import { parsedValue } from './parse-value.ts';
import { writeTransform } from './transform.ts';

/** What a command sets, by resource. */
export type Settings = Readonly<Record<string, unknown>>;

/**
 * The settings in the body of a PUT; none where there is no body.
 * @throws AntirioError invalidInput when it is no JSON object.
 */
export function settingsOf(body: Uint8Array): Settings {
  if (body.length === 0) return {};
  return settingsIn(parsedBody(body));
}

function parsedBody(body: Uint8Array): unknown {
  try {
    return parseJsonBytes(body);
  } catch (error) {
    if (isAntirioError(error)) throw within('invalidInput', 'failed to parse request body', error);
    throw error;
  }
}

/**
 * The settings in a parsed body; none where it is null.
 * @throws AntirioError invalidInput when it is no object.
 */
export function settingsIn(parsed: unknown): Settings {
  if (parsed === null || parsed === undefined) return {};
  if (typeof parsed === 'object' && !Array.isArray(parsed)) return parsed as Settings;
  throw fault('invalidInput', 'failed to parse request body', 'the body is no JSON object');
}

function settingOf({ resource, operation }: PlannedOperation, settings: Settings): unknown {
  if (Object.hasOwn(settings, resource.name)) return settings[resource.name];
  const preset = [operation?.defaultValue, resource.properties.defaultValue].find(
    (text) => text !== undefined && text !== '',
  );
  if (preset !== undefined) return preset;
  throw fault(
    'failed',
    `DeviceResource ${resource.name} not found in request body and no default value defined`,
  );
}

/** A mapping is read backwards: its value is what is set, its key what the device gets. */
function unmapped({ operation }: PlannedOperation, setting: unknown): unknown {
  if (typeof setting !== 'string') return setting;
  const found = Object.entries(operation?.mappings ?? {}).find(([, shown]) => shown === setting);
  return found === undefined ? setting : found[0];
}

const CREATE = 'failed to create CommandValue';

function valueOf(resource: DeviceResource, setting: unknown): CommandValue {
  const { valueType }: { readonly valueType: ValueType } = resource.properties;
  try {
    return commandValue(resource.name, valueType, parsedValue(valueType, setting));
  } catch (error) {
    throw isAntirioError(error) ? created(error) : error;
  }
}

function created(error: AntirioError): AntirioError {
  return error.message.startsWith(CREATE) ? error : within('invalidInput', CREATE, error);
}

/**
 * What a driver gets to write when a command is set: of each resource of the plan the setting, or the default of its operation, or its own
 * default; mappings are undone, values are parsed, and transformed unless told otherwise. The messages are those of EdgeX's Go SDK.
 * @throws AntirioError invalidInput for a setting that is no value of the resource, failed for one that is missing.
 */
export function writeValues(
  plan: CommandPlan,
  settings: Settings,
  options: { readonly dataTransform: boolean },
): readonly WriteRequest[] {
  const values = plan.operations.map((operation) =>
    valueOf(operation.resource, unmapped(operation, settingOf(operation, settings))),
  );
  return plan.operations.map(({ resource, request }, at) => {
    const [given] = values.slice(at, at + 1) as [CommandValue];
    if (!options.dataTransform) return { ...request, value: given };
    const transformed = writeTransform(given, resource.properties);
    if ('fault' in transformed)
      throw fault('invalidInput', 'failed to transform set parameter', transformed.fault.message);
    return { ...request, value: transformed.value };
  });
}
