import { describe, expect, test } from '@jest/globals';
import { called, driveCustomer, driveProvider, recorded, refused, terms, tick } from './contract.fixture.ts';
import { createCustomer, type CustomerPhase } from './customer-state.ts';
import type { ContractRecord } from './messages.ts';
import { createProvider, type ProviderPhase } from './provider-state.ts';
import type { RekeyCount } from './rekey-terms.ts';

const waits = (settlesInMs: number, counted?: RekeyCount): Partial<ContractRecord> => ({
  ...{ state: 'HANDED_BACK', epoch: 3, activation: 2, handback: { epoch: 2, from: 7, through: 20 } },
  closesInMs: settlesInMs,
  rekeying: { settlesInMs, counted },
});
const statement = { contractId: terms.contractId, epoch: 2, from: 7, through: 20, devices: [] };

describe('a customer whose contract waits for new keys', () => {
  const stated: CustomerPhase = { at: 'stated', epoch: 3, about: { epoch: 2, from: 7, through: 20 } };
  const count = (rekeyed: number, waiting: number): RekeyCount => ({ rekeyed, waiting, disclosed: 0 });
  const knows = (phase: CustomerPhase, record: Partial<ContractRecord>, rekeyed?: RekeyCount) => {
    const observed = { ...(rekeyed === undefined ? {} : { rekeyed }), keyVersion: 9 };
    const seen = driveCustomer(createCustomer(terms, phase, 'boot-a', 0), { type: 'observed', observed }, 1);
    return driveCustomer(seen.state, recorded({ keyVersion: 1, ...record }), 2).state;
  };

  test('tells the ledger what it has not heard, and gives its provider no newer keys', () => {
    const told = driveCustomer(knows(stated, waits(60_000), count(0, 1)), tick, 3);
    expect(called(told.effects)).toContain('rekeyed');
    expect(called(told.effects)).not.toContain('keyShare');
    const heard = driveCustomer(knows(stated, waits(60_000, count(0, 1)), count(0, 1)), tick, 3);
    expect(called(heard.effects)).not.toContain('rekeyed');
    const more = driveCustomer(knows(stated, waits(60_000, count(0, 1)), count(1, 0)), tick, 3);
    expect(more.effects).toContainEqual(
      expect.objectContaining({
        method: 'rekeyed',
        args: { contractId: terms.contractId, rekeyed: 1, waiting: 0, disclosed: 0 },
      }),
    );
    // without the wait, newer keys go where the old ones went
    const goesOn = driveCustomer(knows(stated, { state: 'READY_EXPOSED', epoch: 3 }, count(1, 0)), tick, 3);
    expect(called(goesOn.effects)).toContain('keyShare');
    expect(called(goesOn.effects)).not.toContain('rekeyed');
  });

  test('says nothing of devices that it knows nothing of', () => {
    expect(called(driveCustomer(knows(stated, waits(0)), tick, 3).effects)).not.toContain('rekeyed');
  });

  test('whose answer was lost goes by the ledger: its statement is there', () => {
    const stating: CustomerPhase = { at: 'stating', epoch: 3, statement, counters: {} };
    const told = driveCustomer(knows(stating, waits(60_000), count(0, 1)), refused('statement', 'gone'), 3);
    expect(told.state.phase.at).toBe('stated');
    expect(called(driveCustomer(told.state, tick, 4).effects)).toContain('rekeyed');
  });
});

describe('a provider whose contract waits for new keys', () => {
  const knows = (phase: ProviderPhase, record: Partial<ContractRecord>) =>
    driveProvider(createProvider(terms, phase, 'boot-b', 0), recorded(record), 1).state;

  test.each<ProviderPhase>([
    { at: 'stated', from: 7, epoch: 2 },
    { at: 'stating', statement, counters: {} },
  ])('closes it with the end of that time, and not before: %j', (phase) => {
    expect(called(driveProvider(knows(phase, waits(1)), tick, 2).effects)).not.toContain('close');
    expect(called(driveProvider(knows(phase, waits(0)), tick, 2).effects)).toContain('close');
  });

  test('does not take over any more: the contract is over but for its payment', () => {
    let state = knows({ at: 'stated', from: 7, epoch: 2 }, waits(3_600_000));
    for (let now = 20; now < 6000; now += 20) state = driveProvider(state, tick, now).state;
    expect(state.watch.suspicion).toBeUndefined();
    const evidence = { lastBeatMsAgo: 0, lastSequence: 0, probesUnanswered: 8, witness: 'dead' } as const;
    const opening: ProviderPhase = { at: 'opening', from: 7, evidence, after: 2 };
    expect(knows(opening, waits(60_000)).phase.at).toBe('stated');
  });
});
