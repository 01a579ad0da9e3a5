import { describe, expect, test } from '@jest/globals';
import { generateIdentity, openIdentity, signDocument } from '@antirio/kernel';
import { activationTerms, mayGiveFor, opensWhenOffline } from './activation.ts';
import { neverTookOver } from './breach.ts';
import { centralStep, createCentral, type CentralQuestion } from './central.ts';
import {
  called,
  driveCustomer,
  driveProvider,
  newEdge,
  recorded,
  refused,
  terms as shared,
  tick,
} from './contract.fixture.ts';
import { customerStep } from './customer.ts';
import { createCustomer, type CustomerState } from './customer-state.ts';
import { keepersOf, partiesIn, providersOf, type Standing } from './one-set.ts';
import type { PartyEvent } from './party.ts';
import { createProvider, type ProviderState } from './provider-state.ts';
import { providerDesires } from './provider.ts';
import { keepsOnly, relayProblem } from './relay.ts';
import { YIELD_KIND, yieldCause, type SignedWord } from './yield-word.ts';

const owner = openIdentity(generateIdentity());
const terms = { ...shared, customer: owner.edgeId, confidentiality: 'relay', disputeS: 3600 } as const;
const before = { ...terms, disputeS: undefined };
const { customer, provider, contractId } = terms;
const ring: PartyEvent = { type: 'observed', observed: { ring: { from: 7, next: 60 } } };

function wordFor(cause: SignedWord['body']['cause']): SignedWord {
  const body = { contractId, setId: terms.set.setId, epoch: 1, cause, at: 5 };
  return { ...signDocument(owner, YIELD_KIND, body), kind: YIELD_KIND };
}
const fromProvider = (datagram: Extract<PartyEvent, { type: 'datagram' }>['datagram']): PartyEvent => ({
  type: 'datagram',
  from: provider,
  datagram,
});
const vigil = fromProvider({ kind: 'vigil', body: { contractId, nonce: 'n', ringNext: 1, phase: 'ready' } });

const standing = (state: ProviderState): ProviderState =>
  driveProvider(state, recorded({ holder: customer }), 0).state;
const keeper = (): ProviderState =>
  standing(driveProvider(createProvider(terms, { at: 'ready' }, 'boot-b', 0), ring, 0).state);

/** Everything that it was asked for and did until then; nobody is heard meanwhile. */
function alone(state: ProviderState, untilMs: number) {
  const methods = new Set<string>();
  const sent = new Set<string>();
  let next = state;
  for (let now = 20; now <= untilMs; now += 20) {
    const turn = driveProvider(next, tick, now);
    next = turn.state;
    for (const method of called(turn.effects)) methods.add(method);
    for (const effect of turn.effects) if (effect.type === 'send') sent.add(effect.datagram.kind);
  }
  return { state: next, methods, sent };
}

describe('the terms of a relay contract', () => {
  const nothing = (more: object): string | undefined => relayProblem({ ...terms, ...more });
  test('are signed where they say nothing of taking over', () => {
    expect(relayProblem(terms)).toBeUndefined();
    expect(relayProblem({ ...shared, opening: 'autonomous' })).toBeUndefined();
  });

  test.each([
    ['no time for disputes', { disputeS: undefined }, /disputeS/],
    ['no sensors', { set: { ...terms.set, devices: [] } }, /no frames to keep/],
    ['whole keys', { opening: 'autonomous' }, /no keys/],
    ['holders of shares', { escrow: { threshold: 1, holders: [newEdge()] } }, /hold a share/],
    ['keys that may not be exposed', { exposed: 'refuse' }, /exposed/],
    ['root keys', { rootKeys: true }, /rootKeys/],
    ['a wait for new keys', { rekey: { waitS: 600 } }, /rekey/],
    ['drills', { drills: { ...terms.drills, perMonth: 1 } }, /in a drill/],
    ['full drills', { drills: { ...terms.drills, full: { servesMs: 1000 } } }, /full drills/],
    ['drill downlinks', { downlinkDrills: { ...terms.downlinkDrills, motes: 1 } }, /downlinks/],
    ['volumes', { volumes: { maxBytes: 4096, everyS: 60 } }, /volumes/],
    ['forwarding', { forwarding: { kind: 'http', url: 'http://cloud.example' } }, /forward/],
    ['ruled coverage', { coverage: { ...terms.coverage, breach: 'ruled' } }, /rule on/],
    ['other events', { activation: activationTerms.parse({ events: ['manual'] }) }, /activates/],
    ['several takeovers', { activation: activationTerms.parse({ takeovers: 2 }) }, /activates/],
  ])('are refused with %s', (_name, more, sentence) => {
    expect(nothing(more)).toMatch(sentence);
  });

  test('of before, without a time for disputes, mean what they meant', () => {
    expect([keepsOnly(terms), keepsOnly(before), keepsOnly(shared)]).toEqual([true, false, false]);
    expect([opensWhenOffline(terms), opensWhenOffline(before)]).toEqual([false, true]);
  });
});

