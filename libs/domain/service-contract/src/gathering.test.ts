import { describe, expect, test } from '@jest/globals';
import type { EdgeId } from '@antirio/kernel';
import {
  called,
  driveCustomer,
  driveProvider,
  newEdge,
  recorded,
  terms as plain,
  tick,
} from './contract.fixture.ts';
import { createCustomer } from './customer-state.ts';
import { RELEASE_WINDOW_MS, escrowProblem, mayRelease, type ReleaseFacts } from './escrow.ts';
import { nothingDelivered } from './key-delivery.ts';
import type { CallMethod } from './messages.ts';
import type { PartyEffect, PartyEvent } from './party.ts';
import { createProvider, type ProviderState } from './provider-state.ts';
import { contractTerms, type ContractTerms } from './terms.ts';

const { customer, provider, central } = plain;
const [cloud, witness] = [newEdge(), newEdge()] as const;
const holders = [central, cloud, witness];
const terms: ContractTerms = contractTerms.parse({ ...plain, escrow: { threshold: 2, holders } });
const evidence = { lastBeatMsAgo: 700, lastSequence: 3, probesUnanswered: 3, witness: 'dead' as const };

const answer = (method: CallMethod, value: unknown, holder?: EdgeId): PartyEvent => ({
  ...{ type: 'answer', method, ok: true, value },
  ...(holder === undefined ? {} : { holder }),
});
const refusal = (method: CallMethod, code: string, holder: EdgeId): PartyEvent => ({
  ...{ type: 'answer', method, holder, ok: false, code },
});
const opened = (...by: EdgeId[]): PartyEvent =>
  answer('open', { opening: 1, releases: by.map((holder) => ({ holder, share: holder })) });
const asked = (effects: readonly PartyEffect[]): EdgeId[] =>
  effects.flatMap((effect) =>
    effect.type === 'call' && effect.method === 'share' ? [effect.args.holder] : [],
  );
const tried = (effects: readonly PartyEffect[]): unknown[] =>
  effects.flatMap((effect) =>
    effect.type === 'openKeys' ? [effect.shares?.map(({ holder }) => holder)] : [],
  );

const opening = (): ProviderState => createProvider(terms, { at: 'opening', from: 7, evidence }, 'boot-b', 0);

describe('a provider that needs two of three shares', () => {
  test('asks the others at once when its opening is recorded, and opens with the first that answers', () => {
    const recordedOne = driveProvider(opening(), opened(central), 10);
    expect(recordedOne.state.phase.at).toBe('reading');
    expect(tried(recordedOne.effects)).toEqual([]);
    const asking = driveProvider(recordedOne.state, tick, 20);
    expect(asked(asking.effects)).toEqual([cloud, witness]);
    expect(called(asking.effects)).not.toContain('take');
    const enough = driveProvider(asking.state, answer('share', { share: 'w' }, witness), 30);
    expect(tried(enough.effects)).toEqual([[central, witness]]);
    // the slow one is not asked again
    expect(asked(driveProvider(enough.state, tick, 5000).effects)).toEqual([]);
  });

  test('opens nothing with one, whatever the others say, and keeps asking them', () => {
    let { state } = driveProvider(opening(), opened(central), 10);
    const effects: PartyEffect[] = [];
    for (let now = 20; now < 30_000; now += 20) {
      const turn = driveProvider(state, tick, now);
      effects.push(...turn.effects);
      state = turn.state;
      for (const holder of asked(turn.effects)) {
        const refused = driveProvider(state, refusal('share', 'unavailable', holder), now);
        effects.push(...refused.effects);
        state = refused.state;
      }
    }
    expect(tried(effects)).toEqual([]);
    expect(called(effects)).not.toContain('take');
    expect(asked(effects).filter((one) => one === cloud).length).toBeGreaterThan(3);
  });

  test('names a holder whose share is not the one that the customer gave it', () => {
    const asking = driveProvider(driveProvider(opening(), opened(central), 10).state, tick, 20).state;
    const { effects, state } = driveProvider(asking, refusal('share', 'corrupt', cloud), 30);
    expect(effects).toEqual([{ type: 'note', milestone: 'badShare', detail: { holder: cloud } }]);
    const enough = driveProvider(state, answer('share', { share: 'w' }, witness), 40);
    expect(tried(enough.effects)).toEqual([[central, witness]]);
  });

  test('asks everybody where the keys do not open with enough shares', () => {
    const enough = driveProvider(opening(), opened(central, cloud), 10);
    expect(tried(enough.effects)).toEqual([[central, cloud]]);
    const { state } = driveProvider(enough.state, { type: 'keysRefused' }, 20);
    const seen = driveProvider(state, { type: 'observed', observed: { service: 'needsSecrets' } }, 25).state;
    const asking = driveProvider(seen, tick, 30);
    expect(asked(asking.effects)).toEqual([witness]);
    const all = driveProvider(asking.state, answer('share', { share: 'w' }, witness), 40);
    expect(tried(all.effects)).toEqual([[central, cloud, witness]]);
  });

  test('has its opening recorded anew when it is too old for a holder', () => {
    const asking = driveProvider(driveProvider(opening(), opened(central), 10).state, tick, 20).state;
    const { state } = driveProvider(asking, refusal('share', 'openingTooOld', cloud), 30);
    const needs = driveProvider(state, { type: 'observed', observed: { service: 'needsSecrets' } }, 35).state;
    expect(called(driveProvider(needs, tick, 40).effects)).toContain('open');
  });

  test('stands by again when the customer beats before there are shares enough', () => {
    const { state } = driveProvider(opening(), opened(central), 10_000);
    const beating = {
      ...state,
      watch: { ...state.watch, detector: { ...state.watch.detector, lastHeardAt: 10_100 } },
    };
    expect(driveProvider(beating, tick, 10_120).state.phase.at).toBe('ready');
  });
});

