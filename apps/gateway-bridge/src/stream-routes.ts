import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { streamError, type HttpPeer, type HttpRim } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { ownCopies, type CopiesPorts } from './ring/copies.ts';
import { RING_STREAM_TYPE, STREAM_FORMS, streamFrom } from './ring/ring-stream.ts';
import type { HeldRing } from './ring/rings.ts';
import { ringIdSchema } from './ring/stored-ring.ts';

type Route = Parameters<HttpRim['route']>[3];
type Request = Parameters<Route>[0]['request'];
type Response = Parameters<Route>[0]['response'];

const IDLE_MS = 30_000;
const BUFFERED_BYTES = 64 << 10;
const FETCH_TIMEOUT_MS = 10_000;

const params = z.object({ id: ringIdSchema });
const seq = z.coerce.number().int().min(0);
const query = z.object({
  after: seq.default(0),
  through: seq.optional(),
  form: z.enum(STREAM_FORMS).default('record'),
});

/** Sends the pieces as fast as they are taken; who takes none for half a minute is cut off. */
async function answerStream(response: Response, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  response.type(RING_STREAM_TYPE);
  response.setTimeout(IDLE_MS, () => response.destroy());
  const source = Readable.from(pieces, { objectMode: false, highWaterMark: BUFFERED_BYTES });
  try {
    await pipeline(source, response);
  } catch {
    // whoever asked has gone, or sees by the missing end that it is not whole
    response.destroy();
  }
}

export interface StreamRoutePorts {
  /** @throws AntirioError notFound, forbidden for a neighbour whose it is not */
  readonly held: (request: Request, id: string) => HeldRing;
  /** @throws AntirioError forbidden where a neighbour asks */
  readonly local: (request: Request) => void;
  readonly edge2edge: HttpPeer | undefined;
  readonly onStored: CopiesPorts['onStored'];
}

const offered = z.strictObject({
  edgeId: z.string().min(1).max(128),
  ringId: ringIdSchema,
  after: seq.default(0),
  through: seq,
});

/** The rings as streams. */
export function addStreamRoutes(rim: HttpRim, { held, local, edge2edge, onStored }: StreamRoutePorts): void {
  const whole = {
    summary: 'the frames after a frame as one stream of binary records, in order',
    params,
    query,
    answerType: RING_STREAM_TYPE,
  };
  rim.route(
    'get',
    '/api/v3/ring/:id/stream',
    whole,
    async ({ request, response, params: named, query: of }) => {
      const { ring } = held(request, named.id);
      await answerStream(response, streamFrom(ring, of.form, of.after, of.through));
    },
  );
  const copies = {
    summary:
      'the PHYPayloads of what another edge’s ring offers, as one stream: as held here, or else fetched and taken in first',
    params,
    query: offered,
    answerType: RING_STREAM_TYPE,
  };
  rim.route(
    'get',
    '/api/v3/ring/:id/copies',
    copies,
    async ({ request, response, params: named, query: of }) => {
      local(request);
      const { ring } = held(request, named.id);
      const base = `/edge2edge/peer/${encodeURIComponent(of.edgeId)}/gateway-bridge/api/v3/ring/${of.ringId}`;
      const path = `${base}/stream?form=offer&after=${of.after}&through=${of.through}`;
      const offers = await edge2edge?.open?.(path, { idleMs: IDLE_MS, transient: true });
      if (edge2edge === undefined || offers === undefined)
        throw new AntirioError('unavailable', 'there is no way to other edges');
      try {
        if (offers.status !== 200) throw await streamError(path, offers);
        const source = { edge2edge, base, edgeId: of.edgeId, timeoutMs: FETCH_TIMEOUT_MS };
        await answerStream(response, ownCopies({ ring, offers, source, onStored }));
      } finally {
        offers.close();
      }
    },
  );
}
