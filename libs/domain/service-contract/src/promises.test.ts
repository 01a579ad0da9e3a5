import { describe, expect, test } from '@jest/globals';
import { createCustomer } from './customer-state.ts';
import { customerStep } from './customer.ts';
import { datagramSchemas, type Datagram } from './messages.ts';
import type { PartyEvent } from './party.ts';
import { leaseBy } from './promises.ts';
import { EARLIER, LATER, createPair, other, recorded, terms } from './promises.fixture.ts';
import { createPromiser, type Sibling } from './promiser.ts';

const { setId } = terms.set;

describe('a customer whose grantor is silent', () => {
  test('acts on by the promise of its provider, and says on whose word', () => {
    const pair = createPair();
    pair.run(1400);
    expect(pair.acts()).toBe(false);
    pair.run(12_000);
    expect([pair.acts(), pair.open(), leaseBy(pair.customer().acting, pair.now())]).toEqual([
      true,
      true,
      'promises',
    ]);
    expect(pair.told()).toEqual([{ by: 'promises', epoch: 1, of: [terms.provider] }]);
    expect(pair.sent.every((one) => datagramSchemas[one.kind].safeParse(one.body).success)).toBe(true);
  });

  test('does not where one of several providers does not answer', () => {
    const pair = createPair();
    pair.setProviders([terms.provider, other]);
    pair.run(12_000);
    expect([pair.acts(), pair.open()]).toEqual([false, false]);
  });

  test('does not where its provider knows of one that it does not', () => {
    const pair = createPair();
    pair.toProvider(recorded({ parties: [terms.customer, terms.provider, other], challenge: 'c.0' }));
    pair.run(12_000);
    expect(pair.acts()).toBe(false);
  });

  test('does again once nobody names any longer whoever did not answer, and asks that one no more', () => {
    const pair = createPair();
    pair.setProviders([terms.provider, other]);
    pair.toProvider(recorded({ parties: [terms.customer, terms.provider, other], challenge: 'c.0' }));
    pair.run(6000);
    pair.setProviders([terms.provider]);
    pair.run(12_000);
    // its provider still names it
    expect([pair.acts(), pair.customer().acting.told]).toEqual([false, [terms.provider, other]]);
    pair.toProvider(recorded({ parties: [terms.customer, terms.provider], challenge: 'c.0' }));
    pair.run(16_000);
    expect([pair.acts(), pair.customer().acting.told]).toEqual([true, [terms.provider]]);
    // and not where our own contract is with it
    pair.setProviders([terms.provider, other]);
    pair.run(20_000);
    expect(pair.acts()).toBe(false);
  });

  test('does not where its provider has just started, for one lease', () => {
    const pair = createPair({ startedAt: 0 });
    pair.run(3000);
    expect(pair.acts()).toBe(false);
    pair.run(9000);
    expect(pair.acts()).toBe(true);
  });

  test('does not before its provider has heard the ledger once since its start: its disk may have forgotten an epoch of its own', () => {
    const pair = createPair({ isTold: false });
    pair.run(12_000);
    expect(pair.acts()).toBe(false);
    pair.toProvider(recorded({}));
    pair.run(16_000);
    expect(pair.acts()).toBe(true);
  });

  test('does while its provider asks the ledger anew, which does not answer: what that said since its start is known', () => {
    const isKnown: PartyEvent = { type: 'answer', method: 'rekey', ok: true, value: {} };
    const pair = createPair();
    pair.toProvider(isKnown);
    expect(pair.provider().record).toBeUndefined();
    pair.run(12_000);
    expect(pair.acts()).toBe(true);
    // nor is a third party forgotten
    const three = createPair();
    three.toProvider(recorded({ parties: [terms.customer, terms.provider, other], challenge: 'c.0' }));
    three.toProvider(isKnown);
    three.run(12_000);
    expect([three.acts(), three.customer().acting.told]).toEqual([false, [terms.provider, other]]);
  });

  test('asks nobody but the grantor while that answers', () => {
    const pair = createPair();
    for (let i = 0; i < 300; i++) {
      pair.step();
      const { lease, bootId, sequence } = pair.customer().acting;
      const [asked] = lease.outstanding.slice(-1);
      if (asked === undefined) continue;
      const answer = { setId, epoch: 1, bootId, sequence: sequence - 1, challenge: 'c.0' };
      const body = { ...answer, leaseMs: terms.leaseMs, blocks: [] };
      pair.toCustomer({ type: 'datagram', from: terms.central, datagram: { kind: 'leaseGrant', body } });
    }
    expect(pair.sent.filter(({ kind }) => kind === 'leaseRequest')).toEqual([]);
    expect(leaseBy(pair.customer().acting, pair.now())).toBe('grantor');
  });

  test('answers that are stale again and again are no reason to ask more than twice as often', () => {
    const pair = createPair();
    const requests = (): number => pair.sent.filter(({ kind }) => kind === 'leaseRequest').length;
    for (let now = 0; now < 12_000; now = pair.now()) {
      pair.step();
      const { lease, bootId, peers } = pair.customer().acting;
      const { sequence = 0 } = peers[terms.provider] ?? {};
      const answer = { setId, epoch: lease.epoch, bootId, sequence: sequence - 1, challenge: 'another.1' };
      const body = { ...answer, reason: 'stale', current: 1, holder: terms.customer } as const;
      const datagram: Datagram = { kind: 'leaseRefused', body };
      pair.toCustomer({ type: 'datagram', from: terms.provider, datagram });
    }
    expect(requests()).toBeGreaterThan(10);
    expect(requests()).toBeLessThanOrEqual((2 * 12_000) / (terms.leaseMs / 4));
  });
});

