import { z } from 'zod';
import type { ContractTerms, ProtectedDevice } from './terms.ts';

const address = z.string().regex(/^[0-9a-f]{8}$/);

/**
 * The addresses that devices of the set may be given when they join, both ends included. Without it a set has the addresses that
 * its terms name and no other: who joins anew is served by its own edge only.
 */
export const devAddrRange = z
  .strictObject({ first: address, last: address })
  .refine(({ first, last }) => first <= last, 'its last address comes before its first');
export type DevAddrRange = z.output<typeof devAddrRange>;

type Named = Pick<ContractTerms, 'set' | 'devAddrRange'>;

/** A device may have so many sessions at once: the one it uses, and what came after and before it. */
const OF_EACH = 4;

function inRange({ devAddrRange: range }: Named, devAddr: string): boolean {
  return range !== undefined && devAddr >= range.first && devAddr <= range.last;
}

/** Of these sessions the addresses of the set's devices that the terms do not name, as far as they are in its range. */
export function joinedAddresses(
  terms: Named,
  sessions: readonly { readonly devEui: string; readonly devAddr: string }[],
): readonly ProtectedDevice[] {
  if (terms.devAddrRange === undefined) return [];
  const ofSet = new Map(terms.set.devices.map(({ devEui, devAddr }) => [devEui, devAddr]));
  return sessions
    .map(({ devEui, devAddr }) => ({ devEui: devEui.toLowerCase(), devAddr: devAddr.toLowerCase() }))
    .filter(({ devEui, devAddr }) => {
      const named = ofSet.get(devEui);
      return named !== undefined && named !== devAddr && inRange(terms, devAddr);
    });
}

/** Whether a customer may name these: in the range, of devices of the set, and few for each. */
export function areOfSet(terms: Named, addresses: readonly ProtectedDevice[]): boolean {
  const byDevice = Map.groupBy(addresses, ({ devEui }) => devEui);
  const ofSet = new Set(terms.set.devices.map(({ devEui }) => devEui));
  return [...byDevice].every(
    ([devEui, some]) =>
      ofSet.has(devEui) && some.length <= OF_EACH && some.every(({ devAddr }) => inRange(terms, devAddr)),
  );
}

/** All addresses of the set: those of the terms, and those that joins have given since. */
export function addressesOf(
  { set }: Pick<ContractTerms, 'set'>,
  joined: readonly ProtectedDevice[],
): readonly ProtectedDevice[] {
  return joined.length === 0 ? set.devices : [...set.devices, ...joined];
}
