// What providers can do to a fetch on the wire, over real sockets.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { constants, zstdCompressSync } from 'node:zlib';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { systemClock } from '@antirio/host';
import type { CID } from './block.ts';
import { openBlockStore, type BlockStore } from './block-store.ts';
import { exportCar } from './car.ts';
import { fixedChunker } from './chunker.ts';
import { verifyDag } from './dag.ts';
import { fetchDag, type Fetched, type FetchOptions } from './fetch-dag.ts';
import { urlProvider } from './gateway-provider.ts';
import { collect, seeded } from './test-blocks.ts';
import { bytesOf, read, TestGateway } from './test-gateway.ts';
import { SimulatedDisk, type Fault } from './simulated-disk.ts';
import { importFile, type Stored } from './unixfs-file.ts';

let gateway: TestGateway;
let ours: BlockStore;
let theirs: BlockStore;
const opened: { close(): void }[] = [];
beforeEach(async () => {
  gateway = await TestGateway.open();
  ({ ours, theirs } = gateway);
});
afterEach(async () => {
  for (const each of opened.splice(0)) each.close();
  await gateway.close();
});

type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void> | void;

/** A provider of which a test says what it answers; it tells what it was asked. */
async function providerOf(name: string, handler: Handler) {
  const asked: string[] = [];
  const server: Server = createServer((request, response) => {
    asked.push(String(request.url));
    Promise.resolve(handler(request, response)).catch(() => response.destroy());
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const provider = urlProvider(name, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  opened.push({
    close: () => {
      provider.close();
      server.close();
      server.closeAllConnections();
    },
  });
  return { asked, provider };
}

/** Sends something again and again, little enough that it would never be done. */
function trickle(response: ServerResponse, piece: Uint8Array): void {
  const timer = setInterval(() => response.write(piece), 50);
  response.on('close', () => clearInterval(timer));
}

const isCar = (request: IncomingMessage): boolean => String(request.url).endsWith('format=car');

/** Asks the honest gateway and passes its bytes on, changed as a test says. */
const relay =
  (change: (bytes: Buffer, request: IncomingMessage) => Buffer = (bytes) => bytes): Handler =>
  async (request, response) => {
    const answer = await fetch(`${gateway.url}${String(request.url)}`);
    response.statusCode = answer.status;
    response.end(change(Buffer.from(await answer.arrayBuffer()), request));
  };

const noise = (size: number, seed = 'wire'): Promise<Buffer> => collect(seeded(size, seed));
const stored = (store: BlockStore, bytes: Uint8Array): Promise<Stored> =>
  importFile(store, bytesOf(bytes), { chunker: fixedChunker(1000), maxLinks: 16 });

const honest = () => {
  const provider = urlProvider('honest', gateway.url);
  opened.push(provider);
  return provider;
};

const droppedOf = (fetched: Fetched, name: string): string | undefined =>
  fetched.providers.find((each) => each.name === name)?.dropped;

async function fetchWith(
  cid: CID,
  name: string,
  handler: Handler,
  options: FetchOptions = {},
): Promise<{ fetched: Fetched; asked: string[] }> {
  const { provider, asked } = await providerOf(name, handler);
  // The other one comes first, where both have done nothing yet.
  const fetched = await fetchDag(ours, cid, [provider, honest()], { parallel: 1, ...options });
  await verifyDag(ours, cid);
  return { fetched, asked };
}

test('files that are not here at all come as CARs, one for the leaves of each node', async () => {
  const content = await noise(60_000);
  const file = await stored(theirs, content);
  const { provider, asked } = await providerOf('relay', relay());
  const fetched = await fetchDag(ours, file.cid, [provider]);
  expect((await read(ours, file.cid)).equals(content)).toBe(true);
  expect(fetched.blocks).toBe((await verifyDag(theirs, file.cid)).blocks);
  expect(fetched.fetchedBlocks).toBe(fetched.blocks);
  expect(fetched.bytes).toBe(fetched.fetchedBytes);
  expect(asked.filter((path) => path.endsWith('format=car'))).toHaveLength(4);
  expect(asked.filter((path) => path.endsWith('format=raw'))).toHaveLength(5);
});

test('of a file that has changed a little only the changes move, as blocks', async () => {
  const before = await noise(60_000);
  await stored(ours, before);
  const after = Buffer.from(before);
  after.write('changed', 31_500);
  const file = await stored(theirs, after);
  const { provider, asked } = await providerOf('relay', relay());
  const fetched = await fetchDag(ours, file.cid, [provider]);
  expect((await read(ours, file.cid)).equals(after)).toBe(true);
  // The changed leaf, its node and the root.
  expect([fetched.fetchedBlocks, asked.length]).toEqual([3, 3]);
});

test('a CAR with a wrong block: its sender is dropped, nothing wrong is stored, the rest comes from others', async () => {
  const content = await noise(60_000);
  const file = await stored(theirs, content);
  const lie = relay((bytes, request) => {
    if (isCar(request)) bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
    return bytes;
  });
  const { fetched } = await fetchWith(file.cid, 'liar', lie);
  expect(droppedOf(fetched, 'liar')).toMatch(/^lied: the bytes are not those of/);
  expect((await read(ours, file.cid)).equals(content)).toBe(true);
});

/** One request at a time: the machine may be busy for as long once, and three failures in a row would drop the provider. */
const GIVEN_UP_SOON: FetchOptions = { blockTimeoutMs: 2000, parallel: 1 };

test.each<[string, Handler, FetchOptions?]>([
  [
    'breaks off',
    (request, response) =>
      relay((b) => (isCar(request) ? b.subarray(0, b.length / 2) : b))(request, response),
  ],
  ['is none', relay((bytes, request) => (isCar(request) ? Buffer.from('<html>') : bytes))],
  [
    'is refused',
    async (request, response) => {
      if (!isCar(request)) return relay()(request, response);
      response.statusCode = 406;
      response.end();
    },
  ],
  [
    'stalls',
    async (request, response) => {
      if (!isCar(request)) return relay()(request, response);
      response.write(Buffer.from('3a'));
    },
    GIVEN_UP_SOON,
  ],
  [
    'trickles',
    async (request, response) => {
      if (!isCar(request)) return relay()(request, response);
      // The length of a block that never comes.
      response.write(Buffer.from([0x80, 0x80, 0x40]));
      trickle(response, Buffer.alloc(1));
    },
    GIVEN_UP_SOON,
  ],
  [
    'is empty frames of its coding',
    async (request, response) => {
      if (!isCar(request)) return relay()(request, response);
      response.setHeader('content-encoding', 'zstd');
      trickle(response, zstdCompressSync(Buffer.alloc(0)));
    },
    GIVEN_UP_SOON,
  ],
  [
    'never comes to the end of its head',
    async (request, response) => {
      if (!isCar(request)) return relay()(request, response);
      const { socket } = request;
      socket.write('HTTP/1.1 200 OK\r\n');
      const timer = setInterval(() => socket.write('x: y\r\n'), 50);
      socket.on('close', () => clearInterval(timer)).on('error', () => undefined);
    },
    GIVEN_UP_SOON,
  ],
])('a CAR that %s: what is missing of it comes as blocks', async (_what, handler, options = {}) => {
  const content = await noise(40_000);
  const file = await stored(theirs, content);
  const { provider } = await providerOf('odd', handler);
  const fetched = await fetchDag(ours, file.cid, [provider], options);
  expect((await read(ours, file.cid)).equals(content)).toBe(true);
  expect(droppedOf(fetched, 'odd')).toBeUndefined();
});

test('who sends a CAR more slowly than is worth waiting for is asked for nothing more while others give', async () => {
  const content = await noise(60_000);
  const file = await stored(theirs, content);
  const slow: Handler = async (request, response) => {
    if (!isCar(request)) return relay()(request, response);
    const answer = await fetch(`${gateway.url}${String(request.url)}`);
    const car = Buffer.from(await answer.arrayBuffer());
    response.write(car.subarray(0, 2000));
    let at = 2000;
    const timer = setInterval(() => response.write(car.subarray(at, (at += 250))), 50);
    response.on('close', () => clearInterval(timer));
  };
  const { fetched, asked } = await fetchWith(file.cid, 'slow', slow, { blockTimeoutMs: 2000 });
  expect((await read(ours, file.cid)).equals(content)).toBe(true);
  // The root, a node, and the CAR of its leaves.
  expect(asked.map((path) => path.split('=')[1])).toEqual(['raw', 'raw', 'car']);
  expect(droppedOf(fetched, 'slow')).toBeUndefined();
});

test('a CAR of somebody else without end is left, and nothing of it is stored', async () => {
  const file = await stored(theirs, await noise(20_000));
  const foreign = await stored(theirs, await noise(900_000, 'foreign'));
  const car = await collect(exportCar(theirs, foreign.cid));
  const handler: Handler = async (request, response) => {
    if (!isCar(request)) return relay()(request, response);
    response.write(car);
    // Sections without their header, again and again.
    const send = (): void => {
      while (!response.destroyed && response.write(car.subarray(59)));
      if (!response.destroyed) response.once('drain', send);
    };
    send();
  };
  await fetchWith(file.cid, 'flood', handler);
  expect(ours.has(foreign.cid)).toBe(false);
});

test.each<[string, Handler, RegExp]>([
  [
    'redirects',
    (_request, response) => {
      response.writeHead(302, { location: `${gateway.url}/elsewhere` }).end();
    },
    /^failed: it redirects \(HTTP 302\), which is not followed/,
  ],
  [
    'sends without end',
    (_request, response) => {
      const send = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(1 << 16)));
        if (!response.destroyed) response.once('drain', send);
      };
      send();
    },
    /^lied: .*over the limit/,
  ],
  [
    'sends what unpacks to more than any block',
    (_request, response) => {
      response.setHeader('content-encoding', 'zstd');
      response.end(zstdCompressSync(Buffer.alloc(64 << 20)));
    },
    /^lied: an answer that unpacks to over/,
  ],
  [
    'wants a window over 8 MiB',
    (_request, response) => {
      response.setHeader('content-encoding', 'zstd');
      const params = { [constants.ZSTD_c_windowLog]: 27, [constants.ZSTD_c_contentSizeFlag]: 0 };
      response.end(zstdCompressSync(Buffer.alloc(40 << 20, 'x'), { params }));
    },
    /^lied: an answer that (?:does not unpack|unpacks to over)/,
  ],
  [
    'sends garbage as zstd',
    (_request, response) => {
      response.setHeader('content-encoding', 'zstd');
      response.end('no zstd at all');
    },
    /^lied: an answer that does not unpack/,
  ],
  [
    'answers in a coding that nobody asked for',
    (_request, response) => {
      response.setHeader('content-encoding', 'br');
      response.end('x');
    },
    /^failed: an answer in the coding br/,
  ],
])('a provider that %s is dropped, and another one gives the blocks', async (_what, handler, why) => {
  const content = await noise(20_000);
  const file = await stored(theirs, content);
  const { fetched } = await fetchWith(file.cid, 'bad', handler);
  expect((await read(ours, file.cid)).equals(content)).toBe(true);
  expect(droppedOf(fetched, 'bad')).toMatch(why);
});

