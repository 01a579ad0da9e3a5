import { beforeEach, describe, expect, test } from '@jest/globals';
import type { HttpAnswer, HttpCall } from '@antirio/host';
import { silentLog } from '@antirio/host';
import {
  type AntirioError,
  fromBase64,
  generateIdentity,
  openIdentity,
  toBase64,
  utf8,
} from '@antirio/kernel';
import { askingEdge, createRelay, type Relay } from './relay.ts';
import type { RelayedRequest } from './relay-wire.ts';
import { HEADERS, signAnswer } from './request-signature.ts';

const [a, b, c] = [1, 2, 3].map(() => openIdentity(generateIdentity()));
if (a === undefined || b === undefined || c === undefined) throw new RangeError('three identities');
const id = '33333333-2222-4333-8444-555555555555';
const nonce = `${'0'.repeat(32)}.x`;
const body = utf8('{"offers":[]}');

let life = 'READY';
let now = 0;
let sent: HttpCall[] = [];
let answered: HttpAnswer;
let relay: Relay;

const answer = (
  by = b,
  about: Partial<{ body: Uint8Array; status: number; nonce: string }> = {},
): HttpAnswer => {
  const said = { status: about.status ?? 200, contentType: 'application/json', body: about.body ?? body };
  const signature = signAnswer(by, { ...said, to: a.edgeId, nonce: about.nonce ?? nonce });
  const headers = {
    'content-type': said.contentType,
    [HEADERS.challenge]: 'f'.repeat(32),
    [HEADERS.answer]: signature,
  };
  return { status: said.status, headers, body: said.body, json: () => undefined };
};
const asked = (change: Partial<RelayedRequest> = {}): RelayedRequest => ({
  ...{ to: b.edgeId, method: 'GET', path: `/gateway-bridge/api/v3/ring/${id}/offers?after=0` },
  ...{ nonce, signature: 'c2ln', body: '' },
  ...change,
});

beforeEach(() => {
  life = 'READY';
  now = 0;
  sent = [];
  answered = answer();
  relay = createRelay({
    options: { enabled: true, directMs: 1000, requestsPerSecond: 5, bytesPerSecond: 1000 },
    clock: { now: () => 0, monotonic: () => now },
    log: silentLog,
    record: (key) =>
      Promise.resolve(
        key === `contract/${id}`
          ? { customer: a.edgeId, provider: b.edgeId, life: { state: life } }
          : undefined,
      ),
    send: (_to, call) => {
      sent.push(call);
      return Promise.resolve(answered);
    },
  });
});

describe('the centre carries', () => {
  test('a request as it was signed, in the name of who brought it, and the signed answer', async () => {
    const carried = await relay.carry(a.edgeId, asked());
    expect(Buffer.from(fromBase64(carried.body)).toString()).toBe('{"offers":[]}');
    expect(carried.signature).toBe(answered.headers[HEADERS.answer]);
    expect(sent[0]?.headers).toEqual({
      [HEADERS.edge]: a.edgeId,
      [HEADERS.to]: b.edgeId,
      [HEADERS.nonce]: nonce,
      [HEADERS.signature]: 'c2ln',
    });
    expect(relay.counters()).toEqual({ carried: 1, bytes: body.length, refused: 0, failed: 0 });
  });

  test('only between the two parties of a contract that lives', async () => {
    const notParties = [
      relay.carry(c.edgeId, asked()),
      relay.carry(a.edgeId, asked({ to: c.edgeId })),
      relay.carry(a.edgeId, asked({ to: a.edgeId })),
      relay.carry(a.edgeId, asked({ path: asked().path.replace(/^(.*ring.)3/, '$14') })),
    ];
    for (const one of notParties) await expect(one).rejects.toMatchObject({ code: 'forbidden' });
    for (const over of ['SETTLED', 'CANCELLED', 'EXPIRED', 'BREACHED']) {
      now += 10_000;
      life = over;
      await expect(relay.carry(a.edgeId, asked())).rejects.toMatchObject({ code: 'forbidden' });
    }
    expect([sent.length, relay.counters().refused]).toEqual([0, 8]);
  });

  test('only what is for this way', async () => {
    const paths = [
      `/arbitrator/arbitrator/v1/contract/${id}/return`,
      `/gateway-bridge/api/v3/ring/${id}/stream?after=0`,
      `/gateway-bridge/api/v3/ring/${id}/offers/../../fence`,
      '/edge2edge/api/v3/ping',
      '/ledger/ledger/v1/head',
      'http://127.0.0.1/gateway-bridge/api/v3/ring',
    ];
    for (const path of paths)
      await expect(relay.carry(a.edgeId, asked({ path }))).rejects.toMatchObject({ code: 'notFound' });
    const large = toBase64(new Uint8Array((64 << 10) + 1));
    await expect(relay.carry(a.edgeId, asked({ body: large }))).rejects.toMatchObject({ code: 'tooLarge' });
    expect(sent).toEqual([]);
    expect(() => askingEdge(undefined)).toThrow('only other edges');
  });

  test('no answer that the other edge has not signed for this request', async () => {
    const others = [
      answer(c),
      answer(b, { nonce: `${'0'.repeat(32)}.y` }),
      { ...answer(), body: utf8('{}') },
    ];
    for (const other of others) {
      answered = other;
      await expect(relay.carry(a.edgeId, asked())).rejects.toMatchObject({ code: 'unavailable' });
    }
    // the challenge is told without a signature, and nothing with it
    answered = { ...answer(c, { status: 401 }), body: utf8('whatever') };
    const stale = await relay.carry(a.edgeId, asked());
    expect(stale).toEqual({
      status: 401,
      contentType: '',
      challenge: 'f'.repeat(32),
      signature: '',
      body: '',
    });
    expect(relay.counters().failed).toBe(3);
  });

  test('so many requests and bytes, and no more', async () => {
    const codes = async (times: number): Promise<string[]> => {
      const got: string[] = [];
      for (let i = 0; i < times; i++)
        got.push(
          await relay.carry(a.edgeId, asked()).then(
            () => 'ok',
            (error: unknown) => (error as AntirioError).code,
          ),
        );
      return got;
    };
    expect((await codes(12)).filter((code) => code === 'busy')).toHaveLength(2);
    now += 10_000;
    answered = answer(b, { body: utf8(JSON.stringify('x'.repeat(3000))) });
    // the answer that goes beyond it is the last one for three seconds
    expect(await codes(3)).toEqual(['ok', 'busy', 'busy']);
    now += 1000;
    expect(await codes(1)).toEqual(['busy']);
    now += 1500;
    expect(await codes(1)).toEqual(['ok']);
    now += 60_000;
    answered = answer();
    const held = createHeld();
    const many = [1, 2, 3].map(() => held.relay.carry(a.edgeId, asked()));
    await expect(many[2]).rejects.toMatchObject({ code: 'busy' });
    held.release();
    await Promise.all(many.slice(0, 2));
  });
});

/** A relay whose other edge takes its time. */
function createHeld(): { relay: Relay; release: () => void } {
  let release: () => void = () => undefined;
  const wait = new Promise<void>((resolve) => {
    release = resolve;
  });
  const slow = createRelay({
    options: { enabled: true, directMs: 1000, requestsPerSecond: 50, bytesPerSecond: 100_000 },
    clock: { now: () => 0, monotonic: () => now },
    log: silentLog,
    record: () => Promise.resolve({ customer: a?.edgeId, provider: b?.edgeId, life: { state: 'ACTIVE' } }),
    send: () => wait.then(() => answered),
  });
  return { relay: slow, release: () => release() };
}
