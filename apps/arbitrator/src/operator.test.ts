import { expect, test } from '@jest/globals';
import { generateIdentity, openIdentity, signDocument, type Identity } from '@antirio/kernel';
import type { CustomerPhase, PartyEvent, ProviderPhase } from '@antirio/service-contract';
import type { Contracts } from './contracts.ts';
import type { ContractStore, Note } from './contract-store.ts';
import { FORCE_KIND, createOperator, holdOf, signedForce } from './operator.ts';
import type { ArbitratorPorts } from './options.ts';

const ID = '6f1b2b52-4a3d-4c86-9f0e-a7d1c45be02f';
const edge = openIdentity(generateIdentity());
const ann = openIdentity(generateIdentity());

function setting(
  role: 'customer' | 'provider',
  phase: CustomerPhase | ProviderPhase,
  ledgerTime?: number,
  more: object = {},
) {
  let now = 1000;
  let at = phase;
  const posted: PartyEvent[] = [];
  const notes: Note[] = [];
  const documents = new Map<string, unknown>();
  const terms = { contractId: ID, set: { setId: 'bridge' }, ...more };
  const driver = {
    ...{ terms, role },
    phase: () => at,
    ledgerTime: () => ledgerTime,
    post(event: PartyEvent) {
      posted.push(event);
      if (event.type === 'yieldAsked') at = { at: 'yielding', epoch: 1, word: event.word };
    },
  };
  const contracts = { get: () => ({ role }), drivers: new Map([[ID, driver]]) } as unknown as Contracts;
  const store = {
    note: (_id: string, note: Note) => notes.push(note),
    document: (id: string, name: string) => documents.get(`${id}/${name}`),
    putDocument: (id: string, name: string, value: unknown) => documents.set(`${id}/${name}`, value),
  } as unknown as ContractStore;
  let drawn = 0;
  const ports = {
    identity: edge,
    clock: { now: () => now, monotonic: () => now },
    random: { bytes: (count: number) => new Uint8Array(count).fill((drawn += 1)) },
    log: { warn: () => undefined },
  } as unknown as ArbitratorPorts;
  const operator = createOperator({ operatorKeys: [ann.edgeId] }, ports, contracts, store);
  const force = (by: Identity, act: string, challenge: string) =>
    signedForce.parse(signDocument(by, FORCE_KIND, { contractId: ID, act, challenge }));
  return {
    ...{ operator, posted, notes, store, force },
    pass: (ms: number) => (now += ms),
    becomes: (phase: CustomerPhase) => (at = phase),
  };
}

const recovering: CustomerPhase = { at: 'recovering', epoch: 2, waits: 'told' };

