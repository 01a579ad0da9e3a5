import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import type { HttpRim } from '@antirio/host';
import { RING_STREAM_TYPE, STREAM_FORMS, streamFrom } from './ring/ring-stream.ts';
import { ringIdSchema, type HeldRing } from './ring/rings.ts';

type Route = Parameters<HttpRim['route']>[3];
type Request = Parameters<Route>[0]['request'];
type Response = Parameters<Route>[0]['response'];

const IDLE_MS = 30_000;
const BUFFERED_BYTES = 64 << 10;

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

/** The rings as streams. */
export function addStreamRoutes(rim: HttpRim, held: (request: Request, id: string) => HeldRing): void {
  const whole = {
    summary: 'the frames after a frame as one stream of binary records, in order',
    params,
    query,
    answerType: RING_STREAM_TYPE,
  };
  rim.route('get', '/api/v3/ring/:id/stream', whole, async ({ request, response, params: named, query: of }) => {
    const { ring } = held(request, named.id);
    await answerStream(response, streamFrom(ring, of.form, of.after, of.through));
  });
}
