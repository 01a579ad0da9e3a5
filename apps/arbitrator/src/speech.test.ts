import { describe, expect, test } from '@jest/globals';
import { parseEdgeId } from '@antirio/kernel';
import type { ContractRecord, SpeakerRecord } from '@antirio/ledger-machine';
import { contractId, customer, provider, terms, witness as cloud } from './escrow.fixture.ts';
import { whatToSay, type Sight } from './speech.ts';

const self = parseEdgeId(cloud.edgeId);
const HOUR = 3_600_000;
const NOW = 1_800_000_000_000;

const appointed: SpeakerRecord = {
  speaker: self,
  acts: ['cancel', 'expire', 'coverage', 'roots'],
  silentMs: HOUR,
  until: NOW + 1,
  appointedAt: 0,
  heardAt: NOW - HOUR,
};
const record = (changes: object): ContractRecord =>
  ({
    ...{ id: contractId, customer: customer.edgeId, provider: provider.edgeId, setId: 'bridge' },
    ...{ life: { state: 'READY' }, openings: 0, validatedAt: NOW - HOUR, ...changes },
  }) as unknown as ContractRecord;
const sight = (changes: Partial<Sight>): Sight => ({
  ...{ self, appointed, unheardMs: HOUR, now: NOW, contract: record({}), roots: [] },
  terms: { ...terms, expiresAt: NOW + 10 * HOUR },
  ...{ set: undefined, opening: undefined, statement: undefined, claim: undefined },
  ...changes,
});
const stuck = record({ life: { state: 'VALIDATED' } });
const cancel = { to: 'ledger', act: { type: 'contract/cancel', contractId } };

describe('what is said for an edge', () => {
  test('is nothing where it was heard in the silence that it named, here or on the ledger', () => {
    expect(whatToSay(sight({ contract: stuck }))).toEqual(cancel);
    expect(whatToSay(sight({ contract: stuck, unheardMs: HOUR - 1 }))).toBeUndefined();
    const heard = { ...appointed, heardAt: NOW - HOUR + 1 };
    expect(whatToSay(sight({ contract: stuck, appointed: heard }))).toBeUndefined();
  });

  test('is nothing without its word, beyond its time, or of an act that it does not name', () => {
    for (const one of [
      undefined,
      { ...appointed, speaker: parseEdgeId(provider.edgeId) },
      { ...appointed, until: NOW },
      { ...appointed, acts: ['expire' as const, 'roots' as const] },
    ])
      expect(whatToSay(sight({ contract: stuck, appointed: one }))).toBeUndefined();
  });

  test('is nothing of a contract that is settled, or in which the speaker is the provider', () => {
    const settled = record({ life: { state: 'VALIDATED' }, settlement: { row: 'expired' } });
    expect(whatToSay(sight({ contract: settled }))).toBeUndefined();
    const own = record({ life: { state: 'VALIDATED' }, provider: self });
    expect(whatToSay(sight({ contract: own }))).toBeUndefined();
  });

  test('cancels no contract that is new, or that was READY', () => {
    const fresh = record({ life: { state: 'VALIDATED' }, validatedAt: NOW - HOUR + 1 });
    for (const contract of [fresh, record({}), record({ life: { state: 'ACTIVE' } })])
      expect(whatToSay(sight({ contract }))).toBeUndefined();
  });

  test('has a claim judged once it is answered or its time is over, and not while the provider serves', () => {
    const claimed = (until: number) => record({ coverage: { epoch: 2, until, claimedAt: 1 } });
    const rule = { to: 'ledger', act: { type: 'coverage/rule', contractId, epoch: 2 } };
    expect(whatToSay(sight({ contract: claimed(NOW) }))).toBeUndefined();
    expect(whatToSay(sight({ contract: claimed(NOW - 1) }))).toEqual(rule);
    const claim = { claim: {}, at: 1, answer: {} } as unknown as Sight['claim'];
    expect(whatToSay(sight({ contract: claimed(NOW), claim }))).toEqual(rule);
    const set = { holder: provider.edgeId, epoch: 3 } as unknown as Sight['set'];
    expect(whatToSay(sight({ contract: claimed(NOW - 1), set }))).toBeUndefined();
    const released = { ...set, released: { epoch: 3, at: 1 } } as Sight['set'];
    expect(whatToSay(sight({ contract: claimed(NOW - 1), set: released }))).toEqual(rule);
    // nothing is claimed: it is the provider's to ask for its pay
    const open = record({ coverage: { epoch: 2, until: 1 } });
    expect(whatToSay(sight({ contract: open }))).toBeUndefined();
  });
});
