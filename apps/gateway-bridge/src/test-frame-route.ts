import { z } from 'zod';
import { AntirioError, fromHex, type Clock } from '@antirio/kernel';
import type { HttpRim } from '@antirio/host';
import type { Delivery } from './bus/delivery.ts';
import type { StoredFrame } from './ring/record.ts';
import type { Rings } from './ring/rings.ts';
import { ringIdSchema } from './ring/stored-ring.ts';

/** How a frame of a drill says that no gateway heard it. */
export const DRILL = 'drill';
const NO_GATEWAY = '0000000000000000';

const params = z.object({ id: ringIdSchema });
const body = z.strictObject({
  frames: z
    .array(z.string().regex(/^(?:[0-9a-f]{2}){12,255}$/))
    .min(1)
    .max(64),
});

function unheard(phyPayload: Uint8Array, clock: Clock): StoredFrame {
  const rx = {
    ...{ tmst: 0, frequency: 868_100_000, spreadingFactor: 7, bandwidth: 125_000, codeRate: '4/5' },
    ...{ rssi: 0, snr: 0, channel: 0, rfChain: 0, crcOk: true },
  };
  return { gatewayId: NO_GATEWAY, phyPayload, rx, receivedAt: clock.now(), via: DRILL };
}

/** Frames that nobody sent, for rings that hear nothing: what stands in one that listens was heard by radio, and is evidence. */
export function addTestFrameRoute(
  rim: HttpRim,
  localOnly: (request: { get(header: string): string | undefined }) => void,
  ports: { readonly rings: Rings; readonly delivery: Pick<Delivery, 'first'>; readonly clock: Clock },
): void {
  const put = { summary: 'test frames, into a ring without DevAddrs', params, body };
  rim.route('post', '/api/v3/ring/:id/test-frames', put, async ({ request, params: { id }, body: given }) => {
    localOnly(request);
    const { ring, kept } = ports.rings.get(id);
    if (kept !== undefined)
      throw new AntirioError('conflict', `ring ${id} is of a contract that is over: it is evidence`);
    if (ring.settings.devAddrs.length > 0)
      throw new AntirioError('conflict', `ring ${id} listens: it takes what gateways hear, and nothing else`);
    let taken = 0;
    for (const hex of given.frames) {
      const one = ring.take(unheard(fromHex(hex, hex.length / 2), ports.clock), false);
      if (one.kind === 'dropped') throw new AntirioError('storageFull', `ring ${id} has no room`);
      await one.durable;
      if (one.kind === 'stored') ports.delivery.first(ring, one.frame, undefined);
      taken += 1;
    }
    return { taken };
  });
}
