import { z } from 'zod';
import { fromHex } from '@antirio/kernel';
import type { HttpRim } from '@antirio/host';
import type { Lending } from './downlink/lending.ts';
import { ringIdSchema } from './ring/stored-ring.ts';

const ringParams = z.object({ id: ringIdSchema });
const setParams = z.object({ id: z.string().min(1).max(128) });
const phyPayload = z.string().regex(/^(?:[0-9a-f]{2}){12,255}$/);
const window = z.strictObject({
  delayUs: z.int().min(0).max(16_500_000),
  frequency: z.int().min(1).max(0xffff_ffff),
  power: z.number().min(-10).max(40),
  bandwidth: z.int().min(1),
  spreadingFactor: z.int().min(5).max(12),
});
const offered = z.strictObject({ phyPayload });
const lent = z.strictObject({
  offer: z.string().regex(/^[0-9a-f]{32}$/),
  epoch: z.int().min(0),
  slot: z.int().min(0).max(3),
  fcnt: z.int().min(0).max(0xffff_ffff),
  phyPayload,
  windows: z.array(window).min(1).max(4),
});
const lending = z.strictObject({ phyPayload, aheadMs: z.number().min(0).max(20_000) });

const bytesOf = (hex: string): Uint8Array => fromHex(hex, hex.length / 2);

/** Drill downlinks: for this edge's arbitrator, which answers for who asks. */
export function addLendingRoutes(
  rim: HttpRim,
  localOnly: (request: { get(header: string): string | undefined }) => void,
  ports: Lending,
): void {
  const offer = {
    summary: 'the windows of an uplink, for a downlink of the owner’s',
    params: ringParams,
    body: offered,
  };
  rim.route('post', '/api/v3/ring/:id/lent/offer', offer, ({ request, params, body }) => {
    localOnly(request);
    return ports.offer(params.id, bytesOf(body.phyPayload));
  });
  const send = { summary: 'send a downlink of the owner’s', params: ringParams, body: lent };
  rim.route('post', '/api/v3/ring/:id/lent/send', send, ({ request, params, body }) => {
    localOnly(request);
    return ports.send(params.id, { ...body, phyPayload: bytesOf(body.phyPayload) });
  });
  const lend = {
    summary: 'let a downlink leave for another edge’s gateway',
    params: setParams,
    body: lending,
  };
  rim.route('post', '/api/v3/fence/:id/lend', lend, ({ request, params, body }) => {
    localOnly(request);
    return ports.lend(params.id, bytesOf(body.phyPayload), body.aheadMs);
  });
}
