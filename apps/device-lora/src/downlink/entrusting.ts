import { z } from 'zod';
import {
  aesGcmDecrypt,
  aesGcmEncrypt,
  describeError,
  fromBase64,
  fromUtf8,
  toBase64,
  utf8,
  type Clock,
  type Random,
} from '@antirio/kernel';
import type { Log } from '@antirio/host';
import { downlinkContent } from '@antirio/lorawan';
import type { Session } from '../uplink/sessions.ts';
import { UNKNOWN, type Desk } from './desk.ts';
import type { Downlink, DownlinkStore } from './store.ts';

/**
 * What waits to be sent moves with a handover: a device's own edge lists it for the one that may have to serve, which sends it in its
 * place and tells what became of it. Sealed with a key of the device's session, so that only who may read what it sends can read it.
 */
export interface Entrusting {
  /** What another edge is to send if it serves next, and which is durably ours no more when this returns; undefined for nothing. */
  listOf(session: Session): string | undefined;
  /** Takes such a list, to be sent as long as we act by this right; what is known or too old is left. How many were new. */
  take(session: Session, sealed: string, under: string): number;
  /** What became of what was taken; undefined where nothing was. */
  wordOf(session: Session): string | undefined;
  /** Ends, or goes on with, what another edge was to send. `isFinal`: it was told when that edge could send no more. */
  bringHome(session: Session, sealed: string, isFinal: boolean): void;
  /** Nobody will say what became of it. How many were ended. */
  giveUp(devEuis: readonly Session['device']['devEui'][]): number;
}

export interface EntrustingPorts {
  readonly store: DownlinkStore;
  readonly desk: Pick<Desk, 'busy' | 'end' | 'isUnsent'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly random: Random;
  readonly log: Log;
}

const LIST = 'antirio downlinks entrusted';
const WORD = 'antirio downlinks served';
const NONCE = 12;
/** One list has so many at most, and so many bytes of payloads and names: those of 200 devices are one message. */
const MOST = 8;
const MOST_BYTES = 512;
/** Of what was taken as many are told of, those of which there is news, each with so much of its error. */
const MOST_TOLD = MOST;
const MOST_ERROR = 100;
/** What is older is not sent by another edge: nobody counts on it any more. */
const TOO_OLD_MS = 600_000;
const UNTOLD = 'another edge was to send it, and nobody says whether it did';

const list = z
  .array(
    z.object({
      key: z.string().max(64),
      resource: z.string().max(256),
      fPort: downlinkContent.shape.fPort,
      payload: z.string().max(400),
      ageMs: z.number().min(0),
    }),
  )
  .max(MOST);
const word = z
  .array(
    z.object({
      key: z.string().max(64),
      /** `waits`: surely not sent. `unknown`: may have been on air. */
      state: z.enum(['waits', 'acknowledged', 'failed', 'unknown']),
      error: z.string().max(MOST_ERROR).optional(),
    }),
  )
  .max(MOST_TOLD);
type Word = z.output<typeof word>[number];

const keyOf = ({ id, createdAt }: Downlink): string => `${id}/${createdAt}`;

/** The longest beginning of a queue that may go together: confirmed, and never on air. What is encrypted is for a counter of this edge. */
function beginning(open: readonly Downlink[]): Downlink[] {
  let bytes = 0;
  const found: Downlink[] = [];
  for (const one of open) {
    if (one.isEncrypted && one.bytes === undefined) continue;
    bytes += one.payload.length + one.resource.length;
    const isAsMade = one.confirmed && one.state === 'queued' && one.bytes === undefined;
    if (!isAsMade || bytes > MOST_BYTES || found.length === MOST) break;
    found.push(one);
  }
  return found;
}

