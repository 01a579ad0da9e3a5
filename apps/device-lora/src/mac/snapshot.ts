import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { z } from 'zod';
import {
  describeError,
  fromBase64,
  fromUtf8,
  isAntirioError,
  toBase64,
  toHex,
  utf8,
  type Random,
} from '@antirio/kernel';
import type { Log } from '@antirio/host';
import { broughtHome, eu868, parseMacState, type MacState, type SessionId } from '@antirio/lorawan';
import type { MacStore } from './store.ts';

/** What another edge needs of a device's MAC layer to answer it: not how well we hear it, nor how it was made. */
export function snapshotOf(state: MacState): MacState {
  const { madeWith: _made, devStatusAskedAt: _asked, spokenTo: _spoken, adr, number = 0, ...rest } = state;
  return { ...rest, number, adr: { ...adr, fcnts: [], snrs: [], gateways: [] } };
}

/** Whose MAC layers have changed, in the order in which they did; since this start. */
export interface MacChanges {
  /** Of this start. */
  readonly incarnation: string;
  readonly serial: number;
  note(session: SessionId): void;
  /** Whether the session's has changed after `serial`. */
  since(session: SessionId, serial: number): boolean;
}

export function createMacChanges(random: Random): MacChanges {
  const changed = new Map<SessionId, number>();
  let serial = 0;
  return {
    incarnation: toHex(random.bytes(8)),
    get serial() {
      return serial;
    },
    note(session) {
      serial += 1;
      changed.set(session, serial);
    },
    since: (session, after) => (changed.get(session) ?? 0) > after,
  };
}

const packed = z.array(z.unknown()).max(10_000);
const snapshot = z.object({ session: z.string().regex(/^[0-9a-f]{16}$/), state: z.unknown() });
/** Ten thousand states are some ten megabytes before they are packed. */
const MOST_BYTES = 64 << 20;

/** Snapshots as they come with the keys: text, for a file of JSON. */
export function packSnapshots(
  snapshots: readonly { readonly session: string; readonly state: unknown }[],
): string {
  return toBase64(deflateRawSync(utf8(JSON.stringify(snapshots))));
}

/** Where nothing that is known here reaches up to it, as the device has counted on for too long, it is as its own edge says. */
function united(known: MacState, coming: MacState): MacState {
  try {
    return broughtHome(eu868, known, coming);
  } catch (error) {
    if (!isAntirioError(error, 'corrupt')) throw error;
    return coming;
  }
}

/** What a service goes on with that knows something of the device already; undefined where that is newer. */
function taken(known: MacState | undefined, coming: MacState): MacState | undefined {
  if (known === undefined) return coming;
  const { number } = coming;
  // of an edge from before states had numbers
  if (number === undefined) return (known.fcntUp ?? -1) >= (coming.fcntUp ?? 0) ? undefined : coming;
  if (number <= (known.number ?? -1)) return undefined;
  // what the device answered here may not have come home
  return known.spokenTo === true ? { ...united(known, coming), number } : coming;
}

/** Whether it was news. What cannot be read of one device is nothing to the others. */
function takeOne(store: MacStore, one: unknown, log: Log): boolean {
  try {
    const { session, state } = snapshot.parse(one);
    const next = taken(store.load(session as SessionId), parseMacState(state));
    if (next !== undefined) store.put(session as SessionId, next);
    return next !== undefined;
  } catch (error) {
    log.warn(
      { error: describeError(error) },
      'how a device listens, as it came with the keys, is not understood',
    );
    return false;
  }
}

/**
 * What the device's own edge knew last is taken where it is newer than what this service began with, by its number: it may have served
 * the device before, or been started anew while it does. Without one a device is taken for new. Nothing of it is worth that keys are
 * not used.
 */
export function takeSnapshots(store: MacStore, text: string | undefined, log: Log): number {
  if (text === undefined) return 0;
  try {
    const plain = inflateRawSync(fromBase64(text), { maxOutputLength: MOST_BYTES });
    return packed.parse(JSON.parse(fromUtf8(plain))).filter((one) => takeOne(store, one, log)).length;
  } catch (error) {
    log.warn({ error: describeError(error) }, 'what came with the keys of MAC layers is not understood');
    return 0;
  }
}
