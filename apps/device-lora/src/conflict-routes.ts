import { z } from 'zod';
import { API_VERSION } from '@antirio/edgex-contracts';
import { AntirioError, toHex } from '@antirio/kernel';
import type { HttpRim } from '@antirio/host';
import { parseDataFrame } from '@antirio/lorawan';
import type { DeviceOptions } from './options.ts';
import type { Conflict, ConflictStore } from './uplink/conflicts.ts';
import type { SessionBook } from './uplink/session-book.ts';

export interface ConflictRoutePorts {
  readonly devices: readonly DeviceOptions[];
  /** Undefined while there are no keys. */
  readonly sessions: () => SessionBook | undefined;
  readonly conflicts: ConflictStore;
}

const conflictView = z.object({
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

type ConflictView = z.output<typeof conflictView>;

function describe(book: SessionBook | undefined, conflict: Conflict): ConflictView {
  const { devEui, session, fcnt: fCnt, receivedAt: at, gatewayId, phyPayload } = conflict;
  const cipher = book?.sessionsOf(devEui).find(({ id }) => id === session)?.cipher;
  const payload =
    cipher?.readsPayload === true ? toHex(cipher.decrypt(parseDataFrame(phyPayload), fCnt)) : null;
  return { session, fCnt, at, gatewayId, phyPayload: toHex(phyPayload), payload };
}

/** Frames that are genuine and no readings: under their counters others are stored. */
export function addConflictRoutes(rim: HttpRim, { devices, sessions, conflicts }: ConflictRoutePorts): void {
  const byName = new Map(devices.map((device) => [device.name, device]));
  const spec = {
    summary: 'genuine frames under counters that are stored with other bytes, newest first',
    params: z.object({ name: z.string().min(1) }),
    query: z.object({ limit: z.coerce.number().int().min(1).max(64).default(64) }),
    answer: z.object({
      apiVersion: z.literal(API_VERSION),
      statusCode: z.int(),
      conflicts: z.array(conflictView),
    }),
  };
  rim.route('get', '/api/v3/lora/device/:name/conflict', spec, ({ params: { name }, query: { limit } }) => {
    const device = byName.get(name);
    if (device === undefined) throw new AntirioError('notFound', `no device ${name}`);
    const shown = conflicts.latest(device.devEui, limit).map((one) => describe(sessions(), one));
    return { apiVersion: API_VERSION, statusCode: 200, conflicts: shown };
  });
}