test('a forced return takes two signatures over one fresh challenge', () => {
  const { operator, posted, force, notes, pass } = setting('customer', recovering);
  const fresh = (): string => operator.challenge(ID).challenge;
  const refusal = (confirmation: ReturnType<typeof force>): unknown => {
    try {
      return operator.giveBack(ID, 'ann', confirmation);
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  const stranger = openIdentity(generateIdentity());
  expect(refusal(force(stranger, 'return', fresh()))).toBe('forbidden');
  expect(refusal(force(edge, 'return', fresh()))).toBe('forbidden');
  expect(refusal(force(ann, 'takeover', fresh()))).toBe('forbidden');
  expect(refusal(force(ann, 'return', 'made up'))).toBe('forbidden');
  const forged = { ...force(stranger, 'return', fresh()), by: ann.edgeId };
  expect(refusal(forged)).toBe('unauthenticated');
  const late = force(ann, 'return', fresh());
  pass(121_000);
  expect(refusal(late)).toBe('forbidden');
  expect(posted).toEqual([]);
  const good = force(ann, 'return', fresh());
  expect(refusal(good)).toEqual({ phase: 'recovering' });
  expect(posted).toEqual([{ type: 'returnTold', forced: true }]);
  expect(refusal(good)).toBe('forbidden');
  const confirmations = [{ by: edge.edgeId }, { by: ann.edgeId }];
  expect(notes).toMatchObject([
    { milestone: 'operator', detail: { act: 'return', by: 'ann', confirmations } },
  ]);
});

test('what is held comes back by force only, and the hold is kept', () => {
  const { operator, posted, store } = setting('customer', recovering);
  operator.hold(ID, true, 'ann');
  expect(holdOf(store, ID)).toMatchObject({ held: true, by: 'ann' });
  expect(() => operator.giveBack(ID, 'ann')).toThrow('held');
  operator.hold(ID, false, 'ben');
  expect(holdOf(store, ID)).toBeUndefined();
  operator.giveBack(ID, 'ann');
  expect(posted.map(({ type }) => type)).toEqual(['held', 'held', 'returnTold']);
});

test('only a guarded customer hands over, with a word that it signs', () => {
  const { operator, posted } = setting('customer', { at: 'guarded', epoch: 1 });
  expect(operator.handOver(ID, 'ann')).toEqual({ phase: 'yielding' });
  expect(posted).toMatchObject([
    { type: 'yieldAsked', word: { by: edge.edgeId, body: { contractId: ID, epoch: 1, cause: 'planned' } } },
  ]);
  expect(() => setting('customer', recovering).operator.handOver(ID, 'ann')).toThrow('recovering');
  expect(() => setting('provider', { at: 'ready' }).operator.handOver(ID, 'ann')).toThrow('provider');
});

test('a word is dated by the ledger’s time as the centre told it, by our own clock only where it did not', () => {
  const dateOf = (ledgerTime?: number): unknown => {
    const { operator, posted } = setting('customer', { at: 'guarded', epoch: 1 }, ledgerTime);
    operator.handOver(ID, 'ann');
    return posted.map((event) => event.type === 'yieldAsked' && event.word.body.at);
  };
  expect(dateOf(900_000)).toEqual([900_000]);
  expect(dateOf()).toEqual([1000]);
});

test('of a relay contract nothing is handed over, taken over or drilled, and it is said why', () => {
  const relay = { confidentiality: 'relay', disputeS: 60 };
  const ours = setting('customer', { at: 'guarded', epoch: 1 }, undefined, relay);
  const never = /keeps frames and has no keys, it never takes over/;
  expect(() => ours.operator.handOver(ID, 'ann')).toThrow(never);
  expect(() => ours.operator.drill(ID, 'ann', false)).toThrow(never);
  expect(() => ours.operator.drill(ID, 'ann', true)).toThrow(never);
  const theirs = setting('provider', { at: 'ready' }, undefined, relay);
  const { challenge } = theirs.operator.challenge(ID);
  const confirmation = theirs.force(ann, 'takeover', challenge);
  expect(() => theirs.operator.takeOver(ID, 'ann', confirmation)).toThrow(never);
  expect([...ours.posted, ...theirs.posted, ...ours.notes, ...theirs.notes]).toEqual([]);
});

test('a forced takeover takes a confirmation, and a provider that stands by', () => {
  const { operator, posted, force } = setting('provider', { at: 'ready' });
  const { challenge } = operator.challenge(ID);
  operator.takeOver(ID, 'ann', force(ann, 'takeover', challenge));
  expect(posted).toEqual([{ type: 'takeoverTold', by: 'ann' }]);
});

test('a last gasp waits for the release, but not for ever', async () => {
  const { operator, pass, becomes, posted } = setting('customer', { at: 'guarded', epoch: 1 });
  const over = operator.lastGasp('terminating', 4000);
  expect(posted).toMatchObject([{ type: 'yieldAsked', word: { body: { cause: 'terminating' } } }]);
  pass(5000);
  await over;
  becomes(recovering);
  await operator.lastGasp('terminating', 4000);
  expect(posted).toHaveLength(1);
});

function twoProviders(first: CustomerPhase['at']) {
  let now = 0;
  const asked: number[] = [];
  const phases: { at: string; epoch: number }[] = [
    { at: 'guarded', epoch: 1 },
    { at: 'guarded', epoch: 1 },
  ];
  const drivers = phases.map((phase, n) => ({
    ...{ terms: { contractId: ID, set: { setId: 'bridge' } }, role: 'customer', phase: () => phase },
    ledgerTime: () => undefined,
    post() {
      asked.push(n);
      phase.at = 'yielding';
      if (n === 0 && first !== 'yielding') phase.at = first;
    },
  }));
  const ports = {
    identity: edge,
    clock: { now: () => now, monotonic: () => (now += 100) },
    log: { warn: () => undefined },
  } as unknown as ArbitratorPorts;
  const contracts = { drivers: new Map(drivers.entries()) } as unknown as Contracts;
  const operator = createOperator({ operatorKeys: [] }, ports, contracts, {} as ContractStore);
  return { operator, asked };
}

test.each([
  ['recovering', 'terminating', [0]],
  ['yielded', 'terminating', [0, 1]],
  ['yielding', 'heat', [0]],
  ['guarded', 'heat', [0, 1]],
] as const)(
  'of two providers the second has the word only where the first does not serve: %s, %s',
  async (first, cause, expected) => {
    const { operator, asked } = twoProviders(first);
    await operator.lastGasp(cause, 2000);
    expect(asked).toEqual(expected);
  },
);
