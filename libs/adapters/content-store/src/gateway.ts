import { pipeline } from 'node:stream/promises';
import { Readable, type Transform } from 'node:stream';
import { promisify } from 'node:util';
import { constants, createZstdCompress, zstdCompress } from 'node:zlib';
import { Router, type NextFunction, type Request, type Response } from 'express';
import { AntirioError, describeError, isAntirioError, sha256Hex } from '@antirio/kernel';
import { API_VERSION } from '@antirio/host';
import { inlineBytes, isSupported, readBlock, type BlockSource, type CID } from './block.ts';
import { byteRangeOf } from './byte-range.ts';
import { carOf } from './car.ts';
import { resolvePath, type ResolvedPath } from './content-path.ts';
import { defaultDagLimits, type DagLimits } from './dag.ts';
import { openScope, type Blocks } from './dag-scope.ts';
import { CAR_TYPE, RAW_TYPE, readAsk, type GatewayAsk } from './gateway-ask.ts';

export interface GatewayOptions {
  /** Of one CAR. */
  readonly limits?: DagLimits;
  /** Requests at once; more are answered 429 (default 128). */
  readonly atOnce?: number;
  /** For finding what an answer begins with, in milliseconds; then 504 (default 10000). */
  readonly withinMs?: number;
  /** A client that takes nothing for so long, in milliseconds, is cut off (default 30000). */
  readonly stallMs?: number;
  /** What is here but not given out: 410. */
  readonly isDenied?: (cid: CID) => boolean;
  /** Told how many bytes of content went out. */
  readonly onServed?: (bytes: number) => void;
}

type Served = Required<Omit<GatewayOptions, 'isDenied' | 'onServed'>> & GatewayOptions;
type CarAsk = Extract<GatewayAsk, { format: 'car' }>;

const IMMUTABLE = 'public, max-age=29030400, immutable';
const RETRY_AFTER_S = 1;
const OF_CONTENT = [
  'etag',
  'cache-control',
  'content-disposition',
  'content-location',
  'accept-ranges',
  'x-ipfs-roots',
];
/** Shorter blocks are not worth compressing. */
const COMPRESS_FROM = 1024;
/** What is looked at to find out whether a CAR is worth compressing: most of it is as its beginning. */
const SAMPLE = 256 << 10;
const WORTH_IT = 0.9;
const ZSTD = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/**
 * A trustless gateway, to be mounted at `/ipfs`: `GET` and `HEAD` `/{cid}[/{path}]` for raw blocks and CARs, as the Trustless
 * Gateway and Path Gateway specifications of IPFS have it (specs.ipfs.tech/http-gateways). Blocks go out as they are read and
 * verified; a DAG that breaks off in the middle ends the connection, never the CAR. Bodies are compressed (zstd) for
 * clients that take it; what is stored never is.
 */
export function createGateway(source: BlockSource, options: GatewayOptions = {}): Router {
  const served: Served = {
    limits: defaultDagLimits,
    atOnce: 128,
    withinMs: 10_000,
    stallMs: 30_000,
    ...options,
  };
  let underWay = 0;
  const router = Router();
  router.use(async (request: Request, response: Response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.set('allow', 'GET, HEAD');
      throw new AntirioError('methodNotAllowed', `no ${request.method} here: blocks are read only`);
    }
    if (underWay >= served.atOnce) throw new AntirioError('busy', `over ${served.atOnce} requests at once`);
    underWay++;
    try {
      await answer(source, request, response, served);
    } finally {
      underWay--;
    }
  });
  router.use(tellFailure);
  return router;
}

/** 502 and 504 are a gateway's own, and with 429 they say when to come again. */
function tellFailure(error: unknown, _request: Request, response: Response, next: NextFunction): void {
  const isPassing = (['busy', 'timeout', 'unavailable'] as const).some((code) => isAntirioError(error, code));
  if (!response.headersSent) {
    // What was to be said of the content is not true of an error, least of all that it never changes.
    for (const name of OF_CONTENT) response.removeHeader(name);
    if (isPassing) response.set('retry-after', String(RETRY_AFTER_S));
  }
  if (!isAntirioError(error, 'unavailable') || response.headersSent) next(error);
  else response.status(502).json({ apiVersion: API_VERSION, message: describeError(error), statusCode: 502 });
}