export function createEntrusting({ store, desk, clock, random, log }: EntrustingPorts): Entrusting {
  const seal = ({ cipher, id }: Session, purpose: string, value: unknown): string | undefined => {
    const key = cipher.keyFor(purpose);
    if (key === undefined) return undefined;
    const nonce = random.bytes(NONCE);
    const sealed = aesGcmEncrypt(key, nonce, utf8(JSON.stringify(value)), utf8(id));
    return toBase64(Uint8Array.from([...nonce, ...sealed]));
  };
  /** Undefined for what is none, or of other keys. */
  const open = <T>(session: Session, purpose: string, sealed: string, as: z.ZodType<T>): T | undefined => {
    const key = session.cipher.keyFor(purpose);
    if (key === undefined) return undefined;
    try {
      const bytes = fromBase64(sealed);
      const plain = aesGcmDecrypt(key, bytes.subarray(0, NONCE), bytes.subarray(NONCE), utf8(session.id));
      return as.parse(JSON.parse(fromUtf8(plain)));
    } catch (error) {
      const { name } = session.device;
      log.warn({ device: name, error: describeError(error) }, 'downlinks of another edge are not understood');
      return undefined;
    }
  };
  const stateOf = (one: Downlink): Word => {
    const { state, error, devEui } = one;
    const why = error === undefined ? {} : { error: error.slice(0, MOST_ERROR) };
    const told = { key: one.given?.origin ?? '', ...why };
    if (state === 'acknowledged' || state === 'failed') return { ...told, state };
    // what is at a gateway now may come on air
    const isUnsent = state === 'queued' || (desk.isUnsent(one) && !desk.busy.has(devEui));
    return { ...told, state: isUnsent ? 'waits' : 'unknown' };
  };
  const settle = (one: Downlink, { state, error }: Word, isFinal: boolean): void => {
    if (state === 'acknowledged') desk.end(one, state);
    else if (state === 'failed') desk.end(one, state, error ?? 'failed at another edge');
    else if (state === 'unknown') desk.end(one, 'failed', UNKNOWN);
    else if (isFinal) store.update(one.id, { entrusted: false }, clock.now());
  };
  return {
    listOf(session) {
      if (!session.cipher.readsPayload) return undefined;
      const now = clock.now();
      const found = beginning(store.open(session.device.devEui));
      if (found.length === 0) return undefined;
      for (const { id, entrusted } of found) if (!entrusted) store.update(id, { entrusted: true }, now);
      const told = found.map((one) => ({
        ...{ key: keyOf(one), resource: one.resource, fPort: one.fPort },
        ...{ payload: toBase64(one.payload), ageMs: Math.max(0, now - one.createdAt) },
      }));
      return seal(session, LIST, told);
    },
    take(session, sealed, under) {
      const { devEui } = session.device;
      const known = new Map(store.given(devEui).map((one) => [one.given?.origin, one]));
      const now = clock.now();
      let taken = 0;
      for (const { key, ageMs, payload, ...content } of open(session, LIST, sealed, list) ?? []) {
        // what follows one that stays must not come before it
        if (ageMs > TOO_OLD_MS) break;
        const before = known.get(key);
        const given = { origin: key, under };
        // of an earlier time of serving: it went home, and comes again
        if (before?.state === 'queued' && before.given?.under !== under)
          store.update(before.id, { given }, now);
        else if (before === undefined) {
          const downlink = { ...content, devEui, payload: fromBase64(payload), confirmed: true };
          store.add(downlink, now - ageMs, given);
        } else continue;
        taken += 1;
      }
      if (taken > 0) log.info({ device: session.device.name, taken }, 'sends what waited at its own edge');
      return taken;
    },
    wordOf(session) {
      const given = store.given(session.device.devEui);
      const newest = given.sort((a, b) => b.updatedAt - a.updatedAt).slice(0, MOST_TOLD);
      return newest.length === 0 ? undefined : seal(session, WORD, newest.map(stateOf));
    },
    bringHome(session, sealed, isFinal) {
      const told = new Map((open(session, WORD, sealed, word) ?? []).map((one) => [one.key, one]));
      for (const one of store.open(session.device.devEui)) {
        const said = told.get(keyOf(one));
        if (said !== undefined) settle(one, said, isFinal);
      }
    },
    giveUp(devEuis) {
      const left = devEuis.flatMap((devEui) => store.open(devEui)).filter(({ entrusted }) => entrusted);
      for (const one of left) desk.end(one, 'failed', UNTOLD);
      if (left.length > 0) log.warn({ downlinks: left.length }, UNTOLD);
      return left.length;
    },
  };
}
