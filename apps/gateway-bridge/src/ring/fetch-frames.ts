import { z } from 'zod';
import { fromBase64, toHex } from '@antirio/kernel';
import { callJson, parseInput, type HttpPeer } from '@antirio/host';
import { parseDataFrame } from '@antirio/lorawan';
import { leafHash } from './frontier.ts';
import type { StoredFrame } from './record.ts';
import type { Offer } from './ring.ts';
import { frameSchema } from './wire.ts';

/** Frames that are asked for at once, at most. */
const FRAMES_AT_ONCE = 500;

const framesSchema = z.object({ frames: z.array(frameSchema).max(FRAMES_AT_ONCE) });

/** What an offer says of a frame. */
export type Offered = Pick<Offer, 'seq' | 'devAddr' | 'fcnt' | 'digest'>;

export interface FrameSource {
  readonly edge2edge: HttpPeer;
  /** Of the source's ring, from `/edge2edge` on. */
  readonly base: string;
  readonly edgeId: string;
  readonly timeoutMs: number;
}

function isOffered(offer: Offered, phyPayload: Uint8Array): boolean {
  try {
    const { direction, devAddr, fcnt16 } = parseDataFrame(phyPayload);
    const digest = toHex(leafHash(phyPayload).subarray(0, 8));
    return (
      direction === 'up' && devAddr === offer.devAddr && fcnt16 === offer.fcnt && digest === offer.digest
    );
  } catch {
    return false;
  }
}

/**
 * The frames of another edge's ring that were offered, as far as it gives them. What came must be what was offered: the source may
 * be mistaken, or worse.
 * @throws AntirioError of the way or the source
 */
export async function fetchFrames(
  { edge2edge, base, edgeId, timeoutMs }: FrameSource,
  offers: readonly Offered[],
): Promise<StoredFrame[]> {
  const call = {
    method: 'POST',
    path: `${base}/frames`,
    json: { seqs: offers.map(({ seq }) => seq) },
    timeoutMs,
  } as const;
  const { frames } = parseInput(framesSchema, await callJson(edge2edge, call));
  const bySeq = new Map(offers.map((offer) => [offer.seq, offer]));
  return frames.flatMap(({ seq, phyPayload, rx, receivedAt, gatewayId }) => {
    const offer = bySeq.get(seq);
    const bytes = fromBase64(phyPayload);
    if (offer === undefined || !isOffered(offer, bytes)) return [];
    return [{ phyPayload: bytes, rx, receivedAt, gatewayId, via: edgeId }];
  });
}
