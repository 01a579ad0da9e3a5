import { AntirioError } from '@antirio/kernel';
import { createFcntSet, type FcntRange } from '../fcnt-set.ts';

/**
 * The DevNonces of one device and one JoinEUI that were accepted; plain JSON. Up to 1.0.3 a DevNonce is random and every
 * one is remembered; from 1.0.4 on it counts up and the last one is enough (LoRaWAN 1.0.4, 6.2.4).
 */
export type DevNonces =
  | { readonly rule: 'counter'; readonly last: number | null }
  | { readonly rule: 'random'; readonly used: readonly FcntRange[] };

/**
 * Ranges that a set of random DevNonces is kept in. A set with more of them gives up the lowest unused nonces: a device
 * that draws one of those has to draw again, but none is ever accepted twice.
 */
export const MAX_NONCE_RANGES = 2048;

/** The memory of a device that has not joined yet. */
export function newDevNonces(rule: DevNonces['rule']): DevNonces {
  return rule === 'counter' ? { rule, last: null } : { rule, used: [] };
}

/**
 * The memory after this DevNonce; undefined where it must not be accepted. What it gives must be durable before the
 * JoinAccept leaves.
 * @throws AntirioError invalidInput for more than 16 bits, corrupt for ranges that are none.
 */
export function useDevNonce(nonces: DevNonces, devNonce: number): DevNonces | undefined {
  if (!Number.isInteger(devNonce) || devNonce < 0 || devNonce > 0xffff)
    throw new AntirioError('invalidInput', 'a DevNonce has 16 bits', { devNonce });
  if (nonces.rule === 'counter')
    return devNonce > (nonces.last ?? -1) ? { rule: 'counter', last: devNonce } : undefined;
  // Replays are many in a flood: they cost no set.
  if (nonces.used.some(([first, last]) => first <= devNonce && devNonce <= last)) return undefined;
  const used = createFcntSet(nonces.used);
  used.add(devNonce);
  used.closeLowestGaps(MAX_NONCE_RANGES);
  return { rule: 'random', used: used.ranges() };
}

/** The same memory where the device's version of LoRaWAN is another: none that was used is forgotten. */
export function devNoncesUnder(nonces: DevNonces, rule: DevNonces['rule']): DevNonces {
  if (nonces.rule === rule) return nonces;
  if (nonces.rule === 'random') return { rule: 'counter', last: nonces.used.at(-1)?.[1] ?? null };
  return { rule: 'random', used: nonces.last === null ? [] : [[0, nonces.last]] };
}

/**
 * What two edges have accepted, together: in no more than `maxRanges` ranges. By the rule of the first.
 * @throws AntirioError corrupt for ranges that are none.
 */
export function uniteDevNonces(one: DevNonces, other: DevNonces, maxRanges = MAX_NONCE_RANGES): DevNonces {
  const same = devNoncesUnder(other, one.rule);
  if (one.rule === 'counter' || same.rule === 'counter') {
    const lasts = [one, same].flatMap((each) => (each.rule === 'counter' ? (each.last ?? []) : []));
    return { rule: 'counter', last: lasts.length === 0 ? null : Math.max(...lasts) };
  }
  const used = createFcntSet(mergedRanges([...one.used, ...same.used]));
  used.closeLowestGaps(maxRanges);
  return { rule: 'random', used: used.ranges() };
}

/** Ranges that may overlap, as those of a set. */
function mergedRanges(ranges: readonly FcntRange[]): FcntRange[] {
  const merged: [number, number][] = [];
  for (const [first, last] of ranges.toSorted((a, b) => a[0] - b[0])) {
    const before = merged.at(-1);
    if (before !== undefined && first <= before[1] + 1) before[1] = Math.max(before[1], last);
    else merged.push([first, last]);
  }
  return merged;
}
