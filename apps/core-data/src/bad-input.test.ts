import { mkdtempSync, rmSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { toCbor } from '@antirio/edgex-contracts';
import { silentLog, systemClock, systemRandom } from '@antirio/host';
import { uuidV4 } from '@antirio/kernel';
import { coreDataOptions, createCoreData, type CoreData } from './index.ts';

const MAX_EVENT_BYTES = 1 << 20;
const PATH = '/api/v3/event/svc/p/d/s';
const JSON_TYPE = 'application/json';
const CBOR_TYPE = 'application/cbor';

type Fields = Record<string, unknown>;
interface Answer {
  readonly status: number;
  readonly text: string;
}

let dataDir: string;
let room: CoreData;

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'antirio-core-data-bad-'));
  const options = coreDataOptions.parse({ dataDir, port: 0, maxEventBytes: MAX_EVENT_BYTES });
  room = createCoreData(options, { clock: systemClock, random: systemRandom, log: silentLog });
  await room.start();
});
afterAll(async () => {
  await room.stop();
  rmSync(dataDir, { recursive: true });
});

function send(body: string | Uint8Array, headers: Record<string, string>, path = PATH): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { port: room.port, host: '127.0.0.1', path, method: 'POST', headers };
    const outgoing = httpRequest(options, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

const readingOf = (fields: Fields): Fields => ({
  ...{ origin: 1, deviceName: 'd', profileName: 'p', resourceName: 'r', valueType: 'Int16', value: '7' },
  ...fields,
});
const requestOf = (readings: readonly Fields[], fields: Fields = {}): Fields => ({
  apiVersion: 'v3',
  event: {
    ...{ apiVersion: 'v3', id: uuidV4(systemRandom), deviceName: 'd', profileName: 'p', sourceName: 's' },
    ...{ origin: 1, readings, ...fields },
  },
});
const objectReading = (objectValue: unknown): Fields => {
  const { value: _, ...rest } = readingOf({ valueType: 'Object', objectValue });
  return rest;
};
const good = (): Fields => requestOf([readingOf({})]);
const MARK = '"HERE"';
/** The request's JSON with a text, which need not be JSON, in the place of the mark. */
const withText = (request: Fields, text: string): string => JSON.stringify(request).replace(MARK, () => text);
const inObject = (text: string): string => withText(requestOf([objectReading({ a: 'HERE' })]), text);
const inTags = (text: string): string => withText(requestOf([readingOf({})], { tags: { a: 'HERE' } }), text);
const deep = (levels: number, open = '[', close = ']'): string => open.repeat(levels) + close.repeat(levels);

/** The JSON of a good request with one byte of it, that of the mark, replaced. */
function withByte(byte: number): Uint8Array {
  const bytes = Buffer.from(JSON.stringify(requestOf([readingOf({ valueType: 'String', value: 'x~x' })])));
  bytes[bytes.indexOf('~')] = byte;
  return bytes;
}

async function count(): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${room.port}/api/v3/event/count`);
  return ((await response.json()) as { count: number }).count;
}

function refused(answer: Answer, status: number): void {
  expect(answer).toMatchObject({ status });
  expect(JSON.parse(answer.text)).toMatchObject({
    apiVersion: 'v3',
    statusCode: status,
    message: expect.stringMatching(/./),
  });
}

let stored = 0;
beforeEach(async () => void (stored = await count()));
/** Whatever came, the service goes on: a good event is stored, and nothing but good events is. */
afterEach(async () => {
  expect((await send(JSON.stringify(good()), { 'content-type': JSON_TYPE })).status).toBe(201);
  stored += 1;
  expect(await count()).toBe(stored);
});

const BAD_JSON: readonly (readonly [what: string, body: string | Uint8Array])[] = [
  ['UTF-16', Buffer.from(JSON.stringify(good()), 'utf16le')],
  ['an object value deeper than any parser wants', inObject(deep(50_000))],
  ['an object value of objects in objects', inObject('{"a":'.repeat(50_000) + '1' + '}'.repeat(50_000))],
  ['tags as deep', inTags(deep(50_000))],
  ['brackets that are not closed', inTags('['.repeat(50_000))],
  ['NaN', inObject('NaN')],
  ['Infinity', inObject('-Infinity')],
  ['a number beyond all floats', inObject('1e400')],
  ['a hexadecimal number', inObject('0x10')],
  ['a number of ten thousand digits', inObject('9'.repeat(10_000))],
  [
    'an origin beyond 64 bits',
    withText(requestOf([readingOf({})], { origin: 'HERE' }), '9223372036854775808'),
  ],
  ['an origin with a fraction', withText(requestOf([readingOf({})], { origin: 'HERE' }), '1.5')],
  ['a value that is a number', withText(requestOf([readingOf({ value: 'HERE' })]), '7')],
  ['NaN as an integer', JSON.stringify(requestOf([readingOf({ value: 'NaN' })]))],
  ['an integer out of its type’s range', JSON.stringify(requestOf([readingOf({ value: '9'.repeat(400) })]))],
  [
    'a binary value that is no base64',
    JSON.stringify(requestOf([readingOf({ valueType: 'Binary', binaryValue: '***' })])),
  ],
  [
    'the last of two equal keys, which is wrong',
    JSON.stringify(good()).replace('"id":', '"id":"x","id":5,"i":'),
  ],
  ['what follows the request', `${JSON.stringify(good())}{}`],
  ['half of a request', JSON.stringify(good()).slice(0, 90)],
  ['nothing but white space', ' \n\t'],
];

test.each(BAD_JSON)('JSON with %s is refused with 400', async (_what, body) => {
  for (const type of [JSON_TYPE, 'application/json; charset=utf-8', 'text/plain'])
    refused(await send(body, { 'content-type': type }), 400);
  // in chunks it goes another way through the server
  refused(await send(body, { 'content-type': JSON_TYPE, 'transfer-encoding': 'chunked' }), 400);
});

test.each([
  ['the value of a reading', '"value":"7"', '"value":"70000","value":"7"'],
  ['the event', '"event":', '"event":{"apiVersion":"v3"},"event":'],
  ['a name', '"sourceName":"s"', '"sourceName":"other","sourceName":"s"'],
])('of two equal keys the last one counts, as for Go: %s', async (_what, once, twice) => {
  const body = JSON.stringify(good()).replace(once, twice);
  expect((await send(body, { 'content-type': JSON_TYPE })).status).toBe(201);
  stored += 1;
});

test.each([
  ['a byte', 0xff],
  ['half a character', 0xc3],
])('%s that is no UTF-8 is stored as U+FFFD, as Go reads it', async (_what, byte) => {
  const { status, text } = await send(withByte(byte), { 'content-type': JSON_TYPE });
  expect(status).toBe(201);
  const { id } = JSON.parse(text) as { id: string };
  const response = await fetch(`http://127.0.0.1:${room.port}/api/v3/event/id/${id}`);
  expect(await response.json()).toMatchObject({ event: { readings: [{ value: 'x\ufffdx' }] } });
  stored += 1;
});

