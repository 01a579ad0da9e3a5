import { describe, expect, test } from '@jest/globals';
import { neverTookOver } from './breach.ts';
import { grantedSet } from './grantor.ts';
import {
  centralStep,
  createCentral,
  type CentralEffect,
  type CentralEvent,
  type CentralQuestion,
  type CentralState,
} from './central.ts';
import { terms } from './contract.fixture.ts';

const { customer, provider } = terms;
const record = { epoch: 1, holder: customer, released: false };
const start = createCentral('boot-c', 0);

function step(
  state: CentralState,
  event: CentralEvent,
  now: number,
): readonly [CentralState, readonly CentralEffect[]] {
  return centralStep(state, event, { now, nonce: () => 'n1' });
}

const asked = (id: string, question: CentralQuestion): CentralEvent => ({ type: 'asked', id, question });
const open: CentralQuestion = { method: 'open', terms, life: 'READY', record };
const take = (by = provider, expected = 1): CentralQuestion => ({
  method: 'take',
  terms,
  record,
  by,
  expected,
});
const answers = (effects: readonly CentralEffect[]): unknown[] =>
  effects.flatMap((effect) => (effect.type === 'answer' ? [effect.answer] : []));

const noncesOf = (effects: readonly CentralEffect[]): string[] =>
  effects.flatMap((effect) =>
    effect.type === 'send' && effect.datagram.kind === 'probe' ? [effect.datagram.body.nonce] : [],
  );
const probeReply = (nonce = '', from = customer): CentralEvent => ({ type: 'probeReply', from, nonce });

/** Ticks as often as the witness looks. */
function tickThrough(state: CentralState, from: number, until: number) {
  const all: CentralEffect[] = [];
  let next = state;
  for (let now = from; now <= until; now += 10) {
    const [after, effects] = step(next, { type: 'tick' }, now);
    next = after;
    all.push(...effects);
  }
  return { state: next, effects: all };
}

/** The customer's lease, renewed at that time. */
function renewed(state: CentralState, now: number): CentralState {
  const facts = { record, leaseMs: terms.leaseMs, slot: 0 };
  const request = { setId: 'bridge', epoch: 1, bootId: 'boot-a', sequence: 1, reserve: [] };
  const challenge = `boot-c.${Math.floor(now / 250)}`;
  const event = {
    type: 'leaseRequest',
    from: customer,
    request: { ...request, challenge },
    facts,
    receivedAt: now,
  } as const;
  return step(state, event, now)[0];
}

describe('the central arbitrator', () => {
  test('opens keys only after it has found the customer dead itself', () => {
    const [waiting] = step(start, asked('1', open), 10_000);
    const { state, effects } = tickThrough(waiting, 10_000, 10_300);
    expect(new Set(noncesOf(effects)).size).toBe(8);
    expect(effects).toContainEqual({ type: 'submit', id: '1', submission: { kind: 'open' } });
    expect(answers(step(state, { type: 'recorded', id: '1', ok: true }, 10_400)[1])).toEqual([
      { kind: 'opened' },
    ]);
  });

  test('opens nothing while the customer answers its probes', () => {
    const [asking] = step(start, asked('1', open), 10_000);
    const { state: waiting, effects: probes } = tickThrough(asking, 10_000, 10_020);
    const [first, last] = [noncesOf(probes)[0], noncesOf(probes).at(-1)];
    for (const nonce of [first, last])
      expect(answers(step(waiting, probeReply(nonce), 10_030)[1])).toEqual([
        { kind: 'refused', reason: 'customerLives' },
      ]);
    for (const ignored of [probeReply(last, provider), probeReply('n1'), probeReply('')])
      expect(step(waiting, ignored, 10_030)[1]).toEqual([]);
  });

  test('counts no answer to an old question for another one, nor one to a probe that is not sent yet', () => {
    const [one] = step(start, asked('1', { method: 'witness', customer }), 10_000);
    const { state: concluded, effects: old } = tickThrough(one, 10_000, 10_300);
    const [two] = centralStep(concluded, asked('2', { method: 'witness', customer }), {
      now: 20_000,
      nonce: () => 'n2',
    });
    const { state: waiting, effects: probes } = tickThrough(two, 20_000, 20_000);
    const { effects: later } = tickThrough(waiting, 20_010, 20_020);
    for (const nonce of [...noncesOf(old), ...noncesOf(later)])
      expect(step(waiting, probeReply(nonce), 20_005)[1]).toEqual([]);
    expect(noncesOf(probes)).toHaveLength(4);
    for (const nonce of noncesOf(probes))
      expect(answers(step(waiting, probeReply(nonce), 20_005)[1])).toEqual([
        { kind: 'witness', heard: true },
      ]);
  });

  test('takes no silence for death that it slept through', () => {
    const [waiting] = step(start, asked('1', { method: 'witness', customer }), 10_000);
    const before = step(waiting, { type: 'tick' }, 10_000);
    const [woken, effects] = step(before[0], { type: 'tick' }, 15_000);
    expect(answers(effects)).toEqual([]);
    for (const nonce of [...noncesOf(before[1]), ...noncesOf(effects)])
      expect(answers(step(woken, probeReply(nonce), 15_010)[1])).toEqual([{ kind: 'witness', heard: true }]);
  });

  test('tells a provider that waits for the epoch when the customer has renewed its lease since', () => {
    const leased = renewed(start, 10_000);
    const [first, refused] = step(leased, asked('1', take()), 11_000);
    expect(answers(refused)).toMatchObject([{ kind: 'refused', reason: 'leaseRuns' }]);
    const [, again] = step(first, asked('2', take()), 11_200);
    expect(answers(again)).toMatchObject([{ reason: 'leaseRuns' }]);
    const [, holds] = step(renewed(first, 11_300), asked('3', take()), 11_400);
    expect(answers(holds)).toEqual([{ kind: 'refused', reason: 'customerHolds' }]);
  });

  test('lets a taker whose answer was lost wait for what is still on air, however short its lease is', () => {
    const question = {
      ...take(),
      terms: { ...terms, leaseMs: 500 },
      record: { ...record, epoch: 2, holder: provider },
    };
    const [, effects] = step(start, asked('1', question), 10_000);
    expect(answers(effects)).toEqual([{ kind: 'taken', epoch: 2, actAfterMs: 3000 }]);
  });

  test('gives the next epoch to anybody but the provider that has served out', () => {
    const record2 = { epoch: 2, holder: provider, released: true };
    const question = (by: typeof provider) => ({ ...take(by, 2), record: record2, servedOut: true });
    const refused = step(start, asked('1', question(provider)), 10_000)[1];
    expect(answers(refused)).toEqual([{ kind: 'refused', reason: 'servedOut' }]);
    expect(step(start, asked('1', question(customer)), 10_000)[1]).toMatchObject([{ type: 'submit' }]);
  });

  test('answers a take with what the ledger made of it', () => {
    const [taking, effects] = step(start, asked('1', take()), 10_000);
    expect(effects).toMatchObject([
      { type: 'submit', submission: { kind: 'take', holderLeaseEndedMsAgo: null } },
    ]);
    expect(answers(step(taking, { type: 'recorded', id: '1', ok: true }, 10_100)[1])).toEqual([
      { kind: 'taken', epoch: 2, actAfterMs: 2960 },
    ]);
    expect(answers(step(taking, { type: 'recorded', id: '1', ok: false }, 10_100)[1])).toEqual([
      { kind: 'failed' },
    ]);
  });
});

