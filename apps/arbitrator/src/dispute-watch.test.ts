import { beforeEach, expect, test } from '@jest/globals';
import { silentLog } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { createPatientSubmit } from './patient-submit.ts';
import { settleDisputes, type DisputeWatch } from './dispute-watch.ts';

const id = 'd1b8a6f2-8b34-4b19-9a08-2c70e0f6d501';
const EXPIRES_AT = 100_000_000_000;
const rootAt = (last: number) => ({
  ...{ contractId: id, root: 'aa', count: last, through: last, incarnation: 'life' },
});
let now = 0;
let through = 0;
let incarnation: string | undefined = 'life';
let contract: Record<string, unknown> = {};
let submitted: { type: string }[] = [];
let holder = 'A';
let refuses = false;
let queueFull = false;

const answer = async (payload: { type: string }): Promise<Readonly<Record<string, unknown>>> => {
  submitted.push(payload);
  if (queueFull) throw new AntirioError('busy', 'too many transactions wait');
  if (refuses) throw new AntirioError('conflict', 'there is still time', { txId: 'aa' });
  return {};
};

const watch = {
  clock: { now: () => now, monotonic: () => now },
  facts: {
    termsOf: async () => ({ disputeS: 60, maxActiveS: 60, expiresAt: EXPIRES_AT, takeoverSlaMs: 10_000 }),
    setOf: async () => ({ holder }),
  },
  submit: createPatientSubmit(
    { submit: async (payload) => answer(payload) },
    { clock: { monotonic: () => now }, random: { bytes: (count) => new Uint8Array(count).fill(128) } },
  ),
  log: silentLog,
  ledger: {
    range: async () => [contract],
  },
} as unknown as DisputeWatch;

beforeEach(() => {
  now = 1000;
  through = 50;
  incarnation = 'life';
  submitted = [];
  holder = 'A';
  refuses = false;
  queueFull = false;
  contract = {
    ...{ id, setId: 's', provider: 'B', openings: 1, activation: { epoch: 2, at: 500 } },
    ...{ life: { state: 'HANDED_BACK' }, dispute: ['device x'], disputedAt: 1000 },
  };
  const found: Readonly<Record<string, () => unknown>> = {
    contract: () => contract,
    opening: () => ({ root: rootAt(40), rootSignature: 's', at: 400 }),
    statement: () => ({ statement: { through, incarnation } }),
  };
  Object.assign(watch.ledger, {
    fetch: async (key: string) => found[key.split('/')[0] ?? '']?.(),
  });
});

test('a dispute is left to the two until its time is over, and then closed', async () => {
  await settleDisputes(watch);
  expect(submitted).toEqual([]);
  now = 61_000;
  await settleDisputes(watch);
  expect(submitted).toEqual([{ type: 'contract/close', contractId: id }]);
});

test('nothing is asked of the ledger while the provider serves again: it would refuse it', async () => {
  now = 61_000;
  holder = 'B';
  await settleDisputes(watch);
  expect(submitted).toEqual([]);
  holder = 'A';
  await settleDisputes(watch);
  expect(submitted).toHaveLength(1);
});

test('what the ledger refuses is said ever more seldom: a refusal stays in its log for ever', async () => {
  now = 61_000;
  refuses = true;
  for (let i = 0; i < 2160; i++) {
    await settleDisputes(watch);
    now += 10_000;
  }
  expect(submitted.length).toBeGreaterThan(10);
  expect(submitted.length).toBeLessThan(20);
  refuses = false;
  now += 3_700_000;
  await settleDisputes(watch);
  await settleDisputes(watch);
  expect(submitted.at(-1)).toEqual({ type: 'contract/close', contractId: id });
});

test('a ledger whose queue is full has refused nothing: it is asked as ever', async () => {
  now = 61_000;
  queueFull = true;
  for (let i = 0; i < 20; i++) {
    await settleDisputes(watch);
    now += 10_000;
  }
  expect(submitted).toHaveLength(20);
});

test('a dispute of before, which the ledger does not end, is asked about no more', async () => {
  const { disputedAt: _none, ...old } = contract;
  contract = old;
  now = 1_000_000_000;
  await settleDisputes(watch);
  expect(submitted).toEqual([]);
});

test('a provider that states less than it signed for at the opening is ruled in breach at once', async () => {
  through = 39;
  await settleDisputes(watch);
  expect(submitted).toMatchObject([
    {
      type: 'contract/rule',
      ruling: { row: 'providerBreach', evidence: { kind: 'statementBelowRoot', root: { by: 'B' } } },
    },
  ]);
});

test('a root of after the takeover, or of another life of the ring, proves nothing', async () => {
  through = 39;
  incarnation = 'another';
  await settleDisputes(watch);
  incarnation = undefined;
  await settleDisputes(watch);
  incarnation = 'life';
  contract = { ...contract, activation: { epoch: 2, at: 399 } };
  await settleDisputes(watch);
  expect(submitted).toEqual([]);
});

test('what is not in dispute is not looked at', async () => {
  now = 1_000_000;
  contract = { ...contract, dispute: undefined };
  await settleDisputes(watch);
  contract = { ...contract, dispute: ['x'], life: { state: 'READY' } };
  await settleDisputes(watch);
  expect(submitted).toEqual([]);
});

test('what nobody states is closed a week after the provider could serve no longer', async () => {
  contract = { ...contract, dispute: undefined, life: { state: 'ACTIVE' } };
  now = 500 + 60_000 + 7 * 86_400_000 - 1;
  await settleDisputes(watch);
  expect(submitted).toEqual([]);
  now += 1;
  await settleDisputes(watch);
  expect(submitted).toEqual([{ type: 'contract/close', contractId: id }]);
});

test('a contract whose time is over is ended, once a takeover at its very end would have come', async () => {
  for (const state of ['VALIDATED', 'READY', 'READY_EXPOSED', 'DEGRADED', 'HANDED_BACK']) {
    contract = { ...contract, dispute: undefined, life: { state } };
    now = EXPIRES_AT + 69_999;
    submitted = [];
    await settleDisputes(watch);
    expect(submitted).toEqual([]);
    now += 1;
    await settleDisputes(watch);
    expect([state, submitted]).toEqual([state, [{ type: 'contract/expire', contractId: id }]]);
  }
});

test('nothing is ended by its time that is over, or that something is to be settled of first', async () => {
  now = EXPIRES_AT + 80_000;
  const owed = { epoch: 2, at: EXPIRES_AT, owed: true };
  for (const change of [
    { life: { state: 'SETTLED' } },
    { life: { state: 'EXPIRED' } },
    { life: { state: 'ACTIVE' }, activation: owed },
    { life: { state: 'HANDED_BACK' }, activation: owed },
    { life: { state: 'READY_EXPOSED' }, coverage: { epoch: 2, until: 1, claimedAt: 1 } },
  ]) {
    contract = { ...contract, dispute: undefined, activation: undefined, coverage: undefined, ...change };
    await settleDisputes(watch);
    expect([change, submitted]).toEqual([change, []]);
  }
  contract = { ...contract, coverage: undefined, activation: owed, served: { takeovers: 1, epoch: 2 } };
  await settleDisputes(watch);
  expect(submitted).toEqual([{ type: 'contract/expire', contractId: id }]);
});
