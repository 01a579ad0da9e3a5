import { pattern } from '@antirio/device-values';
import { stringifyJson, type ProvisionWatcher } from '@antirio/edgex-contracts';
import type { DiscoveredDevice } from './driver.ts';

type Properties = Readonly<Record<string, unknown>>;

/** The text of a protocol property; undefined where there is nothing to compare. */
function textOf(properties: Properties, key: string): string | undefined {
  const value = properties[key];
  if (value === undefined || value === null) return undefined;
  const text = typeof value === 'string' ? value : stringifyJson(value);
  return text === '' ? undefined : text;
}

function isPattern(text: string, value: string): boolean {
  try {
    return pattern(text)(value);
  } catch {
    // what is no pattern matches nothing, as with Go
    return false;
  }
}

const isAllowed = (properties: Properties, { identifiers }: ProvisionWatcher): boolean =>
  Object.entries(identifiers).every(([key, expression]) => {
    const text = textOf(properties, key);
    return text !== undefined && isPattern(expression, text);
  });

const isBlocked = (properties: Properties, { blockingIdentifiers = {} }: ProvisionWatcher): boolean =>
  Object.entries(blockingIdentifiers).some(([key, values]) => {
    const text = textOf(properties, key);
    return text !== undefined && values.includes(text);
  });

/** Whether the watcher takes the device: one of its protocols has all identifiers, and none of them what is blocked. */
export function takes(watcher: ProvisionWatcher, { protocols }: DiscoveredDevice): boolean {
  const all = Object.values(protocols);
  return (
    watcher.adminState === 'UNLOCKED' &&
    all.some((properties) => isAllowed(properties, watcher)) &&
    !all.some((properties) => isBlocked(properties, watcher))
  );
}
