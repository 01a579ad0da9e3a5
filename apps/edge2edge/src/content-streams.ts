import type { IncomingMessage, ServerResponse } from 'node:http';
import { setImmediate as turn } from 'node:timers/promises';
import { sleep, type HttpPeer } from '@antirio/host';
import { AntirioError, concatBytes, type Clock, type Identity } from '@antirio/kernel';
import type { Proven } from './request-proof.ts';
import type { Streaming } from './open-routes.ts';
import { HEADERS, signStreamHead } from './request-signature.ts';
import { createStreamPlaces, type Place } from './stream-places.ts';
import { SIGNED_PIECES, signPieces } from './signed-pieces.ts';

/** Few edges that read slowly do not shut the others out: most places are for edges that have none, and many make room. */
const PLACES = { perEdge: 4, inAll: 24, keptForFirst: 16 };
/** No content is larger (the limit of a DAG in the content store, with the headers of its blocks). */
const MAX_STREAM_BYTES = 17 * 2 ** 30;
/** Nothing comes of the room, or nothing is taken by the other edge, for so long: it is cut off. */
const IDLE_MS = 30_000;
/** Of an answer that is no content. */
const MAX_OTHER_BYTES = 64 << 10;
/** What may leave at once after a pause, as time at the set pace. */
const BURST_MS = 20;

/** An answer that was not streamed. */
export interface OtherAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: Uint8Array;
}

/** What the answer says besides what the room gives. */
export interface StreamSetting {
  readonly challenge: string;
  readonly streaming: Streaming;
}

/**
 * Content for other edges, of any size: the head is signed and bound to the request, the body is blocks, each of which its
 * CID proves, or pieces that are signed one by one. Bounded in number, and all together in pace, so that requests and datagrams find room beside them.
 */
export interface ContentStreams {
  /** Undefined once a stream is through; else what is to be answered. @throws AntirioError busy | unavailable | timeout | tooLarge */
  serve(
    room: HttpPeer,
    proven: Proven,
    request: IncomingMessage,
    response: ServerResponse,
    setting: StreamSetting,
  ): Promise<OtherAnswer | undefined>;
}

export interface ContentStreamParts {
  readonly identity: Identity;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly bytesPerSecond: number;
}

/** Resolves when so many bytes may go. */
export function createPace(
  clock: Pick<Clock, 'monotonic'>,
  bytesPerSecond: number,
): (bytes: number) => Promise<void> {
  let due = 0;
  return async (bytes) => {
    const now = clock.monotonic();
    due = Math.max(due, now - BURST_MS) + (bytes / bytesPerSecond) * 1000;
    if (due > now) await sleep(due - now);
  };
}

/** Resolves when the other side has taken the bytes, whose memory is then free. @throws AntirioError timeout | unavailable */
function taken(response: ServerResponse, bytes: Uint8Array, withinMs = IDLE_MS): Promise<void> {
  return new Promise((resolve, reject) => {
    const over = (failure?: AntirioError): void => {
      clearTimeout(timer);
      response.off('close', gone);
      if (failure === undefined) resolve();
      else reject(failure);
    };
    // A write that waits when its connection closes is not always told.
    const gone = (): void => over(new AntirioError('unavailable', 'the other side has gone'));
    const timer = setTimeout(() => {
      over(new AntirioError('timeout', `nothing was taken for ${withinMs} ms`));
      response.destroy();
    }, withinMs);
    response.once('close', gone);
    if (response.destroyed) gone();
    else
      response.write(bytes, (cause) => {
        if (cause === null || cause === undefined) over();
        else gone();
      });
  });
}

/** Gives the pieces of a body to a response, one in a turn of the event loop: what else is to be done comes in between. */
export async function passOn(
  body: AsyncIterable<Uint8Array>,
  response: ServerResponse,
  before: (bytes: number) => Promise<void> | void = () => undefined,
  giving: Place['giving'] = () => () => undefined,
): Promise<void> {
  for await (const piece of body) {
    await before(piece.length);
    const given = giving(piece.length);
    await taken(response, piece);
    given();
    await turn();
  }
  response.end();
}

/** All of a small body. @throws AntirioError tooLarge */
export async function wholeBody(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of body) {
    size += part.length;
    if (size > maxBytes) throw new AntirioError('tooLarge', `an answer of over ${maxBytes} bytes`);
    parts.push(new Uint8Array(part));
  }
  return concatBytes(...parts);
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

export function createContentStreams({
  identity,
  clock,
  bytesPerSecond,
}: ContentStreamParts): ContentStreams {
  const places = createStreamPlaces(clock, PLACES);
  const pace = createPace(clock, bytesPerSecond);

  const pump = (body: AsyncIterable<Uint8Array>, response: ServerResponse, place: Place): Promise<void> => {
    let sent = 0;
    const before = (bytes: number): Promise<void> => {
      sent += bytes;
      if (sent > MAX_STREAM_BYTES) throw new AntirioError('tooLarge', 'a stream without end');
      return pace(bytes);
    };
    return passOn(body, response, before, (bytes) => place.giving(bytes));
  };
  const open = async (
    room: HttpPeer,
    { from: to, nonce, path }: Proven,
    request: IncomingMessage,
    response: ServerResponse,
    { challenge, streaming, place }: StreamSetting & { readonly place: Place },
  ): Promise<OtherAnswer | undefined> => {
    if (room.open === undefined) throw new AntirioError('unavailable', 'there is no content here');
    const headers: Record<string, string> = { [HEADERS.peer]: to };
    const asked = streaming === 'signed' ? ['accept'] : ['accept', 'accept-encoding'];
    for (const name of asked)
      if (text(request.headers[name]) !== '') headers[name] = text(request.headers[name]);
    const stream = await room.open(path, { headers, idleMs: IDLE_MS, transient: true });
    try {
      const { status } = stream;
      const contentType = text(stream.headers['content-type']);
      if (status !== 200) return { status, contentType, body: await wholeBody(stream.body, MAX_OTHER_BYTES) };
      const isSigned = streaming === 'signed';
      const contentEncoding = isSigned ? SIGNED_PIECES : text(stream.headers['content-encoding']);
      const head = { status, contentType, contentEncoding, path: request.url ?? '', to, nonce };
      response.writeHead(status, {
        'content-type': contentType,
        ...(contentEncoding === '' ? {} : { 'content-encoding': contentEncoding }),
        [HEADERS.challenge]: challenge,
        [HEADERS.stream]: signStreamHead(identity, head),
      });
      const body = isSigned ? signPieces(identity, { to, nonce }, stream.body) : stream.body;
      await pump(body, response, place);
      return undefined;
    } finally {
      stream.close();
    }
  };
  return {
    async serve(room, proven, request, response, setting) {
      const place = places.begin(proven.from, () => response.destroy());
      if (place === undefined) throw new AntirioError('busy', 'too much content is on its way to edges');
      try {
        return await open(room, proven, request, response, { ...setting, place });
      } finally {
        place.end();
      }
    },
  };
}