describe('a customer', () => {
  const arming = createCustomer(terms, { at: 'arming', keys: nothingDelivered }, 'boot-a', 0);
  const to = (effects: readonly PartyEffect[]): unknown[] =>
    effects.flatMap((effect) =>
      effect.type === 'call' && effect.method !== 'record' ? [[effect.method, effect.to]] : [],
    );

  test('gives every holder its share, and the provider its package only then', () => {
    const first = driveCustomer(arming, tick, 10);
    expect(to(first.effects)).toEqual(holders.map((holder) => ['keyShare', holder]));
    let { state } = driveCustomer(first.state, recorded({ state: 'VALIDATED' }), 15);
    for (const holder of [witness, central]) {
      ({ state } = driveCustomer(state, answer('keyShare', { keyVersion: 1 }, holder), 20));
      expect(to(driveCustomer(state, tick, 21).effects)).toEqual([]);
    }
    const lost = driveCustomer(state, refusal('keyShare', 'timeout', cloud), 30).state;
    const again = driveCustomer(lost, tick, 2000);
    expect(to(again.effects)).toEqual([['keyShare', cloud]]);
    ({ state } = driveCustomer(again.state, answer('keyShare', { keyVersion: 1 }, cloud), 2010));
    const last = driveCustomer(state, tick, 2020);
    expect(to(last.effects)).toEqual([['keys', provider]]);
    ({ state } = driveCustomer(last.state, answer('keys', { keyVersion: 1 }), 2030));
    expect(to(driveCustomer(state, tick, 9000).effects)).toEqual([]);
  });

  test('begins anew where its keys have changed meanwhile: parts of two versions open nothing', () => {
    let { state } = driveCustomer(arming, tick, 10);
    ({ state } = driveCustomer(state, recorded({ state: 'VALIDATED' }), 15));
    for (const holder of [central, cloud, witness])
      ({ state } = driveCustomer(state, answer('keyShare', { keyVersion: 1 }, holder), 20));
    ({ state } = driveCustomer(state, tick, 30));
    ({ state } = driveCustomer(state, answer('keys', { keyVersion: 2 }), 40));
    expect(to(driveCustomer(state, tick, 50).effects)).toEqual(holders.map((holder) => ['keyShare', holder]));
  });

  test('renews the keys of a contract that goes on when its files hold a newer version', () => {
    const stated = createCustomer(terms, { at: 'stated', epoch: 3 }, 'boot-a', 0);
    let { state } = driveCustomer(stated, recorded({ state: 'READY_EXPOSED', keyVersion: 1 }), 10);
    expect(to(driveCustomer(state, tick, 20).effects)).toEqual([]);
    ({ state } = driveCustomer(state, { type: 'observed', observed: { keyVersion: 2 } }, 30));
    const first = driveCustomer(state, tick, 40);
    expect(to(first.effects)).toEqual(holders.map((holder) => ['keyShare', holder]));
    ({ state } = first);
    for (const holder of holders)
      ({ state } = driveCustomer(state, answer('keyShare', { keyVersion: 2 }, holder), 50));
    const last = driveCustomer(state, tick, 60);
    expect(to(last.effects)).toEqual([['keys', provider]]);
    ({ state } = driveCustomer(last.state, answer('keys', { keyVersion: 2 }), 70));
    ({ state } = driveCustomer(state, recorded({ state: 'READY', keyVersion: 2 }), 80));
    const done = driveCustomer(state, tick, 90);
    expect(done.effects).toContainEqual({ type: 'note', milestone: 'rekeyed', detail: { keyVersion: 2 } });
    expect(done.state.renewal).toBeUndefined();
  });
});

