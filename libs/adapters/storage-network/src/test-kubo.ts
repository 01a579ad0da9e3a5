import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import {
  checkBlock,
  DAG_PB,
  exportCar,
  makeBlock,
  openBlockStore,
  parseCid,
  RAW,
  readCar,
  type BlockStore,
  type CID,
} from '@antirio/content-store';
import { sleep, systemClock } from '@antirio/host';
import { AntirioError, describeError, isAntirioError } from '@antirio/kernel';
import { isWhole } from './dag-of.ts';

const MAX_CAR = 2 ** 33;
const failure = (text: string): AntirioError => new AntirioError('failed', text);
const missing = (cid: CID): AntirioError =>
  failure(`block was not found locally (offline): ipld: could not find ${cid.toString()}`);

/**
 * Answers the commands of Kubo's RPC that we use with the shapes, statuses and texts recorded from a Kubo 0.43, over a block store of our own. It is
 * no Kubo: what it stands for is tried against the real one where there is one.
 */
export class TestKubo {
  readonly pins = new Map<string, string>();
  readonly imports: number[] = [];
  peerId = `12D3KooW${randomBytes(16).toString('hex')}`;
  /** Taken for each question about a block, in milliseconds. */
  askMs = 0;
  readonly #store: BlockStore;
  readonly #server: Server;
  url = '';

