import { beforeEach, describe, expect, test } from '@jest/globals';
import type { HttpCall, HttpPeer, HttpRim } from '@antirio/host';
import { AntirioError, sha256Hex, signDocument, type Identity } from '@antirio/kernel';
import { LENT_DOWNLINK_KIND, contractTerms } from '@antirio/service-contract';
import { customer, provider, terms as plain } from './escrow.fixture.ts';
import { createLentCounts, type LentCounts } from './lent-counts.ts';
import { addLentRoutes } from './lent-routes.ts';

const FRAME = '60'.repeat(14);
const terms = contractTerms.parse({ ...plain, downlinkDrills: { motes: 1 } });
const { contractId, set } = terms;
const [device] = set.devices;
const loanBody = {
  ...{ contractId, offer: 'ab'.repeat(16), setId: set.setId, epoch: 7, devAddr: device?.devAddr ?? '' },
  ...{ fcnt: 3, hash: sha256Hex(Buffer.from(FRAME, 'hex')) },
};
const loanOf = (change: object = {}, by: Identity = customer): unknown => ({
  ...signDocument(by, LENT_DOWNLINK_KIND, { ...loanBody, ...change }),
  kind: LENT_DOWNLINK_KIND,
});

type Handler = (given: { params: { id: string }; body: unknown; request: unknown }) => unknown;
let handlers: Map<string, Handler>;
let kept: Map<string, unknown>;
let calls: HttpCall[];
let counts: LentCounts;
let phase: string;
let now: number;
let agreed = terms;

beforeEach(() => {
  handlers = new Map();
  kept = new Map();
  [calls, counts] = [[], createLentCounts()];
  [phase, now, agreed] = ['ready', 1000, terms];
  const rim = {
    route: (_method: string, path: string, _about: object, handler: Handler) =>
      void handlers.set(path.split('/').at(-1) ?? '', handler),
  } as unknown as HttpRim;
  const bridge = {
    call: async (call: HttpCall) => {
      calls.push(call);
      const answer = call.path.endsWith('/send') ? { status: 'OK' } : { offer: 'ab'.repeat(16) };
      return { status: 200, body: Buffer.from('{}'), json: () => answer };
    },
  } as unknown as HttpPeer;
  addLentRoutes(rim, {
    ...{ bridge, counts, clock: { monotonic: () => now } },
    store: {
      putDocument: (_id, name, value) => void kept.set(name, value),
      putDocuments: (_id, named) => {
        for (const [name, value] of named) kept.set(name, value);
      },
    },
    phaseOf: () => phase,
    fromCustomer: (_id, request) => {
      if (request.get('x') !== customer.edgeId) throw new AntirioError('forbidden', 'another edge');
      return { terms: agreed, role: 'provider', signatures: {} } as never;
    },
  });
});

const ask = async (what: string, body: unknown, by: string = customer.edgeId): Promise<unknown> =>
  handlers.get(what)?.({ params: { id: contractId }, body, request: { get: () => by } });
const windowOf = (spreadingFactor: number) => ({
  ...{ delayUs: 1e6, frequency: 868_100_000, power: 14, bandwidth: 125_000, spreadingFactor },
});
const offer = (): Promise<unknown> => ask('offer', { uplink: '40'.repeat(14) });
const send = (loan: unknown): Promise<unknown> =>
  ask('send', { loan, phyPayload: FRAME, windows: [windowOf(7)] });

describe('a provider that is lent a downlink', () => {
  test('has its gateway send it in the customer’s block, and keeps its word', async () => {
    expect(await offer()).toEqual({ offer: 'ab'.repeat(16) });
    expect(await send(loanOf())).toEqual({ status: 'OK' });
    expect(calls[1]?.json).toMatchObject({
      offer: 'ab'.repeat(16),
      epoch: 7,
      fcnt: 3,
      slot: terms.slots.customer,
    });
    expect(kept.get('lentDownlink')).toMatchObject({ body: loanBody });
    expect(counts.all().get('sentForCustomer')).toBe(1);
  });

  test.each([
    ['that somebody else signed', () => loanOf({}, provider), 'unauthenticated'],
    ['of another contract', () => loanOf({ contractId: crypto.randomUUID() }), 'unauthenticated'],
    ['of another set', () => loanOf({ setId: 'other' }), 'unauthenticated'],
    [
      'that was changed',
      () => ({ ...(loanOf() as object), body: { ...loanBody, fcnt: 4 } }),
      'unauthenticated',
    ],
    ['of other bytes', () => loanOf({ hash: '00'.repeat(32) }), 'invalidInput'],
  ])('sends none %s', async (_what, make, code) => {
    await expect(send(make())).rejects.toMatchObject({ code });
    expect(calls).toEqual([]);
  });

  test('does so for its customer only, where the terms say it, and beside no takeover', async () => {
    await expect(ask('offer', {}, 'stranger')).rejects.toMatchObject({ code: 'forbidden' });
    phase = 'reading';
    await expect(offer()).rejects.toMatchObject({ code: 'conflict' });
    await expect(send(loanOf())).rejects.toMatchObject({ code: 'conflict' });
    [phase, agreed] = ['ready', contractTerms.parse(plain)];
    await expect(offer()).rejects.toMatchObject({ code: 'forbidden' });
    expect(calls).toEqual([]);
  });

  test('offers so many an hour, and no more', async () => {
    for (let i = 0; i < 64; i++) await offer();
    await expect(offer()).rejects.toMatchObject({ code: 'busy' });
    now += 3_600_001;
    await offer();
    expect(calls).toHaveLength(65);
  });

  test('gives one customer so much time on air an hour, and no more', async () => {
    const slow = { loan: loanOf(), phyPayload: FRAME, windows: [windowOf(7), windowOf(12)] };
    // 14 bytes at SF12: 1155 ms
    for (let i = 0; i < 8; i++) await ask('send', slow);
    await expect(ask('send', slow)).rejects.toMatchObject({ code: 'busy' });
    now += 3_600_001;
    await ask('send', slow);
    expect(calls).toHaveLength(9);
    expect(counts.all().get('overQuota')).toBe(1);
  });

  test('keeps what sensors answered, of its customer’s set alone', async () => {
    const share = { devEui: device?.devEui, results: '10', at: 5 };
    expect(await ask('result', { shares: [share] })).toEqual({ kept: 1 });
    expect(kept.get(`downlink/${device?.devEui}`)).toEqual(share);
    const foreign = { ...share, devEui: 'ff'.repeat(8) };
    await expect(ask('result', { shares: [foreign] })).rejects.toMatchObject({ code: 'invalidInput' });
  });
});
