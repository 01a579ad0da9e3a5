import { describe, expect, test } from '@jest/globals';
import {
  called,
  driveCustomer,
  driveProvider,
  newEdge,
  recorded,
  refused,
  terms,
  tick,
} from './contract.fixture.ts';
import { centralStep, createCentral, type CentralQuestion, type CentralState } from './central.ts';
import { createCustomer, type CustomerPhase, type CustomerState } from './customer-state.ts';
import { customerDesires } from './customer.ts';
import type { ContractRecord, Evidence } from './messages.ts';
import type { PartyEvent } from './party.ts';
import { YIELD_KIND } from './yield-word.ts';
import { createProvider, type ProviderPhase, type ProviderState } from './provider-state.ts';
import { providerDesires } from './provider.ts';

/** Another provider of the same set. */
const other = newEdge();
const evidence: Evidence = { lastBeatMsAgo: 700, lastSequence: 3, probesUnanswered: 3, witness: 'dead' };
const ring: PartyEvent = { type: 'observed', observed: { ring: { from: 1, next: 1 } } };
const heldByOther: Partial<ContractRecord> = { epoch: 2, holder: other, leaseRuns: true };

function provider(phase: ProviderPhase, now = 0): ProviderState {
  return driveProvider(createProvider(terms, phase, 'boot-b', now), ring, now).state;
}

/** Ticks on, with the record that central gives whenever it is asked; says which other calls were made. */
function waits(state: ProviderState, from: number, forMs: number, record: Partial<ContractRecord>) {
  const calls: string[] = [];
  let now = from;
  let next = state;
  for (; now < from + forMs; now += 20) {
    const ticked = driveProvider(next, tick, now);
    next = ticked.state;
    for (const method of called(ticked.effects)) {
      if (method !== 'record') calls.push(method);
      if (method === 'record') next = driveProvider(next, recorded(record), now).state;
      if (method === 'witness')
        next = driveProvider(next, { type: 'answer', method, ok: true, value: { heard: false } }, now).state;
    }
  }
  return { state: next, now, calls };
}

describe('of two providers, the one that was not first', () => {
  test.each(['opening', 'reading'] as const)(
    'stands down while it is %s: it closes its keys and collects on',
    (at) => {
      const phase: ProviderPhase = at === 'opening' ? { at, from: 1, evidence } : { at, from: 1 };
      const { state, effects } = driveProvider(provider(phase), recorded(heldByOther), 100);
      expect(state.phase).toEqual({ at: 'ready' });
      expect(effects).toContainEqual({ type: 'note', milestone: 'stoodDown', detail: {} });
      expect(providerDesires(state, 100)).toMatchObject({ fence: { state: 'shut' }, service: 'standby' });
    },
  );

  test('stands down when the grantor says so', () => {
    const { state } = driveProvider(provider({ at: 'reading', from: 1 }), refused('take', 'otherHolds'), 100);
    expect(state.phase).toEqual({ at: 'ready' });
    const again = provider({ at: 'reading', from: 1, after: 4 });
    expect(driveProvider(again, refused('take', 'otherHolds'), 100).state.phase).toMatchObject({
      at: 'stated',
      epoch: 4,
    });
  });

  test('wants nothing while the first serves, and its turn when the lease of that one has ended and the customer is still dead', () => {
    const start = driveProvider(provider({ at: 'ready' }), recorded(heldByOther), 0).state;
    const waited = waits(start, 20, 20_000, heldByOther);
    expect(waited.calls).toEqual([]);
    expect(waited.state.phase.at).toBe('ready');
    const gone = waits(waited.state, waited.now, 1500, { ...heldByOther, leaseRuns: false });
    expect(gone.calls).toContain('open');
    expect(gone.state.phase).toMatchObject({ at: 'opening' });
    const reading: ProviderState = { ...gone.state, phase: { at: 'reading', from: 1 } };
    const record = recorded({ ...heldByOther, leaseRuns: false });
    const { state } = driveProvider(reading, record, gone.now);
    const { effects } = driveProvider(state, tick, gone.now + 20);
    expect(effects).toContainEqual(
      expect.objectContaining({ method: 'take', args: { contractId: terms.contractId, expected: 2 } }),
    );
  });
});

function customer(phase: CustomerPhase): CustomerState {
  return createCustomer(terms, phase, 'boot-a', 0);
}
const after = (state: CustomerState, record: Partial<ContractRecord>, now: number) =>
  driveCustomer(state, recorded(record), now);

