import { expect, test } from '@jest/globals';
import { driveProvider, recorded, terms, tick } from './contract.fixture.ts';
import { disputeEndsAt, disputedRange, followsNewRules, notRestated, restate } from './dispute.ts';
import type { ContractRecord } from './messages.ts';
import type { PartyEvent } from './party.ts';
import { createProvider } from './provider-state.ts';

const handback = { epoch: 2, from: 1, through: 9 };
const record = { state: 'HANDED_BACK', dispute: ['device x'], handback } as unknown as ContractRecord;

test('each side states again five times, after pauses that double, and anew for another epoch', () => {
  let known = notRestated;
  const at: number[] = [];
  for (let now = 0; now < 1_000_000; now += 1000) {
    const [next, isDue] = restate(known, 2, now);
    known = next;
    if (isDue) at.push(now);
  }
  expect(at).toEqual([10_000, 30_000, 70_000, 150_000, 310_000]);
  expect(restate(known, 4, 2_000_000)).toEqual([{ epoch: 4, times: 0, at: 2_000_000 }, false]);
});

test('only while the ledger says that the two differ about this epoch', () => {
  expect(disputedRange(record, 2)).toEqual(handback);
  expect(disputedRange(record, 3)).toBeUndefined();
  expect(disputedRange({ ...record, dispute: undefined }, 2)).toBeUndefined();
  expect(disputedRange({ ...record, state: 'SETTLED' }, 2)).toBeUndefined();
  expect(disputedRange(undefined, 2)).toBeUndefined();
});

test('a dispute ends by itself only where the terms say when, and from the first difference on', () => {
  expect(disputeEndsAt({ disputedAt: 1000 }, { disputeS: 60 })).toBe(61_000);
  expect(disputeEndsAt({}, { disputeS: 60 })).toBeUndefined();
  expect(disputeEndsAt({ disputedAt: 1000 }, {})).toBeUndefined();
  expect([followsNewRules({ disputeS: 60 }), followsNewRules({})]).toEqual([true, false]);
});

test('a provider opens nothing while the two differ: it could not have the epoch; it watches again once they agree', () => {
  const bound: PartyEvent = { type: 'observed', observed: { ring: { from: 1, next: 20 } } };
  const stated = createProvider(terms, { at: 'stated', from: 1, epoch: 2 }, 'boot-b', 0);
  const silence = (told: Partial<ContractRecord>): string => {
    const mine = { epoch: 3, holder: terms.customer, activation: 2, handback, ...told };
    let state = driveProvider(driveProvider(stated, bound, 0).state, recorded(mine), 10).state;
    for (let now = 20; now <= 6000; now += 20) {
      state = driveProvider(state, tick, now).state;
      const witness: PartyEvent = { type: 'answer', method: 'witness', ok: true, value: { heard: false } };
      if (state.watch.suspicion?.witness === 'asked') state = driveProvider(state, witness, now).state;
    }
    return state.phase.at;
  };
  expect(silence({ state: 'HANDED_BACK', dispute: ['device x'] })).toBe('stated');
  expect(silence({ state: 'READY_EXPOSED' })).toBe('opening');
  // told to, or begun before it was known
  const evidence = { lastBeatMsAgo: 0, lastSequence: 0, probesUnanswered: 0, witness: 'unasked' } as const;
  const opening = createProvider(terms, { at: 'opening', from: 1, evidence, after: 2 }, 'boot-b', 0);
  const differs = recorded({ state: 'HANDED_BACK', dispute: ['device x'], activation: 2, handback });
  expect(driveProvider(opening, differs, 10).state.phase).toEqual({ at: 'stated', from: 1, epoch: 2 });
});
