import type { IncomingMessage } from 'node:http';
import type { Request, Response } from 'express';
import type { HttpRim } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { z } from 'zod';
import type { Files, Piece } from './files.ts';
import { fileName } from './shapes.ts';
import { answer, answers, page, pageQuery } from './views.ts';

export interface FileServed {
  readonly files: Files;
  readonly imageFolder: string;
  /** Who sends, or takes, nothing for so long is cut off, in milliseconds. */
  readonly stallMs: number;
}

const FILE = '/api/v3/storage/file';
const BYTES = 'application/octet-stream';

/** Bodies of these requests are read as they come. */
export const isUpload = ({ method, url }: IncomingMessage): boolean =>
  method === 'PUT' && url?.startsWith(`${FILE}/`) === true;

const params = z.object({
  fileName: fileName.refine((name) => !name.endsWith('.part'), 'must not end in .part').describe('file name'),
});

/** The images folder for whoever has no shell on the edge. */
export function addFileRoutes(rim: HttpRim, served: FileServed): void {
  const { files } = served;
  const listing = { summary: 'files of the images folder', query: pageQuery, answer: answers.files };
  rim.route('get', FILE, listing, ({ query }) => {
    const { totalCount, page: some } = page(files.list(), query);
    return answer({ totalCount, files: some });
  });
  const putting = {
    summary:
      'a file, or with Content-Range its next piece (then 202 until it is whole); Repr-Digest is checked',
    params,
    bodyType: BYTES,
    answer: answers.uploaded,
    status: 201,
  };
  rim.route('put', `${FILE}/:fileName`, putting, (input) => upload(input, served));
  const taking = { summary: 'the bytes of a file, of any range', params, answerType: BYTES };
  rim.route('get', `${FILE}/:fileName`, taking, (input) => download(input, served));
  const unfinished = { summary: 'how much of a file is uploaded', params, answer: answers.upload };
  rim.route('get', `${FILE}/:fileName/upload`, unfinished, (input) =>
    answer({ upload: files.uploaded(input.params.fileName) }),
  );
  const removing = { summary: 'remove a file, and what was uploaded of it', params, answer: answers.done };
  rim.route('delete', `${FILE}/:fileName`, removing, (input) => {
    files.remove(input.params.fileName);
    return answer({});
  });
}

interface Call {
  readonly params: z.output<typeof params>;
  readonly request: Request;
  readonly response: Response;
}

async function upload({ params: { fileName: name }, request, response }: Call, served: FileServed) {
  const piece = pieceOf(request, served.stallMs);
  const taken = await served.files.upload(name, piece);
  if ('sha256' in taken) return answer({ file: taken }, 201);
  response.status(202).json(answer({ upload: taken }, 202));
  return undefined;
}

/** @throws AntirioError invalidInput | unsupportedMediaType */
function pieceOf(request: Request, stallMs: number): Piece {
  requireBytes(request);
  const length = request.get('content-length');
  const size = length === undefined ? undefined : Number(length);
  const source = unlessStalled(request, stallMs);
  return {
    ...placeOf(request.get('content-range'), size),
    sha256: digestOf(request.get('repr-digest')),
    source,
  };
}

/** @throws AntirioError unsupportedMediaType */
function requireBytes(request: Request): void {
  const isCoded = (request.get('content-encoding') ?? 'identity') !== 'identity';
  const packed = request.is(['application/json', '+json', 'multipart/*']);
  if (isCoded || (typeof packed === 'string' && packed !== ''))
    throw new AntirioError('unsupportedMediaType', `the bytes themselves are wanted, as ${BYTES}`);
}

/** @throws AntirioError invalidInput */
function placeOf(range: string | undefined, size: number | undefined): Pick<Piece, 'from' | 'to' | 'total'> {
  if (range === undefined) return { from: 0, to: size, total: undefined };
  const [, first, last, whole] = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(range) ?? [];
  const [from, to, total] = [Number(first), Number(last) + 1, Number(whole)];
  const isRange = first !== undefined && from < to && to <= total;
  if (!isRange || (size ?? to - from) !== to - from)
    throw new AntirioError('invalidInput', `not the range of this body: ${range}`);
  return { from, to, total };
}

/** RFC 9530; other digests than SHA-256 say nothing here. @throws AntirioError invalidInput */
function digestOf(header: string | undefined): string | undefined {
  const found = /(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]*):/.exec(header ?? '')?.[1];
  if (found === undefined) return undefined;
  const bytes = Buffer.from(found, 'base64');
  if (bytes.length !== 32) throw new AntirioError('invalidInput', 'Repr-Digest: not a SHA-256');
  return bytes.toString('hex');
}

/**
 * Only the time in which the client is waited for counts, not that in which the disk is; and where this machine itself stood still,
 * what came meanwhile is read before anybody is called slow.
 *
 * @throws AntirioError unavailable where the body breaks off, or nothing comes any more.
 */
async function* unlessStalled(request: Request, stallMs: number): AsyncGenerator<Uint8Array> {
  const stalled = new AntirioError('unavailable', `nothing came for ${stallMs} ms`);
  let came = 0;
  const cutOff = (before: number): void => {
    if (came === before) request.destroy(stalled);
  };
  const wait = (): NodeJS.Timeout => setTimeout(() => setImmediate(cutOff, came), stallMs);
  let waiting = wait();
  try {
    // What ends early still has an answer to send.
    for await (const bytes of request.iterator({ destroyOnReturn: false })) {
      came += 1;
      clearTimeout(waiting);
      yield bytes as Uint8Array;
      waiting = wait();
    }
  } catch (cause) {
    throw cause === stalled ? stalled : new AntirioError('unavailable', 'the upload broke off', {}, cause);
  } finally {
    came += 1;
    clearTimeout(waiting);
  }
}

async function download({ params: { fileName: name }, response }: Call, served: FileServed) {
  served.files.get(name);
  response.setTimeout(served.stallMs, () => response.destroy());
  const headers = { 'content-type': BYTES, 'content-disposition': `attachment; filename="${name}"` };
  await new Promise<void>((resolve, reject) => {
    const options = { root: served.imageFolder, cacheControl: false, headers };
    response.sendFile(name, options, (error?: Error) => {
      // A client that has had enough is no failure of ours.
      if (error === undefined || response.headersSent) resolve();
      else reject(error);
    });
  });
  return undefined;
}