describe("the customer's machine of the contract whose provider does not hold the epoch", () => {
  test.each(['guarded', 'stated'] as const)('that is %s does not act, asks for no lease and waits', (at) => {
    const { state, effects } = after(customer({ at, epoch: 1 }), heldByOther, 10_000);
    expect(effects).toEqual([{ type: 'note', milestone: 'fenced', detail: { epoch: 2, holder: other } }]);
    expect(customerDesires(state, 10_000).fence).toEqual({ state: 'shut' });
    for (let now = 10_020; now < 15_000; now += 20) {
      const ticked = driveCustomer(state, tick, now);
      expect(
        ticked.effects.filter((one) => one.type === 'send' && one.datagram.kind === 'leaseRequest'),
      ).toEqual([]);
      expect(called(ticked.effects).filter((method) => method !== 'record')).toEqual([]);
    }
  });

  test('acts again under the epoch that another contract of ours brought back, when nothing older can be on air', () => {
    const aside = after(customer({ at: 'guarded', epoch: 1 }), heldByOther, 10_000).state;
    const back = after(aside, { epoch: 3, holder: terms.customer, quietMs: 1500 }, 20_000);
    expect(back.state.phase).toEqual({ at: 'guarded', epoch: 3 });
    expect(back.state.acting.lease).toMatchObject({ epoch: 3, until: 0 });
    expect(back.state.acting.lease.actFrom).toBeGreaterThanOrEqual(21_500);
  });

  test('states what its own provider heard, where that one had the epoch before it died', () => {
    const owed = { state: 'RETURNING', activation: 2 };
    const aside = after(
      customer({ at: 'guarded', epoch: 1 }),
      { ...owed, epoch: 3, holder: other },
      10_000,
    ).state;
    const back = after(aside, { ...owed, epoch: 4, holder: terms.customer }, 20_000);
    expect(back.state.phase).toEqual({ at: 'retaken', epoch: 4, providerEpoch: 2 });
    const recovering = after(
      customer({ at: 'recovering', epoch: 2 }),
      { ...owed, epoch: 3, holder: other },
      10_000,
    ).state;
    const too = after(recovering, { ...owed, epoch: 4, holder: terms.customer }, 20_000);
    expect(too.state.phase).toEqual({ at: 'retaken', epoch: 4, providerEpoch: 2 });
  });

  test('does so too where it had given its word to a provider that died before we were back', () => {
    const body = {
      contractId: terms.contractId,
      setId: 'bridge',
      epoch: 1,
      cause: 'planned',
      at: 0,
    } as const;
    const word = { kind: YIELD_KIND, by: terms.customer, body, signature: '' } as const;
    const owed = { state: 'RETURNING', activation: 2 };
    const yielded = customer({ at: 'yielded', epoch: 1, word });
    const back = after(yielded, { ...owed, epoch: 4, holder: terms.customer }, 20_000);
    expect(back.state.phase).toEqual({ at: 'retaken', epoch: 4, providerEpoch: 2 });
  });

  test('takes the epoch back where the other provider is gone, and with it perhaps its contract', () => {
    const free = { ...heldByOther, leaseRuns: false };
    const aside = after(customer({ at: 'guarded', epoch: 1 }), free, 10_000).state;
    expect(called(driveCustomer(aside, tick, 10_020).effects)).not.toContain('take');
    expect(called(driveCustomer(aside, tick, 11_020).effects)).toContain('take');
  });
});

describe('the central arbitrator', () => {
  const ask = (state: CentralState, question: CentralQuestion, now: number) =>
    centralStep(state, { type: 'asked', id: 'q', question }, { now, nonce: () => 'n' });
  const record = { epoch: 2, holder: other, released: false };
  const take: CentralQuestion = { method: 'take', terms, record, by: terms.provider, expected: 2 };
  const open: CentralQuestion = { method: 'open', terms, life: 'READY', record };

  /** The other provider has just taken epoch 2. */
  function taken(): CentralState {
    const by = { ...terms, provider: other, contractId: '6f1b2b52-4a3d-4c86-9f0e-a7d1c45be030' };
    const before = { epoch: 1, holder: terms.customer, released: false };
    const [begun] = ask(
      createCentral('boot', 0),
      { method: 'take', terms: by, record: before, by: other, expected: 1 },
      10_000,
    );
    return centralStep(begun, { type: 'recorded', id: 'q', ok: true }, { now: 10_000, nonce: () => 'n' })[0];
  }

  test('gives neither keys nor epoch to a second provider while the first may act', () => {
    for (const question of [take, open]) {
      const [, effects] = ask(taken(), question, 12_000);
      expect(effects).toEqual([
        { type: 'answer', id: 'q', answer: { kind: 'refused', reason: 'otherHolds' } },
      ]);
    }
  });

  test('gives both when the lease of the first has ended', () => {
    expect(ask(taken(), take, 13_100)[1]).toMatchObject([
      { type: 'submit', submission: { kind: 'take', customerLeaseEndedMsAgo: null } },
    ]);
    expect(ask(taken(), open, 13_100)[0].pending).toMatchObject({ q: { at: 'lives' } });
  });

  test('lets whoever served before open its keys again for what it has to state', () => {
    const [, effects] = ask(taken(), { ...open, life: 'RETURNING' }, 12_000);
    expect(effects).toMatchObject([{ answer: { kind: 'opened' } }]);
  });
});
