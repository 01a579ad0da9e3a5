import { z } from 'zod';
import { parseInput } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';

/** Rings as the bridges of two edges show them, a page at a time. */

export const RING_PAGE = 500;

const receipt = {
  devAddr: z.string().regex(/^[0-9a-f]{8}$/),
  fcnt: z.int().min(0).max(0xffff),
  mic: z.string().regex(/^[0-9a-f]{8}$/),
};
const offersPage = z.object({
  offers: z.array(z.object({ seq: z.int().min(1), ...receipt })).max(RING_PAGE),
  last: z.int().min(0),
  incarnation: z.string().min(1).max(64),
});
export type OffersPage = z.output<typeof offersPage>;

const framesPage = z.object({
  frames: z
    .array(
      z.object({
        seq: z.int().min(1),
        receivedAt: z.number(),
        via: z.string().max(128),
        phyPayload: z.string().max(340),
        rx: z.object({ snr: z.number(), spreadingFactor: z.int(), bandwidth: z.int() }),
      }),
    )
    .max(RING_PAGE),
});
export type RingPageFrame = z.output<typeof framesPage>['frames'][number];

const ringState = z.looseObject({ incarnation: z.string().min(1).max(64), next: z.int().min(1) });

/** How a bridge is asked: this edge's own, or another's. */
export type AskBridge = (path: string) => Promise<unknown>;

export async function readRing(ask: AskBridge, ringId: string): Promise<z.output<typeof ringState>> {
  return parseInput(ringState, await ask(`/api/v3/ring/${ringId}`));
}

export async function offersAfter(ask: AskBridge, ringId: string, after: number): Promise<OffersPage> {
  return parseInput(offersPage, await ask(`/api/v3/ring/${ringId}/offers?after=${after}&limit=${RING_PAGE}`));
}

function rises(after: number, frames: readonly RingPageFrame[]): boolean {
  return frames.every(({ seq }, i) => seq > (frames[i - 1]?.seq ?? after));
}

/**
 * The frames after `after`, to `through`, page by page: never more of them than there are numbers in between, whatever the bridge
 * answers.
 * @throws AntirioError unavailable: where a page goes back
 */
export async function* framesBetween(
  ask: AskBridge,
  ringId: string,
  after: number,
  through: number,
): AsyncGenerator<readonly RingPageFrame[]> {
  for (let from = after; from < through;) {
    const path = `/api/v3/ring/${ringId}/frames?after=${from}&limit=${RING_PAGE}`;
    const { frames } = parseInput(framesPage, await ask(path));
    if (!rises(from, frames))
      throw new AntirioError('unavailable', 'the ring answered with frames of before', {
        ringId,
        after: from,
      });
    const wanted = frames.filter(({ seq }) => seq <= through);
    if (wanted.length > 0) yield wanted;
    const newest = frames.at(-1)?.seq;
    if (newest === undefined) return;
    from = newest;
  }
}