test('a provider with a newer package says that it is READY with it', () => {
  const ready = createProvider(terms, { at: 'ready' }, 'boot-b', 0);
  let { state } = driveProvider(ready, recorded({ keyVersion: 1 }), 10);
  expect(called(driveProvider(state, tick, 20).effects)).not.toContain('rekey');
  ({ state } = driveProvider(state, { type: 'observed', observed: { keyVersion: 2 } }, 30));
  expect(called(driveProvider(state, tick, 40).effects)).toContain('rekey');
});

describe('a holder gives its share away', () => {
  const facts: ReleaseFacts = {
    ...{ terms, asker: provider, holder: cloud, epoch: 4, now: 1000 },
    opening: { number: 2, at: 900, epoch: 4, keyVersion: 1, rootIsProviders: true },
    contract: { state: 'READY', openings: 2 },
  };
  const number2 = facts.opening;
  if (number2 === undefined) throw new TypeError('no opening');

  test('against the newest opening of the epoch that rules', () => {
    expect(mayRelease(facts)).toEqual({ ok: true, value: undefined });
  });

  test.each<[string, Partial<ReleaseFacts>, string]>([
    ['to the customer', { asker: customer }, 'notProvider'],
    ['where it is no holder', { holder: newEdge() }, 'notHolder'],
    ['without an opening on the ledger', { opening: undefined }, 'noOpening'],
    ['against an older one', { opening: { ...number2, number: 1 } }, 'olderOpening'],
    ['against the root of another', { opening: { ...number2, rootIsProviders: false } }, 'otherRoot'],
    ['where the epoch has passed to somebody', { epoch: 5 }, 'otherEpoch'],
    ['after its time', { now: 901 + RELEASE_WINDOW_MS }, 'openingTooOld'],
  ])('not %s', (_what, change, error) => {
    expect(mayRelease({ ...facts, ...change })).toEqual({ ok: false, error });
  });

  test('to a provider that opened anew under its own epoch, and has to state what it did when that is over', () => {
    const contract = { state: 'RETURNING', openings: 2, activation: number2.epoch };
    expect(mayRelease({ ...facts, epoch: number2.epoch + 1, contract }).ok).toBe(true);
  });

  test('at any time to a provider that serves under an epoch which followed the opening', () => {
    const late = { ...facts, epoch: 5, now: 10 * RELEASE_WINDOW_MS };
    const contract = { state: 'ACTIVE', openings: 2, activation: 5 };
    expect(mayRelease({ ...late, contract }).ok).toBe(true);
    expect(mayRelease({ ...late, contract: { ...contract, state: 'READY_EXPOSED' } }).ok).toBe(false);
    expect(mayRelease({ ...late, contract: { ...contract, activation: 3 } }).ok).toBe(false);
  });
});

test('neither party holds a share, no holder twice, and no more are needed than there are', () => {
  expect(escrowProblem(terms)).toBeUndefined();
  const withHolder = (holder: EdgeId) => ({ ...terms, escrow: { threshold: 1, holders: [holder] } });
  expect(escrowProblem(withHolder(provider))).toMatch(/provider/);
  expect(escrowProblem(withHolder(customer))).toMatch(/customer/);
  expect(escrowProblem({ ...terms, opening: 'autonomous' })).toMatch(/nothing for holders/);
  const refused = (escrow: object): boolean => !contractTerms.safeParse({ ...plain, escrow }).success;
  expect(refused({ threshold: 2, holders: [cloud] })).toBe(true);
  expect(refused({ threshold: 1, holders: [cloud, cloud] })).toBe(true);
  expect(refused({ threshold: 0, holders: [] })).toBe(true);
  expect(contractTerms.parse(plain).escrow).toEqual({ threshold: 1, holders: [] });
});