test('a provider that is busy is left alone for as long as it says, then asked again', async () => {
  const file = await stored(theirs, await noise(3000));
  let refusals = 3;
  const { provider, asked } = await providerOf('busy', async (request, response) => {
    if (refusals-- > 0) response.writeHead(429, { 'retry-after': '0' }).end();
    else await relay()(request, response);
  });
  const fetched = await fetchDag(ours, file.cid, [provider]);
  expect(fetched.fetchedBlocks).toBe(4);
  expect(asked).toHaveLength(7);
  // While one is busy another one is asked.
  const other = await stored(theirs, await noise(5000, 'other'));
  const { fetched: both, asked: askedBusy } = await fetchWith(
    other.cid,
    'busy for long',
    (_request, response) => {
      response.writeHead(503, { 'retry-after': '60' }).end();
    },
  );
  expect(askedBusy).toHaveLength(1);
  expect(droppedOf(both, 'busy for long')).toBeUndefined();
});

test('several providers share the work', async () => {
  const file = await importFile(theirs, seeded(200_000, 'shared'), {
    chunker: fixedChunker(1000),
    maxLinks: 4,
  });
  const [a, b] = [await providerOf('a', relay()), await providerOf('b', relay())];
  await fetchDag(ours, file.cid, [a.provider, b.provider], { parallel: 4 });
  for (const { asked } of [a, b]) expect(asked.length).toBeGreaterThan(20);
  const all = [...a.asked, ...b.asked];
  expect(new Set(all).size).toBe(all.length);
});

