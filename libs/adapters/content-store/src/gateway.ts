import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import { Router, type Request, type Response } from 'express';
import { AntirioError } from '@antirio/kernel';
import { DAG_PB, decodeCid, isSupported, type BlockSource, type CID } from './block.ts';
import { carOf } from './car.ts';
import { decodeNode, walkDag, type DagLimits } from './dag.ts';
import { decodeData } from './unixfs-data.ts';

export interface GatewayOptions {
  /** Of one CAR. */
  readonly limits?: DagLimits;
  /** Told how many bytes of content went out. */
  readonly onServed?: (bytes: number) => void;
}

type Format = 'raw' | 'car';
type Scope = 'block' | 'entity' | 'all';

const RAW_TYPE = 'application/vnd.ipld.raw';
const CAR_TYPE = 'application/vnd.ipld.car';
const CAR_ANSWER = `${CAR_TYPE}; version=1; order=dfs; dups=n`;
/** Identity CID of no bytes: what clients ask for to find out whether this is a trustless gateway. */
const PROBE = 'bafkqaaa';

/**
 * A trustless gateway, to be mounted at `/ipfs`: `GET` and `HEAD` `/{cid}?format=raw|car` with content negotiation.
 * Blocks go out as they are read and verified; a DAG that breaks off in the middle ends the connection, never the CAR.
 * Source: Trustless Gateway specification of IPFS (specs.ipfs.tech/http-gateways/trustless-gateway).
 */
export function createGateway(source: BlockSource, options: GatewayOptions = {}): Router {
  const router = Router();
  router.get('/:cid', async (request, response) => {
    const format = formatOf(request);
    const cid = decodeCid(request.params.cid);
    const scope = scopeOf(request, format);
    if (!isProbe(cid) && !(isSupported(cid) && source.has(cid)))
      throw new AntirioError('notFound', `no block ${cid.toString()} here`, { cid: cid.toString() });
    setHeaders(response, cid, format, scope);
    if (request.fresh) response.status(304).end();
    else if (format === 'raw') await sendRaw(source, cid, response, options);
    else await sendCar(source, cid, scope, response, options);
  });
  router.get('/{*path}', (request) => {
    decodeCid(request.path.split('/')[1] ?? '');
    throw new AntirioError('notImplemented', 'paths below a CID are not resolved here');
  });
  return router;
}

const isProbe = (cid: CID): boolean => cid.toString() === PROBE;

/** A query parameter; one that is given twice is as good as empty. */
function asked(request: Request, name: string): string | undefined {
  const value = request.query[name];
  return value === undefined || typeof value === 'string' ? value : '';
}

/** @throws AntirioError invalidInput when nothing is asked for, notAcceptable when it is nothing that is served here. */
function formatOf(request: Request): Format {
  const format = asked(request, 'format');
  if (format === 'raw' || format === 'car') return format;
  if (format !== undefined) throw notAcceptable(`format=${format}`);
  return formatAccepted(request.get('accept')?.trim() ?? '');
}

function formatAccepted(accept: string): Format {
  if (accept === '' || accept === '*/*')
    throw new AntirioError(
      'invalidInput',
      `ask for a format: ?format=raw|car, or Accept: ${RAW_TYPE} or ${CAR_TYPE}`,
    );
  for (const range of rangesOf(accept)) {
    if (range.type === RAW_TYPE) return 'raw';
    if (range.type === CAR_TYPE && isOurCar(range.parameters)) return 'car';
  }
  throw notAcceptable(`Accept: ${accept}`);
}

