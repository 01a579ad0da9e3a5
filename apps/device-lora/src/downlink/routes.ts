import { z } from 'zod';
import { API_VERSION } from '@antirio/edgex-contracts';
import { AntirioError, fromHex, toHex } from '@antirio/kernel';
import type { HttpRim } from '@antirio/host';
import { parseSessionId } from '@antirio/lorawan';
import type { DeviceOptions } from '../options.ts';
import type { SessionBook } from '../uplink/session-book.ts';
import { describeDownlink, downlinkView } from './describe.ts';
import type { Holder } from './holder.ts';
import type { EncryptedDownlink, Naming } from './naming.ts';
import { encryptedSchema, objectSchema } from './payload.ts';
import type { DownlinkSender } from './sender.ts';
import type { Downlink, DownlinkStore } from './store.ts';

export interface DownlinkRoutePorts {
  /** Undefined while there are no keys. */
  readonly sessions: () => SessionBook | undefined;
  readonly sender: Pick<DownlinkSender, 'queue'>;
  readonly naming: Naming;
  readonly encryptFor: Holder;
  readonly downlinks: DownlinkStore;
  /** What a downlink waits for. */
  readonly waitOf: (device: DeviceOptions, downlink: Downlink) => string | undefined;
  /** @throws AntirioError where the service may not send now; `isEncrypted`: what was encrypted elsewhere. */
  readonly checkMaySend: (device: DeviceOptions, isEncrypted?: boolean) => void;
}

const head = { apiVersion: z.literal(API_VERSION), statusCode: z.int() };
const page = z.object({
  offset: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(10_000).default(1000),
});
const params = z.object({ name: z.string().min(1) });

const { session, fCntDown } = encryptedSchema.shape;
const wanted = objectSchema.extend({
  isEncrypted: z.boolean().default(false),
  session: session.optional(),
  fCntDown: fCntDown.optional(),
});

const namedView = z.object({
  devEui: z.string(),
  devAddr: z.string(),
  session: z.string(),
  fCntDown: z.int(),
  maxPayload: z.int(),
  expiresAt: z.number(),
});

/** Undefined for what is to be encrypted here. @throws AntirioError invalidInput */
function encryptedOf({ isEncrypted, ...body }: z.output<typeof wanted>): EncryptedDownlink | undefined {
  const { session, fCntDown, payload, fPort, confirmed } = body;
  if (!isEncrypted) {
    if (session === undefined && fCntDown === undefined) return undefined;
    throw new AntirioError('invalidInput', 'session and fCntDown go with isEncrypted only');
  }
  if (session === undefined || fCntDown === undefined)
    throw new AntirioError('invalidInput', 'isEncrypted goes with the session and fCntDown that were named');
  return { session: parseSessionId(session), fCntDown, payload: fromHex(payload), fPort, confirmed };
}

/** Downlinks of devices: queueing, what became of them, and counters for those that are encrypted elsewhere. */
export function addDownlinkRoutes(
  rim: HttpRim,
  ports: DownlinkRoutePorts,
  find: (name: string) => DeviceOptions,
): void {
  const ok = { apiVersion: API_VERSION, statusCode: 200 };
  const path = '/api/v3/lora/device/:name/downlink';
  const downlinks = z.object({ ...head, downlinks: z.array(downlinkView) });
  const newest = { summary: 'the newest downlinks of a device, newest first', params, answer: downlinks };
  rim.route('get', path, { ...newest, query: page }, ({ params: { name }, query }) => {
    const found = find(name);
    const shown = ports.downlinks
      .latest(found.devEui, query.limit)
      .map((one) => describeDownlink(one, ports.waitOf(found, one)));
    return { ...ok, downlinks: shown };
  });

  const queued = z.object({ ...head, downlink: downlinkView });
  const summary = 'queues a downlink, which goes after an uplink';
  const queueing = { summary, params, body: wanted, answer: queued, status: 202 };
  const queue = (device: DeviceOptions, body: z.output<typeof wanted>): Downlink => {
    const encrypted = encryptedOf(body);
    ports.checkMaySend(device, encrypted !== undefined);
    if (encrypted !== undefined) return ports.naming.queue(device, encrypted);
    const { devEui } = device;
    const { payload, fPort, confirmed } = body;
    const content = { payload: fromHex(payload), fPort, confirmed, resource: 'downlink', devEui };
    return ports.sender.queue(content, ports.sessions()?.currentOf(devEui)?.devAddr, { replaces: false });
  };
  rim.route('post', path, queueing, ({ params: { name }, body }) => {
    const found = find(name);
    const added = queue(found, body);
    return { ...ok, statusCode: 202, downlink: describeDownlink(added, ports.waitOf(found, added)) };
  });

  const encrypting = {
    summary:
      'encrypts a payload for a counter that the edge named which serves the device without the AppSKey',
    params,
    body: encryptedSchema.pick({ session: true, fCntDown: true, payload: true }),
    answer: z.object({ ...head, payload: z.string() }),
  };
  rim.route('post', `${path}/encrypt`, encrypting, ({ params: { name }, body }) => {
    const { session, fCntDown, payload } = body;
    const what = { session: parseSessionId(session), fCntDown, payload: fromHex(payload) };
    return { ...ok, payload: toHex(ports.encryptFor(find(name), what)) };
  });

  const naming = {
    summary: 'names a downlink counter, for whoever has the AppSKey to encrypt one payload for it',
    params,
    body: z.object({ requestId: z.string().min(1).max(64).optional() }).prefault({}),
    answer: z.object({ ...head, counter: namedView }),
  };
  rim.route('post', `${path}/counter`, naming, async ({ params: { name }, body }) => {
    const found = find(name);
    ports.checkMaySend(found, true);
    return { ...ok, counter: await ports.naming.name(found, body.requestId) };
  });
}