async function answer(
  source: BlockSource,
  request: Request,
  response: Response,
  served: Served,
): Promise<void> {
  const ask = readAsk(request);
  // A service worker for all of a CID's origin would be one for everybody's content (Path Gateway, `Service-Worker`).
  if (request.get('service-worker') === 'script' && ask.segments.length === 0)
    throw new AntirioError('invalidInput', 'no service worker for a whole CID');
  if (served.isDenied?.(ask.cid) === true) throw new AntirioError('gone', `${ask.path} is not given out`);
  if (!isHere(source, ask.cid)) {
    if (/(?:^|,)\s*only-if-cached\s*(?:,|$)/i.test(request.get('cache-control') ?? '')) {
      response.status(412).end();
      return;
    }
    throw new AntirioError('notFound', `no block ${ask.cid.toString()} here`, { cid: ask.cid.toString() });
  }
  if (ask.format === 'raw') await answerRaw(source, ask, request, response, served);
  else await answerCar(source, ask, request, response, served);
}

const isHere = (source: BlockSource, cid: CID): boolean =>
  inlineBytes(cid) !== undefined || (isSupported(cid) && source.has(cid));

async function within<T>(work: Promise<T>, withinMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new AntirioError('timeout', `nothing was found within ${withinMs} ms`));
    }, withinMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function setHeaders(response: Response, ask: GatewayAsk, type: string, etag: string): void {
  response.set({
    'content-type': type,
    'content-disposition': disposition(ask),
    etag,
    'cache-control': IMMUTABLE,
    'x-content-type-options': 'nosniff',
    'x-ipfs-path': ask.path,
    vary: 'accept, accept-encoding',
    ...(ask.negotiated ? { 'content-location': locationOf(ask) } : {}),
  });
}

