import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { AntirioError } from '@antirio/kernel';
import { uploadPiece, type Upload } from './upload.ts';

type Step = 'begin' | 'put' | 'finish';
type Answer = (incoming: IncomingMessage, answer: ServerResponse) => unknown;

const PART = 100_000;
const SIZE = 30 * PART;
/** Longer than a slow machine keeps anything to itself. */
const IDLE_MS = 60_000;

let server: Server;
let url: string;
/** What each call gets; everything is as it should be where nothing is said. */
let answers: Partial<Record<Step, Answer>>;
let asked: string[];
let came: { length: string | undefined; hash: string; body: string };

beforeEach(async () => {
  answers = {};
  asked = [];
  came = { length: undefined, hash: '', body: '' };
  server = createServer((incoming, answer) => {
    const path = `${incoming.method} ${incoming.url}`;
    asked.push(path);
    const step = path.startsWith('PUT') ? 'put' : path.endsWith('/uploads') ? 'begin' : 'finish';
    (answers[step] ?? right[step])(incoming, answer);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/storage/`;
});
afterEach(async () => {
  jest.useRealTimers();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const right: Record<Step, Answer> = {
  begin: (_, answer) => answer.writeHead(201, { location: '/pdp/piece/uploads/12ab-cd' }).end(),
  put(incoming, answer) {
    const hash = createHash('sha256');
    incoming.on('data', (bytes: Buffer) => hash.update(bytes));
    incoming.on('end', () => {
      came.length = incoming.headers['content-length'];
      came.hash = hash.digest('hex');
      answer.writeHead(204).end();
    });
  },
  finish(incoming, answer) {
    incoming.on('data', (bytes: Buffer) => (came.body += bytes.toString()));
    incoming.on('end', () => answer.writeHead(200).end());
  },
};

/** Says so once it has all: a connection that is closed with something unread may take the answer with it. */
const says =
  (status: number, text: string, headers: Record<string, string> = {}): Answer =>
  (incoming, answer) => {
    incoming.resume().on('end', () => answer.writeHead(status, headers).end(text));
  };

/** Always in the same memory, as what reads files gives it. */
async function* parts(count = SIZE / PART): AsyncGenerator<Uint8Array> {
  const memory = new Uint8Array(PART);
  for (let i = 0; i < count; i++) yield memory.fill(i);
}

async function hashOf(bytes: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256');
  for await (const part of bytes) hash.update(part);
  return hash.digest('hex');
}

const upload = (more: Partial<Upload> = {}, bytes = SIZE): Promise<void> =>
  uploadPiece(
    { cid: 'bafk-piece', bytes },
    { url, name: 'provider 1', bytes: parts(), idleMs: IDLE_MS, ...more },
  );

async function failure(work: Promise<unknown>): Promise<{ code: string; message: string }> {
  const error: unknown = await work.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  return { code: error instanceof AntirioError ? error.code : 'none', message: String(error) };
}

test('a piece is sent as it is, with its length, from memory that is used again', async () => {
  const told: number[] = [];
  await upload({ onProgress: (bytes) => told.push(bytes) });
  const at = '/storage/pdp/piece/uploads';
  expect(asked).toEqual([`POST ${at}`, `PUT ${at}/12ab-cd`, `POST ${at}/12ab-cd`]);
  expect(came).toEqual({
    length: String(SIZE),
    hash: await hashOf(parts()),
    body: '{"pieceCid":"bafk-piece"}',
  });
  expect([told[0], told.at(-1), told.length]).toEqual([PART, SIZE, SIZE / PART]);
});

/** From now on no timer ends by itself. */
const stopTime = (): unknown =>
  jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask', 'Date', 'performance'] });

describe('a provider that takes nothing', () => {
  test('is given up, and the source is not asked for what it does not take', async () => {
    stopTime();
    let given = 0;
    let close = (): void => undefined;
    const closed = new Promise<void>((resolve) => (close = resolve));
    const bytes = async function* (): AsyncGenerator<Uint8Array> {
      const memory = new Uint8Array(1 << 20);
      try {
        for (; given < 1 << 10; given++) yield memory;
      } finally {
        close();
      }
    };
    answers.put = async () => {
      for (let before = -1; before < given;) {
        before = given;
        for (let turn = 0; turn < 100; turn++) await setImmediate();
      }
      jest.advanceTimersByTime(IDLE_MS);
    };
    const { code, message } = await failure(upload({ bytes: bytes() }, 1 << 30));
    expect([code, message]).toEqual(['timeout', expect.stringContaining('provider 1 took nothing')]);
    // What the system keeps for a connection is a few megabytes.
    expect(given).toBeLessThan(100);
    await closed;
  });

  test('that has all and does not answer is given up', async () => {
    stopTime();
    answers.put = (incoming) => incoming.resume().on('end', () => jest.advanceTimersByTime(IDLE_MS));
    expect((await failure(upload())).code).toBe('timeout');
  });

  test('has not been waited for while the source took its time', async () => {
    stopTime();
    const slowly = async function* (): AsyncGenerator<Uint8Array> {
      for await (const part of parts()) {
        yield part;
        await setImmediate();
        jest.advanceTimersByTime(2 * IDLE_MS);
      }
    };
    await upload({ bytes: slowly() });
    expect(came.hash).toBe(await hashOf(parts()));
  });
});

describe('a refusal', () => {
  const steps: readonly Step[] = ['begin', 'put', 'finish'];
  const meanings: readonly (readonly [number, string, string])[] = [
    [401, 'Unauthorized: no token', 'forbidden'],
    [403, 'no', 'forbidden'],
    [404, '404 page not found', 'unavailable'],
    [409, 'This piece is already being uploaded', 'unavailable'],
    [413, 'piece data exceeds the maximum allowed size', 'tooLarge'],
    [500, 'Failed to store piece data', 'unavailable'],
    [500, 'write: no space left on device', 'storageFull'],
    [503, '', 'unavailable'],
    [507, 'full', 'storageFull'],
    [202, 'later', 'unavailable'],
  ];
  for (const step of steps)
    test.each(meanings)(`of the step "${step}" with HTTP %d, %s, is %s`, async (status, text, code) => {
      answers[step] = says(status, text);
      const refused = await failure(upload());
      expect(refused.code).toBe(code);
      expect(refused.message).toMatch(/^AntirioError: provider 1 d.*: HTTP \d+, .+/);
      expect(refused.message).toContain(text);
    });

  test.each(steps)('by a redirect of the step "%s" is forbidden, and not followed', async (step) => {
    answers[step] = says(307, '', { location: `${url}elsewhere` });
    const { code, message } = await failure(upload());
    expect([code, message]).toEqual(['forbidden', expect.stringContaining('redirects (HTTP 307)')]);
    expect(asked.filter((path) => path.includes('elsewhere'))).toEqual([]);
  });

  test('that comes while the piece is sent is heard, and ends the sending', async () => {
    // Takes nothing any more, says so, and leaves the connection open.
    answers.put = (_, answer) => answer.writeHead(507, { 'content-length': 4 }).write('full');
    const { code } = await failure(upload({ bytes: parts(10_000) }, 10_000 * PART));
    expect(code).toBe('storageFull');
  });

  test('that breaks off in the middle of its text counts', async () => {
    answers.put = (incoming, answer) => {
      incoming.resume().on('end', () => {
        answer.writeHead(413, { 'content-length': 1000 }).write('too l', () => answer.destroy());
      });
    };
    expect((await failure(upload())).code).toBe('tooLarge');
  });

  test('to say where the piece is to go is unavailable', async () => {
    answers.begin = says(201, '', { location: '/elsewhere' });
    expect((await failure(upload())).code).toBe('unavailable');
    expect(asked).toHaveLength(1);
  });
});

describe('what is sent', () => {
  const wrong: readonly (readonly [string, () => AsyncIterable<Uint8Array>])[] = [
    ['more', () => parts(SIZE / PART + 1)],
    ['fewer', () => parts(SIZE / PART - 1)],
  ];
  test.each(wrong)('is not a piece with %s bytes than it has', async (_, bytes) => {
    expect((await failure(upload({ bytes: bytes() }))).code).toBe('corrupt');
    expect(asked.filter((path) => path.startsWith('POST'))).toHaveLength(1);
  });

  test('fails with what its source failed with', async () => {
    const bytes = async function* (): AsyncGenerator<Uint8Array> {
      yield* parts(3);
      throw new TypeError('it broke');
    };
    await expect(upload({ bytes: bytes() })).rejects.toThrow(new TypeError('it broke'));
  });

  test('is broken off by its signal, also where the source gives nothing', async () => {
    const stop = new AbortController();
    const bytes = async function* (): AsyncGenerator<Uint8Array> {
      yield* parts(3);
      stop.abort();
      await new Promise(() => undefined);
    };
    expect(await failure(upload({ bytes: bytes(), signal: stop.signal }))).toEqual({
      code: 'timeout',
      message: 'AntirioError: the upload was broken off',
    });
  });

  test('is unavailable where the connection ends, and is not sent where it was broken off before', async () => {
    answers.put = (incoming) => incoming.once('data', () => incoming.socket.destroy());
    expect((await failure(upload())).code).toBe('unavailable');
    asked = [];
    expect((await failure(upload({ signal: AbortSignal.abort() }))).code).toBe('timeout');
    expect(asked).toEqual([]);
  });
});
