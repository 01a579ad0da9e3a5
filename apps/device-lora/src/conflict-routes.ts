import { z } from 'zod';
import { API_VERSION } from '@antirio/edgex-contracts';
import { AntirioError, toHex } from '@antirio/kernel';
import type { HttpRim } from '@antirio/host';
import { parseDataFrame } from '@antirio/lorawan';
import { directoryOf } from './directory.ts';
import type { DeviceOptions } from './options.ts';
import type { ConflictStore, KeptConflict } from './uplink/conflicts.ts';
import type { SessionBook } from './uplink/session-book.ts';

export interface ConflictRoutePorts {
  readonly devices: readonly DeviceOptions[];
  /** Undefined while there are no keys. */
  readonly sessions: () => SessionBook | undefined;
  readonly conflicts: ConflictStore;
  /** The same of another network server's devices. */
  readonly unseenElsewhere?: () => readonly UnseenView[];
}

/** So many devices are told of at once; the newest conflicts first. */
const MOST_DEVICES = 1000;

const conflictView = z.object({
  /** Newer ones have higher ones. */
  id: z.int(),
  session: z.string(),
  fCnt: z.int(),
  /** Wall ms. */
  at: z.number(),
  gatewayId: z.string(),
  /** Hex. */
  phyPayload: z.string(),
  /** Hex, decrypted; null without the keys. */
  payload: z.string().nullable(),
});

const unseenView = z.object({
  device: z.string(),
  devEui: z.string(),
  /** Of the newest of them, as far as it tells. */
  session: z.string().nullable(),
  fCnt: z.int().nullable(),
  /** Wall ms. */
  at: z.number(),
  unseen: z.int(),
});

export type UnseenView = z.output<typeof unseenView>;

export const seenConflicts = z.strictObject({ seenUpTo: z.int().min(1) });

type ConflictView = z.output<typeof conflictView>;

function describe(book: SessionBook | undefined, conflict: KeptConflict): ConflictView {
  const { id, devEui, session, fcnt: fCnt, receivedAt: at, gatewayId, phyPayload } = conflict;
  const cipher = book?.sessionsOf(devEui).find((one) => one.id === session)?.cipher;
  const payload =
    cipher?.readsPayload === true ? toHex(cipher.decrypt(parseDataFrame(phyPayload), fCnt)) : null;
  return { id, session, fCnt, at, gatewayId, phyPayload: toHex(phyPayload), payload };
}

const head = { apiVersion: z.literal(API_VERSION), statusCode: z.int() };
const ok = { apiVersion: API_VERSION, statusCode: 200 } as const;

/** Of which devices nobody has seen those that are kept: whoever raises alarms asks for it. */
function addUnseenRoute(rim: HttpRim, { devices, conflicts, unseenElsewhere }: ConflictRoutePorts): void {
  const { byEui } = directoryOf(devices);
  const spec = {
    summary:
      'devices with genuine frames under counters that are stored with other bytes, which nobody has seen yet',
    answer: z.object({ ...head, devices: z.array(unseenView) }),
  };
  rim.route('get', '/api/v3/lora/conflict', spec, () => {
    const shown = conflicts.unseen().flatMap(({ newest, count }) => {
      const { devEui, session, fcnt: fCnt, receivedAt: at } = newest;
      const device = byEui.get(devEui)?.name;
      return device === undefined ? [] : [{ device, devEui, session, fCnt, at, unseen: count }];
    });
    return { ...ok, devices: [...shown, ...(unseenElsewhere?.() ?? [])].slice(0, MOST_DEVICES) };
  });
}

/** Frames that are genuine and no readings: under their counters others are stored. */
export function addConflictRoutes(rim: HttpRim, ports: ConflictRoutePorts): void {
  const { devices, sessions, conflicts } = ports;
  const { byName } = directoryOf(devices);
  const find = (name: string): DeviceOptions => {
    const device = byName.get(name);
    if (device === undefined) throw new AntirioError('notFound', `no device ${name}`);
    return device;
  };
  const path = '/api/v3/lora/device/:name/conflict';
  const params = z.object({ name: z.string().min(1) });
  const answer = z.object({ ...head, conflicts: z.array(conflictView) });
  const query = z.object({ limit: z.coerce.number().int().min(1).max(64).default(64) });
  const spec = {
    summary: 'genuine frames under counters that are stored with other bytes, newest first',
    ...{ params, query, answer },
  };
  rim.route('get', path, spec, ({ params: { name }, query: { limit } }) => {
    const shown = conflicts.latest(find(name).devEui, limit).map((one) => describe(sessions(), one));
    return { ...ok, conflicts: shown };
  });
  const seen = {
    summary: 'those up to one of them have been seen: they alarm nobody any more',
    params,
    body: seenConflicts,
    answer: z.object(head),
  };
  rim.route('post', path, seen, ({ params: { name }, body: { seenUpTo } }) => {
    conflicts.see(find(name).devEui, seenUpTo);
    return ok;
  });
  addUnseenRoute(rim, ports);
}