describe('a breach', () => {
  const promised = { epoch: 1, holder: customer, until: 10_000 };

  test('is that nobody took the epoch for longer than agreed after the lease that we promised', () => {
    expect(neverTookOver(terms, 'READY', record, promised, 10_000 + terms.takeoverSlaMs)).toBeUndefined();
    expect(neverTookOver(terms, 'READY', record, promised, 10_001 + terms.takeoverSlaMs)).toBe(60_001);
  });

  test.each(['READY', 'READY_EXPOSED', 'DEGRADED'])(
    'is one of a provider that is %s and does nothing',
    (life) => {
      const late = 10_001 + terms.takeoverSlaMs;
      expect(neverTookOver({ ...terms, disputeS: 60 }, life, record, promised, late)).toBe(60_001);
    },
  );

  test('is none of who stands by with keys that it has seen where the ledger does not keep since when', () => {
    const late = 10_001 + terms.takeoverSlaMs;
    expect(neverTookOver(terms, 'READY_EXPOSED', record, promised, late)).toBeUndefined();
    expect(neverTookOver(terms, 'DEGRADED', record, promised, late)).toBe(60_001);
  });

  test('is none as long as the customer acts by promises, by a word no older than our own challenge', () => {
    const acts = (heard: string, epoch: number, now: number) =>
      grantedSet(
        step(start, { type: 'acts', setId: terms.set.setId, epoch, heard, leaseMs: 3000 }, now)[0].grantor,
        terms.set.setId,
      ).acts;
    const bootId = start.grantor.bootId;
    const made = start.grantor.startedAt + 400 * 250;
    const shown = acts(`${bootId}.400`, 1, made + 60_000);
    expect(shown).toEqual({ epoch: 1, until: made + 3060 });
    const late = made + 3060 + terms.takeoverSlaMs;
    expect(neverTookOver(terms, 'READY', record, promised, late)).toBeDefined();
    expect(neverTookOver(terms, 'READY', record, promised, late, shown)).toBeUndefined();
    expect(neverTookOver(terms, 'READY', record, promised, late + 1, shown)).toBe(terms.takeoverSlaMs + 1);
    const ofOther = acts(`${bootId}.400`, 2, made);
    expect(neverTookOver(terms, 'READY', record, promised, late, ofOther)).toBeDefined();
    for (const heard of ['other.400', `${bootId}.999999`, `${bootId}.x`, bootId, ''])
      expect(acts(heard, 1, made)).toBeUndefined();
  });

  test('is never found by a grantor that promised nothing itself, nor after the epoch has moved', () => {
    const late = 1_000_000;
    expect(neverTookOver(terms, 'READY', record, undefined, late)).toBeUndefined();
    expect(neverTookOver(terms, 'ACTIVE', record, promised, late)).toBeUndefined();
    expect(
      neverTookOver(terms, 'READY', { ...record, epoch: 2, holder: provider }, promised, late),
    ).toBeUndefined();
    expect(neverTookOver(terms, 'READY', { ...record, released: true }, promised, late)).toBeUndefined();
  });
});