describe('of two live contracts of one pair over one set', () => {
  const sibling = (changes: Partial<Sibling>): Sibling => ({
    ...{ contractId: LATER, other: terms.customer, isSilent: false, acted: 0 },
    promiser: createPromiser('boot-y', terms.leaseMs, -20_000),
    ...changes,
  });
  const promises = (changes: Partial<Sibling>): boolean => {
    const pair = createPair();
    pair.setSiblings([sibling(changes)]);
    pair.run(4000);
    return pair.acts();
  };

  test('one machine of the provider answers, while the other neither acts nor could under a later epoch', () => {
    expect(promises({})).toBe(true);
    expect(promises({ contractId: EARLIER })).toBe(false);
    expect(promises({ contractId: EARLIER, isSilent: true })).toBe(true);
    expect(promises({ acted: 1 })).toBe(false);
    const { promiser } = sibling({});
    expect(promises({ promiser: { ...promiser, newest: 2 } })).toBe(false);
    expect(promises({ isSilent: true, acted: 3 })).toBe(false);
  });

  test('a promise of one binds the other: it assumes no epoch before it is over, and acts when that is off the air', () => {
    const pair = createPair({ phase: { at: 'reading', from: 7 } });
    pair.toProvider(recorded({}));
    const { promiser } = sibling({});
    pair.setSiblings([sibling({ promiser: { ...promiser, promisedAt: 4000, until: 5000, epoch: 1 } })]);
    const own = recorded({ state: 'ACTIVE', epoch: 2, holder: terms.provider, activation: 2 });
    pair.toProvider({ type: 'answer', method: 'take', ok: true, value: { epoch: 2, actAfterMs: 0 } });
    pair.toProvider(own);
    pair.run(4980);
    pair.toProvider(own);
    expect(pair.provider().phase.at).toBe('reading');
    pair.run(5020);
    pair.toProvider(own);
    expect(pair.provider().phase).toMatchObject({ at: 'active', epoch: 2 });
    expect(pair.provider().acting.lease.actFrom).toBeGreaterThanOrEqual(5000 + (3000 * 1.02) / 0.98);
  });

  test('the customer answers with one of its machines, and none of them takes its epoch back meanwhile', () => {
    const reply = (siblings: readonly Sibling[], isTold = true): readonly string[] => {
      const body = {
        setId,
        epoch: 2,
        bootId: 'x',
        sequence: 0,
        challenge: 'boot-a.80',
        reserve: [],
        heard: '',
      };
      const context = { now: 0, wall: 0, random: () => 0.5, siblings: () => siblings };
      const started = createCustomer(terms, { at: 'recovering', epoch: 2 }, 'boot-a', -20_000);
      const record = recorded({ state: 'ACTIVE', epoch: 2, holder: terms.provider, activation: 2 });
      const customer = isTold ? customerStep(started, record, context)[0] : started;
      const event = {
        type: 'datagram',
        from: terms.provider,
        datagram: { kind: 'leaseRequest', body },
      } as const;
      return customerStep(customer, event, context)[1].flatMap((one) =>
        one.type === 'send' ? [one.datagram.kind] : [],
      );
    };
    const theirs = { other: terms.provider };
    expect(reply([])).toEqual(['leaseGrant']);
    // its disk may be one from before it took the next epoch
    expect(reply([], false)).toEqual([]);
    expect(reply([sibling(theirs)])).toEqual(['leaseGrant']);
    expect(reply([sibling({ ...theirs, contractId: EARLIER })])).toEqual([]);
    // of another provider's contract
    expect(reply([sibling({ other, contractId: EARLIER })])).toEqual(['leaseGrant']);
    expect(reply([sibling({ ...theirs, acted: 3 })])).toEqual([]);
    const bound = sibling({
      ...theirs,
      promiser: { ...sibling({}).promiser, promisedAt: 0, until: 900, epoch: 2 },
    });
    const back = recorded({ epoch: 3, quietMs: 0 });
    const stepped = (now: number, siblings: readonly Sibling[]): readonly [string, number] => {
      const customer = createCustomer(terms, { at: 'recovering', epoch: 2 }, 'boot-a', -20_000);
      const context = { now, wall: 0, random: () => 0.5, siblings: () => siblings };
      const [{ phase, acting }] = customerStep(customer, back, context);
      return [phase.at, Math.floor(Math.max(now, acting.lease.actFrom))];
    };
    expect(stepped(0, [])).toEqual(['retaken', 0]);
    expect(stepped(880, [bound])[0]).toBe('recovering');
    expect(stepped(920, [bound])).toEqual(['retaken', 4022]);
    expect(stepped(4030, [bound])).toEqual(['retaken', 4030]);
  });
});