/** Names of other alphabets in both forms (RFC 6266, RFC 8187). */
function disposition({ cid, format, fileName }: GatewayAsk): string {
  const name =
    fileName === undefined || fileName === ''
      ? `${cid.toString()}.${format === 'raw' ? 'bin' : 'car'}`
      : fileName;
  const plain = name.replace(/[^\x20-\x7e]|["\\]/g, '_');
  const encoded = encodeURIComponent(name.toWellFormed()).replace(
    /['()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${plain}"${plain === name ? '' : `; filename*=UTF-8''${encoded}`}`;
}

/** The address at which this answer is to be had whatever `Accept` says. */
function locationOf(ask: GatewayAsk): string {
  const name =
    ask.fileName === undefined ? '' : `&filename=${encodeURIComponent(ask.fileName.toWellFormed())}`;
  if (ask.format === 'raw') return `${ask.path}?format=raw${name}`;
  const { scope, entityBytes, duplicates } = ask;
  const range = entityBytes === undefined ? '' : `&entity-bytes=${entityBytes.from}:${entityBytes.to ?? '*'}`;
  const dups = duplicates ? 'y' : 'n';
  return `${ask.path}?format=car&dag-scope=${scope}${range}&car-version=1&car-order=dfs&car-dups=${dups}${name}`;
}

/** Whether the client has it already; then that is the answer. */
function isKnown(request: Request, response: Response): boolean {
  if (!request.fresh) return false;
  for (const name of ['content-type', 'content-disposition', 'accept-ranges', 'content-range'])
    response.removeHeader(name);
  response.status(304).end();
  return true;
}

const takesZstd = (request: Request): boolean =>
  (request.get('accept-encoding') ?? '').split(',').some((part) => {
    const [coding = '', ...parameters] = part.split(';').map((text) => text.trim().toLowerCase());
    return coding === 'zstd' && !parameters.some((text) => /^q=0(?:\.0*)?$/.test(text));
  });

async function answerRaw(
  source: BlockSource,
  ask: GatewayAsk,
  request: Request,
  response: Response,
  served: Served,
): Promise<void> {
  const whole = await within(readBlock(source, ask.cid), served.withinMs);
  const tag = `${ask.cid.toString()}.raw`;
  const range = request.method === 'GET' ? byteRangeOf(request, `"${tag}"`, whole.length) : undefined;
  if (range === 'unsatisfiable') {
    response.set('content-range', `bytes */${whole.length}`);
    throw new AntirioError('rangeNotSatisfiable', `the block has ${whole.length} bytes`);
  }
  setHeaders(
    response,
    ask,
    RAW_TYPE,
    range === undefined ? `"${tag}"` : `"${tag}.${range.from}-${range.to}"`,
  );
  response.set({ 'accept-ranges': 'bytes', 'x-ipfs-roots': ask.cid.toString() });
  if (isKnown(request, response)) return;
  if (range !== undefined) {
    response.status(206).set('content-range', `bytes ${range.from}-${range.to}/${whole.length}`);
    sendBytes(response, whole.subarray(range.from, range.to + 1), served);
  } else if (request.method === 'GET' && whole.length >= COMPRESS_FROM && takesZstd(request)) {
    await sendCompressed(response, whole, served);
  } else sendBytes(response, whole, served);
}

async function sendCompressed(response: Response, whole: Uint8Array, served: Served): Promise<void> {
  const compressed = await promisify(zstdCompress)(whole, ZSTD);
  if (compressed.length < whole.length) {
    // The same content in other bytes: no longer the strong tag of the block's own.
    response.set({ 'content-encoding': 'zstd', etag: `W/${response.get('etag') ?? ''}` });
    response.removeHeader('accept-ranges');
    sendBytes(response, compressed, served);
  } else sendBytes(response, whole, served);
}

function sendBytes(response: Response, bytes: Uint8Array, { onServed }: Served): void {
  response.set('content-length', String(bytes.length));
  if (response.req.method === 'HEAD') {
    response.end();
    return;
  }
  onServed?.(bytes.length);
  response.end(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}

async function answerCar(
  source: BlockSource,
  ask: CarAsk,
  request: Request,
  response: Response,
  served: Served,
): Promise<void> {
  const open = async (): Promise<{ path: ResolvedPath; blocks: Blocks }> => {
    const path = await resolvePath(source, ask.cid, ask.segments);
    const { scope, entityBytes, duplicates } = ask;
    const { limits } = served;
    const options = { scope, entityBytes, duplicates, before: path.passed, limits };
    return { path, blocks: await openScope(source, path.cid, options) };
  };
  const { path, blocks } = await within(open(), served.withinMs);
  const dups = ask.duplicates ? 'y' : 'n';
  setHeaders(response, ask, `${CAR_TYPE}; version=1; order=dfs; dups=${dups}`, carTag(ask));
  response.set({ 'accept-ranges': 'none', 'x-ipfs-roots': path.roots.map(String).join(',') });
  if (isKnown(request, response)) return;
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  await sendCar(carOf(ask.cid, blocks), request, response, served);
}

/** The same blocks for the same question, but not byte for byte between versions of this software: a weak tag. */
function carTag(ask: CarAsk): string {
  const { scope, entityBytes, duplicates, segments } = ask;
  const parts = [ask.cid.toString(), 'car', `dfs-${duplicates ? 'y' : 'n'}`, scope];
  if (entityBytes !== undefined) parts.push(`${entityBytes.from}_${entityBytes.to ?? 'end'}`);
  if (segments.length > 0) parts.push(sha256Hex(Buffer.from(JSON.stringify(segments))).slice(0, 16));
  return `W/"${parts.join('.')}"`;
}

async function sendCar(
  car: AsyncGenerator<Uint8Array>,
  request: Request,
  response: Response,
  served: Served,
): Promise<void> {
  const parts: (Readable | Transform)[] = [];
  if (takesZstd(request)) {
    const first = await beginningOf(car, SAMPLE);
    parts.push(Readable.from(counted(joined(first, car), served)));
    const sample = Buffer.concat(first);
    if ((await promisify(zstdCompress)(sample, ZSTD)).length < sample.length * WORTH_IT) {
      response.set('content-encoding', 'zstd');
      parts.push(createZstdCompress({ ...ZSTD, chunkSize: SAMPLE }));
    }
  } else parts.push(Readable.from(counted(car, served)));
  // Of a whole connection that takes nothing, not of the time that a large CAR needs.
  response.setTimeout(served.stallMs, () => response.destroy());
  try {
    await pipeline([...parts, response]);
  } catch (error) {
    // A client that has had enough is no failure of ours.
    if ((error as NodeJS.ErrnoException).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
  } finally {
    response.setTimeout(0);
  }
}

/** So much of a stream, whose rest can still be read. */
async function beginningOf(source: AsyncGenerator<Uint8Array>, bytes: number): Promise<Uint8Array[]> {
  const parts: Uint8Array[] = [];
  for (let got = 0; got < bytes;) {
    const next = await source.next();
    if (next.done === true) break;
    parts.push(next.value);
    got += next.value.length;
  }
  return parts;
}

async function* joined(
  first: readonly Uint8Array[],
  rest: AsyncGenerator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield* first;
  yield* rest;
}

async function* counted(source: AsyncIterable<Uint8Array>, { onServed }: Served): AsyncGenerator<Uint8Array> {
  for await (const bytes of source) {
    onServed?.(bytes.length);
    yield bytes;
  }
}
