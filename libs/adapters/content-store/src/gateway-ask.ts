import type { Request } from 'express';
import { AntirioError } from '@antirio/kernel';
import { decodeCid, type CID } from './block.ts';
import type { DagScope, EntityBytes } from './dag-scope.ts';

export const RAW_TYPE = 'application/vnd.ipld.raw';
export const CAR_TYPE = 'application/vnd.ipld.car';
const IPNS_TYPE = 'application/vnd.ipfs.ipns-record';
const ANYTHING = new Set(['*/*', 'application/*']);
/** Names in a path. */
const MAX_SEGMENTS = 64;

/** What a request to a trustless gateway asks for. */
export type GatewayAsk = {
  readonly cid: CID;
  readonly segments: readonly string[];
  /** As it was asked for, from `/ipfs` on. */
  readonly path: string;
  readonly fileName: string | undefined;
  /** Whether caches need to be told that the format is part of the address. */
  readonly negotiated: boolean;
} & ({ readonly format: 'raw' } | ({ readonly format: 'car' } & CarAsk));

interface CarAsk {
  readonly scope: DagScope;
  readonly entityBytes: EntityBytes | undefined;
  readonly duplicates: boolean;
}

/** @throws AntirioError invalidInput | notAcceptable (Trustless Gateway specification, `HTTP Request`) */
export function readAsk(request: Request): GatewayAsk {
  const { cid, segments, path } = pathOf(request.path);
  const accepted = rangesOf(request.get('accept')?.trim() ?? '');
  const format = formatOf(parameter(request, 'format'), accepted);
  const said = accepted.find(({ type }) => type === RAW_TYPE || type === CAR_TYPE)?.type;
  const negotiated =
    parameter(request, 'format') === undefined ||
    (said !== undefined && said !== (format === 'raw' ? RAW_TYPE : CAR_TYPE));
  const ask = { cid, segments, path, negotiated, fileName: parameter(request, 'filename') };
  if (format === 'car') return { ...ask, format, ...carOf(request, accepted) };
  if (segments.length > 0)
    throw new AntirioError('invalidInput', 'a raw block is asked for by its CID alone, without a path');
  return { ...ask, format };
}

function pathOf(text: string): { cid: CID; segments: string[]; path: string } {
  const [first = '', ...rest] = text.split('/').filter((part) => part !== '');
  if (rest.length > MAX_SEGMENTS)
    throw new AntirioError('invalidInput', `a path of over ${MAX_SEGMENTS} names`);
  try {
    const segments = rest.map((part) => decodeURIComponent(part));
    return { cid: decodeCid(first), segments, path: `/ipfs${text}` };
  } catch (cause) {
    if (cause instanceof AntirioError) throw cause;
    throw new AntirioError('invalidInput', 'a path with a malformed % escape', {}, cause);
  }
}

/** A query parameter; one that is given twice is as good as empty. */
function parameter(request: Request, name: string): string | undefined {
  const value = request.query[name];
  return value === undefined || typeof value === 'string' ? value : '';
}

function formatOf(format: string | undefined, accepted: readonly MediaRange[]): 'raw' | 'car' {
  if (format === 'raw' || format === 'car') return format;
  if (format === 'ipns-record') throw notIpns();
  if (format !== undefined) throw notAcceptable(`format=${format}`);
  return formatAccepted(accepted);
}

function formatAccepted(accepted: readonly MediaRange[]): 'raw' | 'car' {
  for (const { type, parameters } of accepted) {
    if (type === RAW_TYPE) return 'raw';
    if (type === CAR_TYPE && isServed(parameters)) return 'car';
  }
  if (accepted.some(({ type }) => type === IPNS_TYPE)) throw notIpns();
  if (accepted.length > 0 && !accepted.some(({ type }) => ANYTHING.has(type)))
    throw notAcceptable(`Accept: ${accepted.map(({ type }) => type).join(', ')}`);
  throw new AntirioError(
    'invalidInput',
    `ask for a format: ?format=raw|car, or Accept: ${RAW_TYPE} or ${CAR_TYPE}`,
  );
}

const notIpns = (): AntirioError =>
  new AntirioError('invalidInput', 'IPNS records are of names below /ipns, not of CIDs');

function notAcceptable(what: string): AntirioError {
  return new AntirioError(
    'notAcceptable',
    `no answer for ${what}: served are ${RAW_TYPE} and ${CAR_TYPE}; version=1; order=dfs; dups=y|n`,
  );
}

interface MediaRange {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** Media ranges of an Accept header (RFC 9110, section 12.5.1), the most wanted first. */
function rangesOf(accept: string): MediaRange[] {
  const ranges = accept
    .split(',')
    .filter((text) => text.trim() !== '')
    .map((text) => {
      const [type = '', ...rest] = text.split(';').map((part) => part.trim().toLowerCase());
      const parameters = new Map(
        rest.map((part): [string, string] => {
          const [name = '', value = ''] = part.split('=', 2);
          return [name.trim(), value.trim().replace(/^"(.*)"$/, '$1')];
        }),
      );
      const weight = Number(parameters.get('q') ?? '1');
      return { type, parameters, weight: Number.isNaN(weight) ? 0 : weight };
    });
  return ranges.filter((range) => range.weight > 0).sort((a, b) => b.weight - a.weight);
}

const SERVED: Readonly<Record<string, readonly string[]>> = {
  version: ['1', ''],
  order: ['dfs', 'unk', ''],
  dups: ['n', 'y', ''],
};

const isServed = (parameters: ReadonlyMap<string, string>): boolean =>
  Object.entries(SERVED).every(([name, values]) => values.includes(parameters.get(name) ?? ''));

function carOf(request: Request, accepted: readonly MediaRange[]): CarAsk {
  // Where the format is in the query, what Accept says of CARs still holds, as far as it can be served.
  const range = accepted.find(({ type, parameters }) => type === CAR_TYPE && isServed(parameters));
  const parameters = new Map(range?.parameters);
  for (const name of Object.keys(SERVED)) {
    const value = parameter(request, `car-${name}`);
    if (value !== undefined) parameters.set(name, value);
  }
  if (!isServed(parameters)) throw notAcceptable('CAR parameters');
  const entityBytes = entityBytesOf(parameter(request, 'entity-bytes'));
  const scope = entityBytes === undefined ? (parameter(request, 'dag-scope') ?? 'all') : 'entity';
  if (scope !== 'block' && scope !== 'entity' && scope !== 'all')
    throw new AntirioError('invalidInput', `dag-scope is block, entity or all, not ${JSON.stringify(scope)}`);
  return { scope, entityBytes, duplicates: parameters.get('dups') === 'y' };
}

function entityBytesOf(text: string | undefined): EntityBytes | undefined {
  if (text === undefined) return undefined;
  const [, first, last] = /^(-?\d+):(-?\d+|\*)$/.exec(text) ?? [];
  const from = Number(first);
  const to = last === '*' ? undefined : Number(last);
  if (Number.isSafeInteger(from) && (to === undefined || isEnd(from, to))) return { from, to };
  throw new AntirioError('invalidInput', `entity-bytes is from:to, both bytes or to *, not ${text}`);
}

/** Whether a range may end there; counted from different ends only the size of the file tells. */
const isEnd = (from: number, to: number): boolean =>
  Number.isSafeInteger(to) && (from < 0 !== to < 0 || from <= to);
