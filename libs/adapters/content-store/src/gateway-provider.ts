import { AntirioError } from '@antirio/kernel';
import { httpPeer, type HttpPeer } from '@antirio/host';
import { MAX_BLOCK_BYTES, type CID } from './block.ts';
import type { BlockProvider } from './provider.ts';
import { ACCEPT_ENCODING, decodeBody, decodeStream } from './wire-coding.ts';

const RAW_HEADERS = { accept: 'application/vnd.ipld.raw', 'accept-encoding': ACCEPT_ENCODING };
const CAR_HEADERS = {
  accept: 'application/vnd.ipld.car; version=1; order=dfs; dups=n',
  'accept-encoding': ACCEPT_ENCODING,
};
const MAX_RETRY_AFTER_S = 60;

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** CARs of one provider that come at once: others wait, so that none of them is refused. */
const CARS_AT_ONCE = 3;

/** A trustless gateway as a provider of blocks, and of CARs where its peer gives streams; `prefix` is what stands before `/ipfs` in its paths. */
export function gatewayProvider(name: string, peer: HttpPeer, prefix = ''): BlockProvider {
  const places = createPlaces(CARS_AT_ONCE);
  const fetchCar = async (cid: CID, idleMs: number, signal?: AbortSignal) => {
    const leave = await places();
    try {
      const path = `${prefix}/ipfs/${cid.toString()}?format=car`;
      const answer = await openWithin(idleMs, signal, (either) =>
        peer.open?.(path, { headers: CAR_HEADERS, idleMs, signal: either, transient: true }),
      );
      if (answer === undefined) throw new AntirioError('unavailable', 'it gives no streams');
      try {
        requireOk(answer.status, answer.headers);
        return leaving(decodeStream(answer.body, answer.headers['content-encoding']), leave);
      } catch (error) {
        answer.close();
        throw error;
      }
    } catch (error) {
      leave();
      throw error;
    }
  };
  return {
    name,
    async fetchBlock(cid, timeoutMs) {
      const answer = await peer.call({
        path: `${prefix}/ipfs/${cid.toString()}?format=raw`,
        headers: RAW_HEADERS,
        timeoutMs,
        maxAnswerBytes: MAX_BLOCK_BYTES,
      });
      requireOk(answer.status, answer.headers);
      return decodeBody(answer.body, answer.headers['content-encoding'], MAX_BLOCK_BYTES);
    },
    ...(peer.open === undefined ? {} : { fetchCar }),
  };
}

/** A trustless gateway at a URL. */
export function urlProvider(name: string, url: string): BlockProvider & { close(): void } {
  const peer = httpPeer({ url });
  return { ...gatewayProvider(name, peer), close: () => peer.close() };
}

/** A head that comes in so small pieces that no connection is ever idle is not waited for either. */
async function openWithin<T>(
  withinMs: number,
  signal: AbortSignal | undefined,
  open: (signal: AbortSignal) => Promise<T> | undefined,
): Promise<T | undefined> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), withinMs);
  try {
    return await open(AbortSignal.any([late.signal, ...(signal === undefined ? [] : [signal])]));
  } finally {
    clearTimeout(timer);
  }
}

/** So many may be in; the others wait in turn. Gives what is to be called on leaving, once or more often. */
function createPlaces(count: number): () => Promise<() => void> {
  const waiting: (() => void)[] = [];
  let free = count;
  return async () => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    let isIn = true;
    return () => {
      if (!isIn) return;
      isIn = false;
      const next = waiting.shift();
      if (next === undefined) free++;
      else next();
    };
  };
}

async function* leaving(body: AsyncIterable<Uint8Array>, leave: () => void): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } finally {
    leave();
  }
}

/** Redirects are not followed: where a provider sends us is not where we meant to ask. */
function requireOk(status: number, headers: Headers): void {
  if (status === 200) return;
  if (status === 404 || status === 410) throw new AntirioError('notFound', `HTTP ${status}`, { status });
  if (status >= 300 && status < 400)
    throw new AntirioError('forbidden', `it redirects (HTTP ${status}), which is not followed`, { status });
  const retryAfter = headers['retry-after'];
  if (status === 429 || (status === 503 && retryAfter !== undefined))
    throw new AntirioError('busy', `HTTP ${status}`, { status, retryAfterMs: waitOf(retryAfter) });
  throw new AntirioError('unavailable', `HTTP ${status}`, { status });
}

/** Milliseconds; a second where a date, or nothing, is said. */
function waitOf(retryAfter: string | string[] | undefined): number {
  const seconds = Number(retryAfter ?? 1);
  return Number.isNaN(seconds) ? 1000 : Math.min(MAX_RETRY_AFTER_S, Math.max(0, seconds)) * 1000;
}
