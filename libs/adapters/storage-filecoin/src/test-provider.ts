import { randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, rm, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import { CID } from 'multiformats';
import type { Hex } from 'viem';
import { parsePieceCid } from './piece-cid.ts';
import { openPieceHasher } from './piece-hasher.ts';
import type { TestChain, TestRegistered } from './test-chain.ts';

/** Where one answer is lost: what was asked has been done. */
export type LostAnswer = 'finalize' | 'create' | 'add' | 'remove';

interface Answer {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
}

const json = (body: unknown): Answer => ({
  status: 200,
  headers: { 'content-type': 'application/json' },
  body,
});
const refuse = (status: number, body: string): Answer => ({ status, body });

/**
 * A storage provider as its HTTP interface has it (Curio's PDP API): keeps bytes in files, makes the CID of every piece itself, and
 * sends what it is asked to sign for to the test chain. What it refuses, and with which status, is what Curio does.
 */
export class TestProvider {
  readonly #folder: string;
  readonly #chain: TestChain;
  readonly #server: Server;
  readonly #uploads = new Map<string, { file: string; pieceCid: string } | undefined>();
  readonly #pieces = new Map<string, string>();
  #registered: TestRegistered | undefined;
  /** Calls by what they ask for. */
  readonly asked = new Map<string, number>();
  /** Bytes of pieces that came. */
  received = 0;
  /** Bytes of pieces that went. */
  given = 0;
  lose: LostAnswer | undefined;
  /** Bytes after which the next retrieval breaks off. */
  breakAfter: number | undefined;
  knowsRanges = true;
  hasRoom = true;
  url = '';

  constructor(chain: TestChain, folder: string) {
    this.#chain = chain;
    this.#folder = folder;
    this.#server = createServer((incoming, answer) => {
      this.#serve(incoming, answer).catch(() => answer.destroy());
    });
  }

  /** Registered under its own address, or one that leads to it. */
  static async open(
    chain: TestChain,
    folder: string,
    by?: (url: string) => Promise<string>,
  ): Promise<TestProvider> {
    const provider = new TestProvider(chain, folder);
    await mkdir(folder, { recursive: true });
    provider.#server.listen(0, '127.0.0.1');
    await once(provider.#server, 'listening');
    provider.url = `http://127.0.0.1:${(provider.#server.address() as AddressInfo).port}`;
    provider.#registered = chain.register((await by?.(provider.url)) ?? provider.url);
    return provider;
  }

  get id(): string {
    return String(this.#registered?.id);
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  fileOf(pieceCid: string): string {
    return this.#pieces.get(pieceCid) ?? '';
  }

  /** Throws away what is in no data set. */
  async collect(): Promise<void> {
    const kept = new Set(
      this.#chain.dataSets.flatMap(({ pieces }) =>
        pieces.filter(({ isRemoved }) => !isRemoved).map(({ cid }) => cid as string),
      ),
    );
    for (const [cid, file] of this.#pieces) {
      if (kept.has(hexOf(cid))) continue;
      this.#pieces.delete(cid);
      await rm(file);
    }
  }

  async #serve(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(incoming.url ?? '/', this.url);
    const [what, given] = await this.#answer(incoming, pathname, searchParams);
    this.asked.set(what, (this.asked.get(what) ?? 0) + 1);
    if (what === 'retrieve' && given.status === 200) return this.#give(incoming, answer, pathname);
    if (this.lose === what) {
      this.lose = undefined;
      answer.destroy();
      return;
    }
    const { status, headers = {}, body } = given;
    answer
      .writeHead(status, headers)
      .end(typeof body === 'string' || body === undefined ? body : JSON.stringify(body));
  }

  async #answer(incoming: IncomingMessage, path: string, query: URLSearchParams): Promise<[string, Answer]> {
    const { method } = incoming;
    const parts = path.split('/').filter((part) => part !== '');
    const route = `${method} ${parts.map((part) => (/^(\d+|0x[0-9a-f]+|[0-9a-f-]{36}|bafk\w+)$/.test(part) ? '*' : part)).join('/')}`;
    const answer = this.#routes[route];
    if (answer === undefined) return ['unknown', refuse(404, '404 page not found')];
    const [what, work] = answer;
    return [what, await work({ parts, query, incoming })];
  }

  readonly #routes: Readonly<Record<string, readonly [string, (asked: Asked) => Answer | Promise<Answer>]>> =
    {
      'GET pdp/ping': ['ping', () => ({ status: 200 })],
      'GET pdp/piece': ['find', ({ query }) => this.#find(query.get('pieceCid') ?? '')],
      'POST pdp/piece/uploads': ['begin', () => this.#begin()],
      'PUT pdp/piece/uploads/*': ['upload', ({ parts, incoming }) => this.#take(parts[3] ?? '', incoming)],
      'POST pdp/piece/uploads/*': [
        'finalize',
        async ({ parts, incoming }) => this.#finalize(parts[3] ?? '', await bodyOf(incoming)),
      ],
      'POST pdp/data-sets': ['create', async ({ incoming }) => this.#create(await bodyOf(incoming))],
      'GET pdp/data-sets/created/*': ['created', ({ parts }) => this.#created(parts[3] as Hex)],
      'POST pdp/data-sets/*/pieces': [
        'add',
        async ({ parts, incoming }) => this.#add(BigInt(parts[2] ?? ''), await bodyOf(incoming)),
      ],
      'GET pdp/data-sets/*/pieces/added/*': [
        'added',
        ({ parts }) => this.#added(BigInt(parts[2] ?? ''), parts[5] as Hex),
      ],
      'DELETE pdp/data-sets/*/pieces/*': [
        'remove',
        async ({ parts, incoming }) =>
          this.#remove(BigInt(parts[2] ?? ''), BigInt(parts[4] ?? ''), await bodyOf(incoming)),
      ],
      'GET piece/*': ['retrieve', ({ parts }) => this.#find(parts[1] ?? '')],
    };

  #find(pieceCid: string): Answer {
    try {
      parsePieceCid(pieceCid);
    } catch (error) {
      return refuse(400, `Failed to parse CID: ${String(error)}`);
    }
    return this.#pieces.has(pieceCid) ? json({ pieceCid }) : refuse(404, '404 page not found');
  }

  #begin(): Answer {
    const id = randomUUID();
    this.#uploads.set(id, undefined);
    return { status: 201, headers: { location: `/pdp/piece/uploads/${id}` } };
  }

  async #take(id: string, incoming: IncomingMessage): Promise<Answer> {
    if (!this.#uploads.has(id)) return refuse(404, '404 page not found');
    if (!this.hasRoom) {
      await finished(incoming.resume());
      return refuse(507, 'no room');
    }
    const file = join(this.#folder, id);
    const out = createWriteStream(file);
    const hasher = await openPieceHasher();
    try {
      let bytes = 0;
      for await (const part of incoming as AsyncIterable<Buffer>) {
        bytes += part.length;
        this.received += part.length;
        await hasher.write(part);
        if (!out.write(part)) await once(out, 'drain');
      }
      if (bytes < 127) return refuse(500, 'Failed to finalize commP calculation');
      this.#uploads.set(id, { file, pieceCid: (await hasher.finish()).cid });
      return { status: 204 };
    } finally {
      await hasher.close();
      await new Promise((resolve) => out.end(resolve));
    }
  }

  #finalize(id: string, body: Body): Answer {
    const upload = this.#uploads.get(id);
    if (upload === undefined) return refuse(this.#uploads.has(id) ? 500 : 404, 'Database error');
    if (body.pieceCid !== upload.pieceCid)
      return refuse(
        400,
        'Invalid request body: pieceCid does not match the calculated pieceCid for the uploaded piece',
      );
    this.#uploads.delete(id);
    this.#pieces.set(upload.pieceCid, upload.file);
    return { status: 200 };
  }

  async #create({ extraData }: Body): Promise<Answer> {
    if (this.#registered === undefined || extraData === undefined) return refuse(400, 'Invalid request body');
    const hash = await this.#chain.sendCreate(this.#registered, extraData);
    return { status: 201, headers: { location: `/pdp/data-sets/created/${hash}` } };
  }

  #created(hash: Hex): Answer {
    const state = this.#chain.stateOf(hash);
    if (state === 'unknown') return refuse(404, 'Data set creation not found for given txHash');
    const ok = state === 'pending' ? null : state === 'confirmed';
    const done = state === 'confirmed' ? { dataSetId: Number(this.#chain.dataSets.at(-1)?.id) } : {};
    return json({
      createMessageHash: hash,
      dataSetCreated: state === 'confirmed',
      service: 'public',
      txStatus: state,
      ok,
      ...done,
    });
  }

  async #add(dataSetId: bigint, { pieces = [], extraData }: Body): Promise<Answer> {
    const set = this.#chain.dataSet(dataSetId);
    if (set === undefined || set.providerId !== this.#registered?.id)
      return refuse(404, 'Data set not found');
    if (pieces.length === 0 || extraData === undefined)
      return refuse(400, 'At least one piece must be provided');
    if (!pieces.every((piece) => this.#isAddable(piece)))
      return refuse(400, 'subPiece CID not found or does not belong to service public');
    const cids = pieces.map(({ pieceCid }) => hexOf(pieceCid));
    const hash = await this.#chain.sendAdd(dataSetId, cids, extraData);
    return { status: 201, headers: { location: `/pdp/data-sets/${dataSetId}/pieces/added/${hash}` } };
  }

  #isAddable({ pieceCid, subPieces }: AskedPiece): boolean {
    return this.#pieces.has(pieceCid) && subPieces[0]?.subPieceCid === pieceCid;
  }

  #added(dataSetId: bigint, hash: Hex): Answer {
    const state = this.#chain.stateOf(hash);
    if (state === 'unknown') return refuse(404, 'Piece addition not found for given transaction');
    const isDone = state === 'confirmed';
    return json({
      txHash: hash,
      txStatus: state,
      dataSetId: Number(dataSetId),
      pieceCount: 1,
      addMessageOk: isDone ? true : null,
      piecesAdded: isDone,
      ...(isDone ? { confirmedPieceIds: [Number(this.#chain.dataSet(dataSetId)?.pieces.at(-1)?.id)] } : {}),
    });
  }

  async #remove(dataSetId: bigint, pieceId: bigint, { extraData }: Body): Promise<Answer> {
    if (extraData === undefined) return refuse(400, 'Invalid request body');
    return json({ txHash: await this.#chain.sendRemove(dataSetId, pieceId, extraData) });
  }

  async #give(incoming: IncomingMessage, answer: ServerResponse, pathname: string): Promise<void> {
    const file = this.fileOf(pathname.split('/').at(-1) ?? '');
    const { size } = await stat(file);
    const [, from] = /^bytes=(\d+)-$/.exec(incoming.headers.range ?? '') ?? [];
    const start = this.knowsRanges && from !== undefined ? Number(from) : 0;
    const range = { 'content-range': `bytes ${start}-${size - 1}/${size}` };
    answer.writeHead(start > 0 ? 206 : 200, {
      'content-type': 'application/octet-stream',
      'content-length': size - start,
      ...(start > 0 ? range : {}),
    });
    const end = this.breakAfter === undefined ? size : Math.min(size, start + this.breakAfter);
    this.breakAfter = undefined;
    const bytes = createReadStream(file, { start, end: end - 1 });
    answer.on('close', () => bytes.destroy());
    bytes.on('error', () => answer.destroy());
    bytes.on('data', (part) => (this.given += part.length));
    // Fewer bytes than were announced: the connection is ended with them.
    bytes.on('end', () => (end < size ? answer.socket?.destroySoon() : answer.end()));
    bytes.pipe(answer, { end: false });
  }
}

interface Asked {
  readonly parts: readonly string[];
  readonly query: URLSearchParams;
  readonly incoming: IncomingMessage;
}

interface Body {
  readonly pieceCid?: string;
  readonly extraData?: Hex;
  readonly pieces?: readonly AskedPiece[];
}

interface AskedPiece {
  readonly pieceCid: string;
  readonly subPieces: readonly { subPieceCid: string }[];
}

const hexOf = (cid: string): Hex => `0x${Buffer.from(CID.parse(cid).bytes).toString('hex')}`;

async function bodyOf(incoming: IncomingMessage): Promise<Body> {
  const parts: Buffer[] = [];
  for await (const part of incoming) parts.push(part as Buffer);
  try {
    return JSON.parse(Buffer.concat(parts).toString()) as Body;
  } catch {
    return {};
  }
}