interface MediaRange {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** Media ranges of an Accept header (RFC 9110, section 12.5.1), the most wanted first. */
function rangesOf(accept: string): MediaRange[] {
  const ranges = accept.split(',').map((text) => {
    const [type = '', ...rest] = text.split(';').map((part) => part.trim().toLowerCase());
    const parameters = new Map(
      rest.map((part): [string, string] => {
        const [name = '', value = ''] = part.split('=', 2);
        return [name.trim(), value.trim()];
      }),
    );
    const weight = Number(parameters.get('q') ?? '1');
    return { type, parameters, weight: Number.isNaN(weight) ? 0 : weight };
  });
  return ranges.filter((range) => range.weight > 0).sort((a, b) => b.weight - a.weight);
}

function isOurCar(parameters: ReadonlyMap<string, string>): boolean {
  const ours: Readonly<Record<string, readonly string[]>> = {
    version: ['1'],
    order: ['dfs', 'unk', ''],
    dups: ['n', ''],
  };
  return Object.entries(ours).every(([name, values]) =>
    values.includes(parameters.get(name) ?? values[0] ?? ''),
  );
}

function scopeOf(request: Request, format: Format): Scope {
  if (format === 'raw') return 'block';
  if (asked(request, 'entity-bytes') !== undefined)
    throw new AntirioError('notImplemented', 'entity-bytes is not served here: fetch the DAG or its blocks');
  const parameters = new Map<string, string>();
  for (const name of ['version', 'order', 'dups']) {
    const value = asked(request, `car-${name}`);
    if (value !== undefined) parameters.set(name, value);
  }
  if (!isOurCar(parameters)) throw notAcceptable('CAR parameters');
  const scope = asked(request, 'dag-scope') ?? 'all';
  if (scope === 'block' || scope === 'entity' || scope === 'all') return scope;
  throw new AntirioError('invalidInput', `dag-scope is block, entity or all, not ${JSON.stringify(scope)}`);
}

function notAcceptable(what: string): AntirioError {
  return new AntirioError('notAcceptable', `no answer for ${what}: served are ${RAW_TYPE} and ${CAR_ANSWER}`);
}

function setHeaders(response: Response, cid: CID, format: Format, scope: Scope): void {
  const name = cid.toString();
  const file = format === 'raw' ? `${name}.bin` : `${name}.car`;
  response.set({
    'content-type': format === 'raw' ? RAW_TYPE : CAR_ANSWER,
    'content-disposition': `attachment; filename="${file}"`,
    'content-location': `/ipfs/${name}?format=${format}`,
    // A CAR is the same for the same blocks, but not byte for byte between versions of this software: a weak tag.
    etag: format === 'raw' ? `"${name}.raw"` : `W/"${name}.car.dfs.n.${scope}"`,
    'cache-control': 'public, max-age=29030400, immutable',
    'x-content-type-options': 'nosniff',
    'x-ipfs-path': `/ipfs/${name}`,
    vary: 'accept',
  });
}

async function sendRaw(
  source: BlockSource,
  cid: CID,
  response: Response,
  options: GatewayOptions,
): Promise<void> {
  const bytes = isProbe(cid) ? new Uint8Array() : await source.get(cid);
  response.set('content-length', String(bytes.length));
  if (response.req.method !== 'HEAD') options.onServed?.(bytes.length);
  // express leaves the body of a HEAD request out
  response.send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}

async function sendCar(
  source: BlockSource,
  cid: CID,
  scope: Scope,
  response: Response,
  options: GatewayOptions,
): Promise<void> {
  const blocks = isProbe(cid) ? none() : await blocksOf(source, cid, scope, options);
  if (response.req.method === 'HEAD') {
    response.end();
    return;
  }
  try {
    await pipeline(Readable.from(counted(carOf(cid, blocks), options)), response);
  } catch (error) {
    // A client that has had enough is no failure of ours.
    if ((error as NodeJS.ErrnoException).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
  }
}

type Blocks = AsyncGenerator<{ cid: CID; bytes: Uint8Array }>;

async function* none(): Blocks {
  // a DAG whose only block is in its name
}

/** The root is read before anything is answered, so that a root that is missing or damaged still gets its status. */
async function blocksOf(
  source: BlockSource,
  cid: CID,
  scope: Scope,
  options: GatewayOptions,
): Promise<Blocks> {
  const root = { cid, bytes: await source.get(cid) };
  const rootAlone = scope === 'block' || (scope === 'entity' && isDirectory(cid, root.bytes));
  return rootAlone ? one(root) : walkDag(source, cid, options.limits);
}

async function* one(block: { cid: CID; bytes: Uint8Array }): Blocks {
  yield block;
}

/** Of a directory the entity is its list of names, of a file all that is in it. */
function isDirectory(cid: CID, bytes: Uint8Array): boolean {
  return cid.code === DAG_PB && decodeData(cid, decodeNode(cid, bytes).Data).type.endsWith('directory');
}

async function* counted(
  source: AsyncIterable<Uint8Array>,
  options: GatewayOptions,
): AsyncGenerator<Uint8Array> {
  for await (const bytes of source) {
    options.onServed?.(bytes.length);
    yield bytes;
  }
}