describe('a provider that only keeps frames', () => {
  test('is READY with its ring alone: no service, no keys', () => {
    const fresh = createProvider(terms, { at: 'preparing' }, 'boot-b', 0);
    const known = driveProvider(fresh, recorded({ state: 'VALIDATED', holder: customer }), 0).state;
    expect(called(driveProvider(known, tick, 600).effects)).not.toContain('ready');
    const heard = driveProvider(known, ring, 600).state;
    expect(called(driveProvider(heard, tick, 620).effects)).toContain('ready');
    expect(providerDesires(heard, 620)).toMatchObject({ service: 'absent', fence: { state: 'shut' } });
  });

  test('does nothing about a customer that is silent, and does not call it deaf', () => {
    const { state, methods, sent } = alone(keeper(), 120_000);
    expect(state.phase).toEqual({ at: 'ready' });
    expect([...methods]).toEqual(['record']);
    expect([...sent]).toEqual(['vigil']);
  });

  test.each(yieldCause.options)('follows no word of its customer: %s', (cause) => {
    const told = driveProvider(keeper(), { type: 'takeOverAsked', word: wordFor(cause) }, 100);
    expect([told.state.phase.at, told.effects]).toEqual(['ready', []]);
  });

  test('does not take over as its operator tells it to', () => {
    const told = driveProvider(keeper(), { type: 'takeoverTold', by: 'night' }, 100);
    expect([told.state.phase.at, told.effects]).toEqual(['ready', []]);
  });

  test('stays where it is whatever a record says of an epoch of its own', () => {
    const said = recorded({ state: 'ACTIVE', epoch: 2, holder: provider, activation: 2 });
    expect(driveProvider(keeper(), said, 100).state.phase.at).toBe('ready');
  });

  test('that asks all the same is told so, and goes back to keeping frames', () => {
    const asking = { at: 'opening', from: 7, evidence: {} as never } as const;
    const state = createProvider(shared, asking, 'boot-b', 0);
    expect(driveProvider(state, refused('open', 'keepsOnly'), 100).state.phase.at).toBe('ready');
  });

  test('leaves READY where it hears nothing, and is in no breach for not taking over', () => {
    const silent = { gateways: [{ id: 'g', heardMsAgo: 500_000 }] };
    const heard = driveProvider(keeper(), { type: 'observed', observed: silent }, 121_000).state;
    const known = driveProvider(heard, recorded({ holder: customer }), 121_000).state;
    expect(called(driveProvider(known, tick, 121_020).effects)).toContain('degrade');
    const record = { epoch: 1, holder: customer, released: false };
    const promised = { epoch: 1, holder: customer, until: 1000 };
    expect(neverTookOver(terms, 'READY', record, promised, 10_000_000)).toBeUndefined();
    expect(neverTookOver(before, 'READY', record, promised, 10_000_000)).toBeGreaterThan(0);
  });
});

