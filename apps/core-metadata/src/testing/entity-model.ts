import fc from 'fast-check';
import { isAntirioError } from '@antirio/kernel';
import { device, deviceProfile, type Device, type DeviceProfile, type Page } from '@antirio/edgex-contracts';
import type { Entities, Filter, Stored } from '../entities.ts';

/** A naive store of devices in memory, against which real ones are held, and arbitrary steps for both. */

export const NAMES = ['a', 'b', 'c', 'd', 'é/ ', 'Z'];
const LABELS = ['x', 'y', "z'"];
const SERVICES = ['s', 't'];
export const PROFILES = ['p', 'q'];

export const labelsOf = fc.subarray(LABELS);
const idOf = (name: string): string => `id-${name}`;

export const deviceFrom = (
  fields: { name: string; [key: string]: unknown },
  modified = 0,
): Stored<Device> => {
  const states = { adminState: 'LOCKED', operatingState: 'UP', protocols: {} };
  return { ...device.parse({ ...states, ...fields }), id: idOf(fields.name), created: 0, modified };
};

export const profileFrom = (fields: { name: string; [key: string]: unknown }): Stored<DeviceProfile> => ({
  ...deviceProfile.parse(fields),
  id: idOf(fields.name),
  created: 0,
  modified: 0,
});

const deviceOf: fc.Arbitrary<Stored<Device>> = fc
  .record({
    name: fc.constantFrom(...NAMES),
    parent: fc.constantFrom('', ...NAMES),
    labels: fc.option(labelsOf, { nil: undefined }),
    serviceName: fc.constantFrom(...SERVICES),
    profileName: fc.constantFrom(...PROFILES, ''),
    modified: fc.nat(9),
  })
  .map(({ modified, ...fields }) => deviceFrom(fields, modified));

export type Step = { readonly put: Stored<Device> } | { readonly remove: string };
export const stepOf: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: deviceOf.map((put) => ({ put })) },
  { weight: 1, arbitrary: fc.constantFrom(...NAMES).map((remove) => ({ remove })) },
);

export const pageOf: fc.Arbitrary<Page> = fc.record({
  offset: fc.nat(7),
  limit: fc.nat(7),
  counted: fc.constant(true),
});
export const filterOf: fc.Arbitrary<Filter> = fc.record(
  {
    kind: fc.constant('device' as const),
    service: fc.constantFrom(...SERVICES),
    profile: fc.constantFrom(...PROFILES),
    labels: labelsOf,
  },
  { requiredKeys: ['kind'] },
);

/** All devices in the order in which they came. */
export type Model = Stored<Device>[];

export function applyTo(model: Model, step: Step): Model {
  if ('remove' in step) return model.filter(({ name }) => name !== step.remove);
  const known = model.some(({ name }) => name === step.put.name);
  return known ? model.map((one) => (one.name === step.put.name ? step.put : one)) : [...model, step.put];
}

/** Within a transaction. */
export function applyToStore(entities: Entities, step: Step): void {
  if ('remove' in step) entities.remove('device', step.remove);
  else if (entities.byName('device', step.put.name) === undefined) entities.add('device', step.put);
  else entities.replace('device', step.put);
}

const hasAll = (device: Device, labels: readonly string[]): boolean =>
  labels.every((label) => device.labels?.includes(label) === true);

export const fits = (device: Device, { service, profile, labels = [] }: Filter): boolean =>
  (service === undefined || device.serviceName === service) &&
  (profile === undefined || device.profileName === profile) &&
  hasAll(device, labels);

export type Expected = { readonly total: number; readonly names: string[] } | 'out of range';

export function page(found: Model, { offset, limit }: Page): Expected {
  if (limit > 0 && found.length > 0 && offset > found.length) return 'out of range';
  return { total: found.length, names: found.slice(offset, offset + limit).map(({ name }) => name) };
}

export function listed(entities: Entities, filter: Filter, at: Page): Expected {
  try {
    const { total, rows } = entities.list(filter, at);
    return { total, names: rows.map(({ name }) => name) };
  } catch (error) {
    if (isAntirioError(error, 'rangeNotSatisfiable')) return 'out of range';
    throw error;
  }
}

/** By the definition: the children, then what is below the first, the second, ... each device once. */
export function below(
  model: Model,
  parent: string,
  levels: number,
  labels: string[],
  seen = new Set<string>(),
): Model {
  if (levels === 0) return [];
  const children = model.filter((one) => one.parent === parent && hasAll(one, labels) && !seen.has(one.name));
  for (const { name } of children) seen.add(name);
  return [...children, ...children.flatMap(({ name }) => below(model, name, levels - 1, labels, seen))];
}
