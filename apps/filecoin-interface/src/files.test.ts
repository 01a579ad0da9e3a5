import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { request, type ClientRequest } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { HttpAnswer } from '@antirio/host';
import { listen } from './test-events.ts';
import type { Edge } from './test-neighbourhood.ts';
import { build, order, put, Scene, until, v3 } from './test-scene.ts';

let scene: Scene;
let a: Edge;

beforeEach(async () => {
  scene = new Scene();
  a = await scene.start('A', { maxImageBytes: 4 << 20, uploads: { quotaBytes: 6 << 20 } });
});
afterEach(() => scene.close());

const FILE = '/api/v3/storage/file';
const upload = (name: string, body: Uint8Array, headers: Record<string, string> = {}): Promise<HttpAnswer> =>
  a.http.call({ method: 'PUT', path: `${FILE}/${name}`, body, headers, timeoutMs: 10_000 });
const download = (name: string, headers: Record<string, string> = {}): Promise<HttpAnswer> =>
  a.http.call({ path: `${FILE}/${name}`, headers });
const pathOf = (name: string): string => join(a.dataDir, 'images', name);
const names = (): string[] => readdirSync(join(a.dataDir, 'images'));
const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();
const digestOf = (bytes: Uint8Array): Record<string, string> => ({
  'repr-digest': `sha-256=:${sha256(bytes).toString('base64')}:`,
});
const range = (from: number, to: number, total: number): Record<string, string> => ({
  'content-range': `bytes ${from}-${to - 1}/${total}`,
});

/** An upload whose body does not come to its end. */
function begin(name: string, headers: Record<string, string | number> = {}): ClientRequest {
  const outgoing = request({ port: a.room.port, method: 'PUT', path: `${FILE}/${name}`, headers });
  outgoing.on('error', () => undefined);
  return outgoing;
}

describe('a file goes up and comes down', () => {
  test('in one piece, whole or not at all, in place of an older one', async () => {
    const [old, bytes] = [randomBytes(1000), randomBytes(2_000_000)];
    await upload('x.tar', old);
    const answered = await upload('x.tar', bytes, digestOf(bytes));
    expect([answered.status, answered.json()]).toMatchObject([
      201,
      { file: { fileName: 'x.tar', size: 2_000_000, sha256: sha256(bytes).toString('hex') } },
    ]);
    expect(readFileSync(pathOf('x.tar')).equals(bytes)).toBe(true);
    const whole = await download('x.tar');
    expect(Buffer.from(whole.body).equals(bytes)).toBe(true);
    expect(whole.headers).toMatchObject({ 'content-type': 'application/octet-stream' });
    const part = await download('x.tar', { range: 'bytes=10-19' });
    expect([part.status, Buffer.from(part.body)]).toEqual([206, bytes.subarray(10, 20)]);
    expect((await download('x.tar', { range: 'bytes=9000000-' })).status).toBe(416);
    expect((await v3(a, 'GET', 'file')).json()).toMatchObject({
      totalCount: 1,
      files: [{ fileName: 'x.tar', size: 2_000_000 }],
    });
    expect((await v3(a, 'DELETE', 'file/x.tar')).status).toBe(200);
    expect((await v3(a, 'DELETE', 'file/x.tar')).status).toBe(404);
    expect((await download('x.tar')).status).toBe(404);
    expect(names()).toEqual([]);
  });

  test('in pieces, each begun where the last one ended', async () => {
    const bytes = randomBytes(300_000);
    const piece = (from: number, to: number): Promise<HttpAnswer> =>
      upload('x', bytes.subarray(from, to), { ...range(from, to, 300_000), ...digestOf(bytes) });
    expect((await piece(0, 100_000)).json()).toMatchObject({ statusCode: 202, upload: { bytes: 100_000 } });
    expect((await v3(a, 'GET', 'file/x/upload')).json()).toMatchObject({ upload: { bytes: 100_000 } });
    expect((await download('x')).status).toBe(404);
    expect((await piece(200_000, 300_000)).status).toBe(409);
    await scene.stop(a);
    a = await scene.start('A');
    expect((await piece(100_000, 200_000)).status).toBe(202);
    expect((await piece(200_000, 300_000)).status).toBe(201);
    expect(readFileSync(pathOf('x')).equals(bytes)).toBe(true);
    expect((await v3(a, 'GET', 'file/x/upload')).status).toBe(404);
  });

  test('what broke off stays for the next piece; what stalls is cut off; nothing is under its name', async () => {
    await scene.stop(a);
    a = await scene.start('A', { uploads: { stallMs: 300 } });
    const all = await listen(a, 'events?fileName=x');
    const outgoing = begin('x', { 'content-length': 300_000 });
    outgoing.write(randomBytes(100_000));
    await new Promise((resolve) => outgoing.once('close', resolve));
    const rest = (await v3(a, 'GET', 'file/x/upload')).json() as { upload: { bytes: number } };
    expect(rest.upload.bytes).toBe(100_000);
    expect(names()).toEqual(['.upload-x']);
    const last = await until(() => all.events.find(({ data }) => data['state'] === 'failed'));
    expect(last.data).toMatchObject({ kind: 'upload', error: expect.stringMatching(/nothing came for 300/) });
    all.close();
    expect((await v3(a, 'DELETE', 'file/x')).status).toBe(200);
    expect(names()).toEqual([]);
  });
});