const goodCbor = (): Uint8Array => toCbor(good());
/** CBOR of a request whose object value is the given bytes. */
function cborWith(value: Uint8Array): Uint8Array {
  const bytes = Buffer.from(toCbor(requestOf([objectReading({ a: 'HERE' })])));
  const at = bytes.indexOf('dHERE');
  return Buffer.concat([bytes.subarray(0, at), value, bytes.subarray(at + 'dHERE'.length)]);
}
const nested = (levels: number): Uint8Array => Buffer.concat([Buffer.alloc(levels, 0x81), Buffer.of(0)]);

const BAD_CBOR: readonly (readonly [what: string, body: Uint8Array])[] = [
  ['half of a request', goodCbor().subarray(0, 60)],
  ['all but the last byte', goodCbor().subarray(0, -1)],
  ['a request and more', Buffer.concat([goodCbor(), Buffer.of(0)])],
  ['nothing but a break', Buffer.of(0xff)],
  ['a text that says to be of 2^63 bytes', cborWith(Buffer.from('7b7fffffffffffffff', 'hex'))],
  ['a list that says to have 2^32 items', cborWith(Buffer.from('9affffffff', 'hex'))],
  ['a reserved length', cborWith(Buffer.of(0x1c))],
  ['a text that is no UTF-8', cborWith(Buffer.of(0x62, 0xff, 0xfe))],
  ['a number as a key', cborWith(Buffer.of(0xa1, 0x01, 0x02))],
  ['NaN', cborWith(Buffer.of(0xf9, 0x7e, 0x00))],
  ['Infinity', cborWith(Buffer.of(0xf9, 0x7c, 0x00))],
  ['a tag that nobody knows', cborWith(Buffer.from('d9ffff00', 'hex'))],
  ['lists in lists, 1500 deep', cborWith(nested(1_500))],
  ['lists in lists, 50 000 deep', cborWith(nested(50_000))],
  ['JSON', Buffer.from(JSON.stringify(good()))],
];

