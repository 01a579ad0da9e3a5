import { AntirioError } from '@antirio/kernel';
import { httpPeer, openHttpStream, type HttpPeer } from '@antirio/host';
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

/** A trustless gateway as a provider of single blocks; `prefix` is what stands before `/ipfs` in its paths. */
export function gatewayProvider(name: string, peer: HttpPeer, prefix = ''): BlockProvider {
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
  };
}

/** A trustless gateway at a URL, of which whole DAGs can be had in one answer. */
export function urlProvider(name: string, url: string): BlockProvider & { close(): void } {
  const peer = httpPeer({ url });
  const base = url.replace(/\/$/, '');
  return {
    ...gatewayProvider(name, peer),
    async fetchCar(cid: CID, idleMs: number, signal?: AbortSignal) {
      const wanted = `${base}/ipfs/${cid.toString()}?format=car`;
      const answer = await openHttpStream(wanted, { headers: CAR_HEADERS, idleMs, signal, transient: true });
      try {
        requireOk(answer.status, answer.headers);
        return decodeStream(answer.body, answer.headers['content-encoding']);
      } catch (error) {
        answer.close();
        throw error;
      }
    },
    close: () => {
      peer.close();
    },
  };
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