  static async open(folder: string): Promise<TestKubo> {
    const kubo = new TestKubo(await openBlockStore({ folder: join(folder, 'store'), clock: systemClock }));
    kubo.#server.listen(0, '127.0.0.1');
    await new Promise((resolve) => kubo.#server.once('listening', resolve));
    kubo.url = `http://127.0.0.1:${(kubo.#server.address() as AddressInfo).port}`;
    return kubo;
  }

  private constructor(store: BlockStore) {
    this.#store = store;
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        if (response.headersSent) response.destroy();
        else send(response, 500, { Message: describeError(error), Code: 0, Type: 'error' });
      });
    });
  }

  /** As `ipfs repo gc`. */
  async collect(): Promise<void> {
    await this.#store.collect();
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    await this.#store.close();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', 'http://localhost');
    const command = url.pathname.replace('/api/v0/', '');
    const node = this.#ofNode(command);
    if (request.method !== 'POST') response.writeHead(405).end();
    else if (node !== undefined) send(response, 200, node);
    else if (command === 'dag/import') send(response, 200, ...(await this.#import(request)));
    else if (command === 'block/put') send(response, 200, await this.#put(request, url.searchParams));
    else if (command === 'pin/ls' && !url.searchParams.has('arg'))
      send(response, 200, ...this.#pinsNamed(url.searchParams.get('name') ?? ''));
    else await this.#ofCid(command, parseCid(url.searchParams.get('arg') ?? ''), url.searchParams, response);
  }

  #ofNode(command: string): object | undefined {
    if (command === 'swarm/connect') throw failure('offline');
    const answers: Readonly<Record<string, object>> = {
      version: { Version: '0.43.0', Repo: '18' },
      id: { ID: this.peerId, Addresses: [`/ip4/192.0.2.1/tcp/4001/p2p/${this.peerId}`] },
      'repo/stat': { RepoSize: this.#store.usage().bytes, StorageMax: 10_000_000_000 },
    };
    return answers[command];
  }

  async #ofCid(command: string, cid: CID, query: URLSearchParams, response: ServerResponse): Promise<void> {
    switch (command) {
      case 'block/stat':
        await sleep(this.askMs);
        send(response, 200, { Key: cid.toString(), Size: (await this.#block(cid)).length });
        return;
      case 'block/get': {
        const bytes = await this.#block(cid);
        response.writeHead(200, { 'content-type': 'application/vnd.ipld.raw' }).end(bytes);
        return;
      }
      case 'dag/export':
        await this.#block(cid);
        response.writeHead(200, { 'content-type': 'application/vnd.ipld.car', trailer: 'X-Stream-Error' });
        await pipeline(exportCar(this.#store, cid), response);
        return;
      case 'pin/add':
      case 'pin/rm':
      case 'pin/ls':
        send(response, 200, ...(await this.#pin(command, cid, query.get('name') ?? '')));
        return;
      default:
        response.writeHead(404).end('404 page not found');
    }
  }

  #pinsNamed(part: string): object[] {
    const named = [...this.pins].filter(([, name]) => name.includes(part));
    return named.map(([Cid, Name]) => ({ Cid, Type: 'recursive', ...(Name === '' ? {} : { Name }) }));
  }

  async #pin(command: 'pin/add' | 'pin/rm' | 'pin/ls', cid: CID, name: string): Promise<object[]> {
    const key = cid.toString();
    if (command === 'pin/add') {
      if (!(await isWhole(this.#store, cid))) throw failure(`pin: ${missing(cid).message}`);
      await this.#store.pin(key, cid);
      this.pins.set(key, name);
      return [{ Progress: 1, Bytes: 5 }, { Pins: [key] }];
    }
    const kept = this.pins.get(key);
    if (command === 'pin/ls') {
      if (kept === undefined) throw failure(`path '${key}' is not pinned`);
      return [{ Keys: { [key]: { Type: 'recursive', Name: kept } } }];
    }
    if (!this.pins.delete(key)) throw failure('not pinned or pinned indirectly');
    this.#store.unpin(key);
    return [{ Pins: [key] }];
  }

  async #block(cid: CID): Promise<Uint8Array> {
    return this.#store.get(cid).catch((error: unknown) => {
      throw isAntirioError(error, 'notFound') ? missing(cid) : error;
    });
  }

  async #put(request: IncomingMessage, query: URLSearchParams): Promise<object> {
    const pieces: Uint8Array[] = [];
    for await (const piece of fileOf(request)) pieces.push(piece);
    const code = query.get('cid-codec') === 'raw' ? RAW : DAG_PB;
    const block = makeBlock(code, Buffer.concat(pieces));
    await this.#store.session(async () => {
      await this.#store.put(block);
      await this.#store.flush();
    });
    return { Key: block.cid.toString(), Size: block.bytes.length };
  }

  async #import(request: IncomingMessage): Promise<object[]> {
    let count = 0;
    let bytes = 0;
    await this.#store.session(async () => {
      for await (const block of readCar(fileOf(request), MAX_CAR)) {
        await this.#store.put(checkBlock(block.cid, block.bytes));
        count++;
        bytes += block.bytes.length;
      }
      await this.#store.flush();
    });
    this.imports.push(bytes);
    return [{ Stats: { BlockCount: count, BlockBytesCount: bytes } }];
  }
}

function send(response: ServerResponse, status: number, ...objects: readonly object[]): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(objects.map((each) => `${JSON.stringify(each)}\n`).join(''));
}

/** The one file of a multipart form: between the empty line after its header and the boundary at the end. */
async function* fileOf(request: IncomingMessage): AsyncGenerator<Uint8Array> {
  const [, boundary = ''] = /boundary=(\S+)$/.exec(request.headers['content-type'] ?? '') ?? [];
  const tail = `\r\n--${boundary}--\r\n`;
  let kept: Buffer = Buffer.alloc(0);
  for await (const bytes of afterHeader(request)) {
    kept = Buffer.concat([kept, bytes]);
    if (kept.length <= tail.length) continue;
    yield kept.subarray(0, kept.length - tail.length);
    kept = Buffer.from(kept.subarray(kept.length - tail.length));
  }
  if (kept.toString() !== tail) throw failure('multipart: unexpected EOF');
}

async function* afterHeader(request: IncomingMessage): AsyncGenerator<Uint8Array> {
  let head: Buffer | undefined = Buffer.alloc(0);
  for await (const piece of request) {
    if (head === undefined) {
      yield piece as Buffer;
      continue;
    }
    head = Buffer.concat([head, piece as Buffer]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) continue;
    yield head.subarray(end + 4);
    head = undefined;
  }
}