test.each(BAD_CBOR)('CBOR with %s is refused with 400', async (_what, body) => {
  refused(await send(body, { 'content-type': CBOR_TYPE }), 400);
  refused(await send(body, { 'content-type': CBOR_TYPE, 'transfer-encoding': 'chunked' }), 400);
});

test('every start of a request in CBOR and every one of its bytes turned round is refused or stored, and never an error of ours', async () => {
  const body = goodCbor();
  for (let at = 0; at < body.length; at++) {
    refused(await send(body.subarray(0, at), { 'content-type': CBOR_TYPE }), 400);
    const turned = goodCbor();
    turned[at] = (turned[at] ?? 0) ^ 0xff;
    const { status } = await send(turned, { 'content-type': CBOR_TYPE });
    expect([201, 400]).toContain(status);
    if (status === 201) stored += 1;
  }
});

describe('bodies that are not what their headers say', () => {
  test.each<[string, string | Uint8Array, Record<string, string>]>([
    ['CBOR as JSON', goodCbor(), { 'content-type': JSON_TYPE }],
    ['CBOR of no type', goodCbor(), {}],
    ['a form', 'a=1&b=2', { 'content-type': 'application/x-www-form-urlencoded' }],
    ['XML', '<event/>', { 'content-type': 'application/xml' }],
    ['no gzip', JSON.stringify(good()), { 'content-type': JSON_TYPE, 'content-encoding': 'gzip' }],
    [
      'half a gzip',
      gzipSync(JSON.stringify(good())).subarray(0, 60),
      { 'content-type': JSON_TYPE, 'content-encoding': 'gzip' },
    ],
  ])('%s is refused with 400', async (_what, body, headers) => {
    refused(await send(body, headers), 400);
  });

  test('an encoding that nobody knows is refused with 415', async () => {
    const headers = { 'content-type': JSON_TYPE, 'content-encoding': 'rot13' };
    refused(await send(JSON.stringify(good()), headers), 415);
  });

  test.each([
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
  ] as const)('what %s blows up over the limit is refused with 413', async (encoding, compress) => {
    const body = compress(Buffer.alloc(32 * MAX_EVENT_BYTES, ' '));
    expect(body.length).toBeLessThan(MAX_EVENT_BYTES / 4);
    refused(await send(body, { 'content-type': JSON_TYPE, 'content-encoding': encoding }), 413);
  });
});

describe('bodies far over the limit', () => {
  const CHUNK = Buffer.alloc(64 * 1024, 'x');
  const CHUNKS = 3200;

  /** Sends the head, then so many chunks at the pace at which they are read; gives the answer and the most memory that was in buffers. */
  function flood(
    head: string,
    frame: (chunk: Buffer) => Buffer,
    end: string,
  ): Promise<{ answer: string; most: number }> {
    const before = process.memoryUsage().arrayBuffers;
    const piece = frame(CHUNK);
    return new Promise((resolve, reject) => {
      let [sent, most, answer] = [0, 0, ''];
      let last = false;
      const socket = connect(room.port, '127.0.0.1');
      const write = (): void => {
        while (sent < CHUNKS && socket.writable) {
          sent += 1;
          if (sent % 16 === 0) most = Math.max(most, process.memoryUsage().arrayBuffers - before);
          if (!socket.write(piece)) return;
        }
        if (!last) socket.write(end);
        last = true;
      };
      socket.on('drain', write);
      socket.on('data', (chunk) => {
        answer += chunk.toString();
        if (answer.includes('"statusCode"')) socket.destroy();
      });
      // the other side may well close before it has read it all
      socket.on('error', (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EPIPE' && error.code !== 'ECONNRESET') reject(error);
      });
      socket.on('close', () => resolve({ answer, most }));
      socket.write(`POST ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: ${JSON_TYPE}\r\n${head}\r\n\r\n`);
      write();
    });
  }

  test.each<[string, string, (chunk: Buffer) => Buffer, string]>([
    [
      'in chunks',
      'Transfer-Encoding: chunked',
      (chunk) => Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n')]),
      '0\r\n\r\n',
    ],
    ['that say how long they are', `Content-Length: ${CHUNKS * CHUNK.length}`, (chunk) => chunk, ''],
  ])('of 200 MB %s are refused with 413, and kept nowhere', async (_what, head, frame, end) => {
    const { answer, most } = await flood(head, frame, end);
    expect(answer).toMatch(/^HTTP\/1.1 413 /);
    expect(answer).toContain('"apiVersion":"v3"');
    expect(most).toBeLessThan(128 * MAX_EVENT_BYTES);
  });
});