test('an upload is not cut off because this machine stood still', async () => {
  await scene.stop(a);
  a = await scene.start('A', { uploads: { stallMs: 300 } });
  const outgoing = begin('x', { 'content-length': 20_000 });
  const answered = once(outgoing, 'response') as Promise<[{ statusCode: number }]>;
  outgoing.write(randomBytes(10_000));
  await until(() => (names().length === 1 ? true : undefined));
  // After immediates come timers, and only then what lies in the socket.
  setImmediate(() => {
    outgoing.end(randomBytes(10_000));
    process.nextTick(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500));
  });
  expect((await answered)[0].statusCode).toBe(201);
});

describe('what cannot be taken is refused, and leaves nothing', () => {
  test('files of the wrong content, kind, name or size', async () => {
    const bytes = randomBytes(100);
    const statusOf = async (...args: Parameters<typeof upload>): Promise<number> =>
      (await upload(...args)).status;
    expect(await statusOf('x', bytes, digestOf(randomBytes(100)))).toBe(400);
    expect(await statusOf('x', bytes, { 'repr-digest': 'sha-256=:AAAA:' })).toBe(400);
    expect(await statusOf('x', bytes, { 'content-type': 'application/json' })).toBe(400);
    expect(await statusOf('x', Buffer.from('{}'), { 'content-type': 'application/json' })).toBe(415);
    expect(await statusOf('x', bytes, { 'content-type': 'multipart/form-data; boundary=x' })).toBe(415);
    expect(await statusOf('x', bytes, { 'content-encoding': 'gzip' })).toBe(415);
    for (const name of ['.x', '..%2Fx', 'a%2Fb', 'x.part', 'x%00', 'a'.repeat(201)])
      expect([name, await statusOf(name, bytes)]).toEqual([name, 400]);
    for (const wrong of ['bytes 0-98/100', 'bytes 5-1/100', 'bytes 0-99/50', 'bytes 0-99/*', 'x'])
      expect([wrong, await statusOf('x', bytes, { 'content-range': wrong })]).toEqual([wrong, 400]);
    expect(names()).toEqual([]);
    expect(await statusOf('x', new Uint8Array(4 << 20).subarray(1))).toBe(201);
    expect(await statusOf('y', randomBytes((4 << 20) + 1))).toBe(413);
    expect(await statusOf('y', randomBytes(3 << 20))).toBe(507);
    expect(await statusOf('y', bytes, range(0, 100, 8 << 20))).toBe(413);
    expect(names()).toEqual(['x']);
  });

  test('a body without length that grows over the limit or the quota', async () => {
    for (const [quotaUsed, status] of [
      [0, 413],
      [3 << 20, 507],
    ] as const) {
      if (quotaUsed > 0) writeFileSync(pathOf('other'), new Uint8Array(quotaUsed));
      const outgoing = begin('x');
      const answered = once(outgoing, 'response') as Promise<[{ statusCode: number }]>;
      for (let i = 0; i < 5; i++) outgoing.write(new Uint8Array(1 << 20));
      const [{ statusCode }] = await answered;
      expect(statusCode).toBe(status);
      outgoing.destroy();
    }
    await until(() => (names().join() === 'other' ? true : undefined));
  });

  test('a second upload of the same file, one too many, and the removal of what is needed', async () => {
    const outgoing = ['w', 'x', 'y', 'z'].map((name) => begin(name, { 'content-length': 100 }));
    for (const one of outgoing) one.write('some');
    await until(() => (names().length === 4 ? true : undefined));
    expect((await upload('x', randomBytes(10))).status).toBe(409);
    expect((await v3(a, 'DELETE', 'file/x')).status).toBe(409);
    expect((await upload('v', randomBytes(10))).status).toBe(429);
    for (const one of outgoing) one.destroy();
    await until(async () => ((await upload('x', randomBytes(10))).status === 201 ? true : undefined));

    // one image after the other is stored
    const images = ['first', 'second', 'third'].map((name) => `${name}.tar`);
    for (const fileName of images) await build(a, fileName, 1_000_000);
    for (const fileName of images) await v3(a, 'POST', 'image', { ...order, fileName, imageId: fileName });
    expect((await v3(a, 'DELETE', 'file/third.tar')).json()).toMatchObject({
      statusCode: 409,
      message: 'image third.tar is yet to be stored from third.tar',
    });
    await until(async () => ((await v3(a, 'DELETE', 'file/third.tar')).status === 200 ? true : undefined));
  });
});

