import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { silentLog, systemClock, waitFor, type HttpCall, type HttpPeer } from '@antirio/host';
import { sha256Hex, verifyDocument } from '@antirio/kernel';
import {
  LENT_DOWNLINK_KIND,
  LENT_TOPIC,
  contractTerms,
  lentSample,
  signedLoan,
} from '@antirio/service-contract';
import { openContractStore, type ContractStore } from './contract-store.ts';
import { createDownlinkDrills, type DownlinkDrills } from './downlink-drills.ts';
import { customer, terms as plain } from './escrow.fixture.ts';
import { keptShares, shareName } from './downlink-shares.ts';

const devices = [0, 1].map((i) => ({ devEui: `00000000000000a${i}`, devAddr: `0000000${i}` }));
const [first] = devices;
const terms = contractTerms.parse({
  ...plain,
  set: { ...plain.set, devices },
  downlinkDrills: { motes: 1, everyS: 600, forReady: 1 },
});
const { contractId } = terms;
const FRAME = '60'.repeat(14);
const request = {
  ...{ requestId: 'r', devAddr: first?.devAddr, uplink: '40'.repeat(14), phyPayload: FRAME, leftMs: 1500 },
  windows: [{ delayUs: 1e6, frequency: 868_100_000, power: 14, bandwidth: 125_000, spreadingFactor: 7 }],
};

let folder = '';
let store: ContractStore;
let drills: DownlinkDrills;
let called: string[];
let bodies: Map<string, unknown>;
let published: { topic: string; message: unknown }[];
let submitted: unknown[];
/** By the end of the path; an error's status where it is a number. */
let answers: Record<string, unknown>;
let phase = 'arming';

const peer: HttpPeer = {
  call: async ({ path, json }: HttpCall) => {
    const name = path.split('/').slice(-2).join('/');
    called.push(name);
    bodies.set(name, json);
    const answer = answers[name];
    const status = typeof answer === 'number' ? answer : 200;
    const body = Buffer.from(JSON.stringify(answer ?? {}));
    return { status, headers: new Headers(), body, json: () => answer ?? {} };
  },
  close: () => undefined,
} as unknown as HttpPeer;
const outcomes = (): unknown[] =>
  published.filter(({ topic }) => topic.endsWith('/outcome')).map(({ message }) => message);
const say = (what: 'onSend' | 'onResult', message: unknown): void =>
  drills[what]('', Buffer.from(JSON.stringify(message)));
const until = async (is: () => unknown): Promise<void> => {
  expect(await waitFor(systemClock, 5000, () => (is() ? true : undefined))).toBe(true);
};
const sampled = (): Promise<unknown> => until(() => published.some(({ topic }) => topic.endsWith('/sample')));

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'downlink-drills-'));
  store = openContractStore(join(folder, 'contracts.db'));
  store.put({ terms, role: 'customer', signatures: {} } as never);
  [called, published, submitted, phase] = [[], [], [], 'arming'];
  bodies = new Map();
  answers = {
    'lent/offer': { offer: 'ab'.repeat(16) },
    [`${terms.set.setId}/lend`]: { fcnt: 3, epoch: 7, hash: sha256Hex(Buffer.from(FRAME, 'hex')) },
    'lent/send': { status: 'OK' },
  };
  drills = createDownlinkDrills({
    ports: {
      ...{ identity: customer, clock: systemClock, log: silentLog },
      peers: { edge2edge: peer, gatewayBridge: peer },
      bus: {
        publish: async (topic: string, payload: string) => {
          published.push({ topic, message: JSON.parse(payload) as unknown });
        },
      },
    } as never,
    store,
    ledger: { submit: async (payload: unknown) => submitted.push(payload) } as never,
    addresses: ({ set }) => set.devices,
  });
  drills.drive({ terms, role: 'customer', phase: () => ({ at: phase }) as never, record: () => undefined });
});
afterEach(async () => {
  await drills.stop();
  store.close();
  rmSync(folder, { recursive: true });
});