test.each<Fault>(['full', 'half'])(
  'a disk that is full (%s) in the middle of a CAR ends the fetch, blames nobody, keeps what was there; with room it goes on',
  async (fault) => {
    const [content, before] = [await noise(60_000), await noise(5000, 'before')];
    const file = await stored(theirs, content);
    const disk = new SimulatedDisk(() => true);
    const folder = mkdtempSync(join(tmpdir(), 'antirio-full-'));
    const store = await openBlockStore({ folder, clock: systemClock, files: disk, unflushedBytes: 4000 });
    try {
      const kept = await stored(store, before);
      await store.pin('before', kept.cid);
      const { provider, asked } = await providerOf('relay', relay());
      const cars = (): number => asked.filter((path) => path.endsWith('format=car')).length;
      let writes = 0;
      disk.faults((call) => (call === 'write' && cars() > 0 && ++writes > 5 ? fault : 'none'));
      const fetching = fetchDag(store, file.cid, [provider], { parallel: 1 });
      await expect(fetching).rejects.toMatchObject({ code: 'storageFull' });
      expect(writes).toBeGreaterThan(5);
      expect([cars(), asked.filter((path) => path.endsWith('format=raw')).length]).toEqual([1, 2]);
      disk.faults(() => 'none');
      expect((await read(store, kept.cid)).equals(before)).toBe(true);
      const fetched = await fetchDag(store, file.cid, [provider], { parallel: 1 });
      expect(droppedOf(fetched, 'relay')).toBeUndefined();
      expect(fetched.fetchedBlocks).toBeLessThan(fetched.blocks);
      expect((await read(store, file.cid)).equals(content)).toBe(true);
    } finally {
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    }
  },
);