test('what was begun long ago and not gone on with is removed at the start', async () => {
  await upload('x', randomBytes(10), range(0, 10, 20));
  await upload('y', randomBytes(10), range(0, 10, 20));
  utimesSync(pathOf('.upload-x'), 1000, 1000);
  await scene.stop(a);
  a = await scene.start('A');
  await until(() => (names().join() === '.upload-y' ? true : undefined));
});

describe('what is denied', () => {
  test('is given out to nobody, also after a restart, until it is allowed again', async () => {
    const { cid } = await put(a, { json: 'secret' });
    const other = await put(a, { json: 'open' });
    const gateway = async (which: string): Promise<number> =>
      (await a.http.call({ path: `/ipfs/${which}?format=raw` })).status;
    expect(await gateway(cid)).toBe(200);
    const denied = { denied: { cid, reason: 'private' } };
    expect((await v3(a, 'PUT', `denied/${cid}`, { reason: 'private' })).json()).toMatchObject(denied);
    expect([await gateway(cid), await gateway(other.cid)]).toEqual([410, 200]);
    await scene.stop(a);
    const denyFile = join(scene.folder, 'denied.txt');
    writeFileSync(denyFile, `# not for others\n\n${other.cid} # either\n`);
    a = await scene.start('A', { gateway: { denyFile } });
    expect([await gateway(cid), await gateway(other.cid)]).toEqual([410, 410]);
    expect((await v3(a, 'GET', 'denied')).json()).toMatchObject({ totalCount: 2 });
    expect((await v3(a, 'DELETE', `denied/${other.cid}`)).status).toBe(409);
    expect((await v3(a, 'DELETE', `denied/${cid}`)).status).toBe(200);
    expect((await v3(a, 'DELETE', `denied/${cid}`)).status).toBe(404);
    expect((await v3(a, 'PUT', 'denied/x', {})).status).toBe(400);
    expect(await gateway(cid)).toBe(200);
  });

  test('a deny list that cannot be read stops the start', async () => {
    const denyFile = join(scene.folder, 'denied.txt');
    writeFileSync(denyFile, 'no CID\n');
    await expect(scene.start('C', { gateway: { denyFile } })).rejects.toMatchObject({ code: 'badConfig' });
  });
});

describe('what storing costs', () => {
  test('exactly, in whole units rounded up, with big integers as digits', async () => {
    expect((await v3(a, 'GET', 'price?bytes=1000&days=7')).json()).toMatchObject({ quote: { amount: '0' } });
    await scene.stop(a);
    const price = { numerator: 3, denominator: 1_000_000_000, currency: 'FIL' };
    a = await scene.start('A', { price });
    // 7 days are 20160 epochs of 30 s: 20160 * 1000 * 3 / 10^9 = 0.06048
    expect((await v3(a, 'GET', 'price?bytes=1000&days=7')).json()).toEqual({
      apiVersion: 'v3',
      statusCode: 200,
      quote: {
        bytes: 1000,
        days: 7,
        epochs: 20_160,
        epochSeconds: 30,
        perByteEpoch: { numerator: '3', denominator: '1000000000' },
        amount: '1',
        currency: 'FIL',
      },
    });
    const most = await v3(a, 'GET', `price?bytes=${Number.MAX_SAFE_INTEGER}&days=36500`);
    const epochs = 36_500n * 2880n;
    const amount = String((BigInt(Number.MAX_SAFE_INTEGER) * epochs * 3n + 999_999_999n) / 1_000_000_000n);
    expect(most.json()).toMatchObject({ quote: { amount } });
    for (const query of [
      '',
      '?bytes=1',
      '?bytes=0&days=1',
      '?bytes=1.5&days=1',
      '?bytes=1&days=36501',
      '?bytes=x&days=1',
    ])
      expect([query, (await v3(a, 'GET', `price${query}`)).status]).toEqual([query, 400]);
  });

  test('stands in the record of an image as it was when it was ordered', async () => {
    await scene.stop(a);
    a = await scene.start('A', { price: { numerator: 1, denominator: 1, currency: 'FIL' } });
    writeFileSync(pathOf(order.fileName), randomBytes(100));
    const before = Date.now();
    const { image } = (await v3(a, 'POST', 'image', order)).json() as { image: Record<string, unknown> };
    expect(image).toMatchObject({
      storageDuration: 7,
      cost: { amount: String(100 * 20_160), currency: 'FIL', bytes: 100, days: 7 },
    });
    expect(Number(image['expiresAt'])).toBe(Number(image['createdAt']) + 7 * 86_400_000);
    expect(Number(image['createdAt'])).toBeGreaterThanOrEqual(before);
  });
});