describe('a drill downlink', () => {
  test('is offered by the provider first, past our own fence then, and lent by our signature', async () => {
    await sampled();
    expect(published[0]).toMatchObject({
      ...{ topic: `${LENT_TOPIC}/sample`, message: { devAddrs: [first?.devAddr] } },
    });
    say('onSend', request);
    await until(() => outcomes().length > 0);
    expect(called).toEqual(['lent/offer', `${terms.set.setId}/lend`, 'lent/send']);
    expect(outcomes()).toEqual([{ requestId: 'r', outcome: 'sent' }]);
    const loan = signedLoan.parse((bodies.get('lent/send') as { loan: unknown }).loan);
    expect(verifyDocument(loan, LENT_DOWNLINK_KIND)).toBe(true);
    expect(loan.body).toMatchObject({ contractId, epoch: 7, fcnt: 3, offer: 'ab'.repeat(16) });
    // once for each sample
    say('onSend', { ...request, requestId: 's' });
    await until(() => outcomes().length > 1);
    expect(outcomes()[1]).toMatchObject({ outcome: 'notSent' });
  });

  test.each([
    ['without an offer nothing passes our fence', 'lent/offer', 404, 'notSent', 1],
    ['what our fence refuses leaves nobody', 'set/lend', 403, 'notSent', 2],
    ['a provider that says no has sent nothing', 'lent/send', 409, 'notSent', 3],
    ['of a provider that says nothing nobody knows', 'lent/send', 503, 'unsure', 3],
    [
      'nor where its gateway said nothing',
      'lent/send',
      { status: 'INTERNAL_ERROR', refused: 'noTxAck' },
      'unsure',
      3,
    ],
    ['its gateway was too late', 'lent/send', { status: 'TOO_LATE', refused: 'tooLate' }, 'notSent', 3],
  ])('%s', async (_what, path, answer, outcome, calls) => {
    answers[path === 'set/lend' ? `${terms.set.setId}/lend` : path] = answer;
    await sampled();
    say('onSend', request);
    await until(() => outcomes().length > 0);
    expect(outcomes()[0]).toMatchObject({ outcome });
    expect(called).toHaveLength(calls);
  });

  test('that was answered is kept, told to the provider, and to the ledger that READY waits for', async () => {
    await sampled();
    say('onSend', request);
    await until(() => outcomes().length > 0);
    say('onResult', { devAddr: first?.devAddr, answered: true, margin: 9 });
    expect(keptShares(store, contractId)).toMatchObject([{ devEui: first?.devEui, results: '1', margin: 9 }]);
    await until(() => submitted.length > 0 && called.includes('lent/result'));
    expect(submitted).toEqual([{ type: 'drill/downlinks', contractId, sampled: 1, answered: 1 }]);
    // of what nobody sent there is no answer
    say('onResult', { devAddr: first?.devAddr, answered: true });
    expect(keptShares(store, contractId)[0]?.results).toBe('1');
  });

  test('is asked for by nobody who does not guard its own sensors', async () => {
    phase = 'standby';
    drills.sampleNow(contractId);
    say('onSend', request);
    await until(() => outcomes().length > 0);
    expect(outcomes()[0]).toMatchObject({ outcome: 'notSent' });
    expect(called).toEqual([]);
  });

  test('comes soon again from a provider that sensors do not hear: it may have mended its antenna', async () => {
    await drills.leave(contractId);
    const downlinkDrills = {
      ...terms.downlinkDrills,
      ...{ everyS: 86_400, forReady: 0, degradedBelow: 900 },
    };
    const other = { ...terms, downlinkDrills, contractId: '7f0c0d5e-54a1-4cb6-9d0e-0a2f6a1b7c33' };
    store.put({ terms: other, role: 'customer', signatures: {} } as never);
    store.putDocument(other.contractId, 'downlinkSampledAt', Date.now() - 120_000);
    const share = { devEui: first?.devEui ?? '', results: '0000', at: 1 };
    store.putDocument(other.contractId, shareName(share.devEui), share);
    published = [];
    drills.drive({
      ...{ terms: other, role: 'customer', phase: () => ({ at: phase }) as never },
      record: () => ({ state: 'DEGRADED' }) as never,
    });
    await sampled();
  });

  test('of a sensor that is not heard in its turn does not keep the others from theirs', async () => {
    const asked = (): unknown[] =>
      published
        .filter(({ topic }) => topic.endsWith('/sample'))
        .map(({ message }) => (message as { devAddrs: unknown }).devAddrs);
    for (let turn = 1; turn <= 3; turn++) {
      if (turn > 1) drills.sampleNow(contractId);
      await until(() => asked().length >= turn);
    }
    const [one, other] = devices.map(({ devAddr }) => [devAddr]);
    expect(asked()).toEqual([one, other, one]);
  });

  test('of a sensor that another contract samples waits for its turn, and is counted', async () => {
    await sampled();
    const [one, two] = devices.map(({ devAddr }) => devAddr);
    const others = ['7f0c0d5e-54a1-4cb6-9d0e-0a2f6a1b7c33', '7f0c0d5e-54a1-4cb6-9d0e-0a2f6a1b7c34'];
    const told = (): unknown => published.findLast(({ topic }) => topic.endsWith('/sample'))?.message;
    const waiting = (): number => drills.counts.all().get('notSampled') ?? 0;
    for (const [i, id] of others.entries()) {
      const downlinkDrills = { ...terms.downlinkDrills, motes: 2, forReady: 0 };
      const other = { ...terms, downlinkDrills, contractId: id };
      store.put({ terms: other, role: 'customer', signatures: {} } as never);
      const phaseOf = (): never => ({ at: phase }) as never;
      drills.drive({ terms: other, role: 'customer', phase: phaseOf, record: () => undefined });
      // of the second one's two sensors one, of the third one's none
      await until(() => waiting() === [1, 3][i]);
    }
    expect(told()).toMatchObject({ devAddrs: [one, two] });
    say('onSend', request);
    await until(() => outcomes().length > 0);
    say('onResult', { devAddr: one, answered: true });
    const [id] = others;
    expect([contractId, id ?? ''].map((each) => keptShares(store, each).length)).toEqual([1, 0]);
    // that one is free now
    await until(() => waiting() === 4);
    expect(told()).toMatchObject({ devAddrs: [two, one] });
  });

  test('is told to the device service with those of all contracts', async () => {
    const many = Array.from({ length: 128 }, (_, i) => ({
      devEui: `00000000000001${i.toString(16).padStart(2, '0')}`,
      devAddr: `000001${i.toString(16).padStart(2, '0')}`,
    }));
    await drills.leave(contractId);
    for (const id of ['7f0c0d5e-54a1-4cb6-9d0e-0a2f6a1b7c33', '7f0c0d5e-54a1-4cb6-9d0e-0a2f6a1b7c34']) {
      const set = { ...terms.set, devices: many };
      const other = { ...terms, set, downlinkDrills: { ...terms.downlinkDrills, motes: 64 }, contractId: id };
      store.put({ terms: other, role: 'customer', signatures: {} } as never);
      const phaseOf = (): never => ({ at: phase }) as never;
      drills.drive({ terms: other, role: 'customer', phase: phaseOf, record: () => undefined });
    }
    const told = (): number =>
      lentSample.parse(published.findLast(({ topic }) => topic.endsWith('/sample'))?.message).devAddrs.length;
    await until(() => told() === 128);
  });
});