describe('the customer of a relay contract', () => {
  const guarded = (): CustomerState =>
    driveCustomer(createCustomer(terms, { at: 'guarded', epoch: 1 }, 'boot-a', 0), vigil, 5).state;

  test.each(yieldCause.options)('gives its service away for nothing: %s', (cause) => {
    expect(mayGiveFor(terms, cause)).toBe(false);
    const asked = driveCustomer(guarded(), { type: 'yieldAsked', word: wordFor(cause) }, 10);
    expect(asked.state.phase.at).toBe('guarded');
  });

  test('that takes nothing in does not say so: nobody could take over', () => {
    const bad: PartyEvent = { type: 'observed', observed: { storeOk: false } };
    const state = driveCustomer(driveCustomer(guarded(), bad, 10).state, bad, 9000).state;
    const effects = driveCustomer(state, tick, 9020).effects.map(({ type }) => type);
    expect(effects).not.toContain('lastGasp');
  });

  test('delivers no keys: neither at first nor newer ones', () => {
    const nothing = { sharesWith: [], withProvider: false };
    const arming = createCustomer(terms, { at: 'arming', keys: nothing, epoch: 1 }, 'boot-a', 0);
    const validated = driveCustomer(arming, recorded({ state: 'VALIDATED', holder: customer }), 10).state;
    expect(called(driveCustomer(validated, tick, 20).effects)).toEqual([]);
    const ready = driveCustomer(validated, recorded({ holder: customer, keyVersion: 0 }), 30).state;
    expect(ready.phase).toEqual({ at: 'guarded', epoch: 1 });
    const newer = driveCustomer(ready, { type: 'observed', observed: { keyVersion: 4 } }, 40).state;
    const later = driveCustomer(newer, tick, 60);
    expect([called(later.effects), later.state.renewal]).toEqual([[], undefined]);
  });
});

describe('the centre', () => {
  const record = { epoch: 1, holder: customer, released: true };
  const answerTo = (question: CentralQuestion): unknown[] =>
    centralStep(
      createCentral('boot-c', 0),
      { type: 'asked', id: '1', question },
      { now: 60_000, nonce: () => 'n' },
    )[1].map((one) => (one.type === 'answer' ? one.answer : one.type));

  test('neither opens for who only keeps frames nor gives it an epoch, whatever it shows', () => {
    const no = { kind: 'refused', reason: 'keepsOnly' };
    expect(answerTo({ method: 'open', terms, life: 'READY', record, word: 'counts' })).toEqual([no]);
    expect(answerTo({ method: 'open', terms, life: 'READY', record })).toEqual([no]);
    expect(answerTo({ method: 'take', terms, record, by: provider, expected: 1 })).toEqual([no]);
  });

  test('gives the customer its epoch under such a contract as under any other', () => {
    expect(answerTo({ method: 'take', terms, record, by: customer, expected: 1 })).toEqual(['submit']);
  });
});

describe('of a relay contract and another of one set', () => {
  const other = newEdge();
  const full = { ...terms, contractId: contractId.replace('6f', '7f'), provider: other };
  const insured = { ...full, confidentiality: 'process' } as const;
  const at = (one: typeof terms | typeof insured): Standing => ({
    terms: one,
    role: 'customer',
    phase: () => ({ at: 'guarded', epoch: 1 }),
  });
  const setId = terms.set.setId;

  test('only the other’s provider can be given the epoch', () => {
    expect(partiesIn([terms, insured])).toEqual([other]);
    const all = [at(terms), at(insured)];
    expect([providersOf(all, setId), keepersOf(all, setId)]).toEqual([[provider, other], [provider]]);
    const both = { ...insured, provider };
    expect(keepersOf([at(terms), at(both)], setId)).toEqual([]);
  });

  /** Whom the customer asks for a promise while the grantor is away. */
  function askedBy(providers: readonly (typeof other)[], keepers: readonly (typeof other)[]): Set<string> {
    const asked = new Set<string>();
    let state = createCustomer(terms, { at: 'guarded', epoch: 1 }, 'boot-a', -20_000);
    for (let now = 0; now <= 4000; now += 20) {
      const context = {
        now,
        wall: now,
        random: () => 0.5,
        providers: () => providers,
        keepers: () => keepers,
      };
      const [next, effects] = customerStep(state, tick, context);
      state = next;
      for (const one of effects)
        if (one.type === 'send' && one.datagram.kind === 'leaseRequest' && one.to !== terms.central)
          asked.add(one.to);
    }
    return asked;
  }

  test('the promise of who only keeps frames is not needed, but where there is no other', () => {
    expect(askedBy([provider, other], [provider])).toEqual(new Set([other]));
    expect(askedBy([provider], [provider])).toEqual(new Set([provider]));
    expect(askedBy([provider, other], [])).toEqual(new Set([provider, other]));
  });
});
