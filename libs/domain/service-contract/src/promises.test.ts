import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { generateIdentity, openIdentity, parseEdgeId, signDocument, type EdgeId } from '@antirio/kernel';
import { ACTS_KIND } from './acts-word.ts';
import { recorded as recordedFor, terms as anyTerms, tick } from './contract.fixture.ts';
import { createCustomer } from './customer-state.ts';
import { customerDesires, customerStep } from './customer.ts';
import { mayAct } from './lease.ts';
import { datagramSchemas, type ContractRecord, type Datagram } from './messages.ts';
import type { Context, PartyEffect, PartyEvent } from './party.ts';
import { leaseBy } from './promises.ts';
import { createPromiser, type Sibling } from './promiser.ts';
import { providerSibling } from './provider-promises.ts';
import { createProvider, type ProviderPhase } from './provider-state.ts';
import { providerStep } from './provider.ts';

const customerId = openIdentity(generateIdentity());
const newId = (): EdgeId => parseEdgeId(generateIdentity().edgeId);
const terms = {
  ...anyTerms,
  customer: parseEdgeId(customerId.edgeId),
  provider: newId(),
};
const other = newId();
// of contracts before and after ours
const EARLIER = '00000000-0000-4000-8000-000000000000';
const LATER = 'ffffffff-ffff-4fff-8fff-ffffffffffff';
const { setId } = terms.set;
const recorded = (value: Partial<ContractRecord>): PartyEvent =>
  recordedFor({ holder: terms.customer, ...value });

const proofs = new Map<string, string>();
function proofOf(epoch: number, heard: string): string {
  const known = proofs.get(`${epoch}/${heard}`);
  const proof = known ?? signDocument(customerId, ACTS_KIND, { setId, epoch, heard }).signature;
  proofs.set(`${epoch}/${heard}`, proof);
  return proof;
}

function signed(datagram: Datagram): Datagram {
  if (datagram.kind !== 'leaseRequest') return datagram;
  const { epoch, heard = '' } = datagram.body;
  const proof = proofOf(epoch, heard);
  return { kind: 'leaseRequest', body: { ...datagram.body, proof } };
}

interface Link {
  readonly delayMs: number;
  readonly loses: () => boolean;
}

const quick: Link = { delayMs: 5, loses: () => false };
const TICK_MS = 20;

interface PairOptions {
  readonly rates: readonly [number, number];
  readonly link: Link;
  readonly startedAt: number;
  readonly phase: ProviderPhase;
  /** The provider's edge has another contract with the customer over the set, by this id. */
  readonly twin: string | undefined;
  /** The provider has heard the ledger's record since its start. */
  readonly isTold: boolean;
}

/** A customer under its first epoch and its provider, both long up, and no grantor. Times are true ones; clocks may be off. */
function createPair({
  rates = [1, 1],
  link = quick,
  startedAt = -20_000,
  phase = { at: 'ready' },
  twin,
  isTold = true,
}: Partial<PairOptions> = {}) {
  const [customerRate, providerRate] = rates;
  let now = 0;
  const clocks = { customer: () => now * customerRate, provider: () => now * providerRate };
  let customer = createCustomer(terms, { at: 'guarded', epoch: 1 }, 'boot-a', startedAt * customerRate);
  let provider = createProvider(terms, phase, 'boot-b', startedAt * providerRate);
  let flying: {
    readonly at: number;
    readonly to: string;
    readonly from: string;
    readonly datagram: Datagram;
  }[] = [];
  let providers = [terms.provider];
  let siblings: readonly Sibling[] = [];
  let twinned = createProvider(
    { ...terms, contractId: twin ?? '' },
    { at: 'ready' },
    'boot-t',
    startedAt * providerRate,
  );
  const sent: Datagram[] = [];

  const told: unknown[] = [];
  const fly = (from: string, effects: readonly PartyEffect[]): void => {
    for (const effect of effects) {
      if (effect.type === 'note' && effect.milestone === 'leaseBy') told.push(effect.detail);
      if (effect.type !== 'send' || effect.to === terms.central) continue;
      const datagram = from === terms.customer ? signed(effect.datagram) : effect.datagram;
      sent.push(datagram);
      if (!link.loses()) flying.push({ at: now + link.delayMs, to: effect.to, from, datagram });
    }
  };
  const context = (at: number): Context => ({
    now: at,
    wall: at,
    random: () => 0.5,
    providers: () => providers,
  });
  const toCustomer = (event: PartyEvent): void => {
    const [next, effects] = customerStep(customer, event, context(clocks.customer()));
    customer = next;
    fly(terms.customer, effects);
  };
  const toProvider = (event: PartyEvent): readonly PartyEffect[] => {
    const all = twin === undefined ? siblings : [providerSibling(twinned)];
    const [next, effects] = providerStep(provider, event, {
      ...context(clocks.provider()),
      siblings: () => all,
    });
    provider = next;
    fly(terms.provider, effects);
    return effects;
  };
  const toTwin = (event: PartyEvent): void => {
    if (twin === undefined) return;
    const all = [providerSibling(provider)];
    const [next, effects] = providerStep(twinned, event, {
      ...context(clocks.provider()),
      siblings: () => all,
    });
    twinned = next;
    fly(terms.provider, effects);
  };
  const step = (): void => {
    now += TICK_MS;
    const due = flying.filter(({ at }) => at <= now);
    flying = flying.filter(({ at }) => at > now);
    for (const { to, from, datagram } of due) {
      const event: PartyEvent = { type: 'datagram', from: parseEdgeId(from), datagram };
      if (to === terms.customer) toCustomer(event);
      if (to !== terms.provider) continue;
      toProvider(event);
      toTwin(event);
    }
    toCustomer(tick);
  };
  if (isTold) {
    toProvider(recorded({}));
    toTwin(recorded({}));
  }
  return {
    step,
    told: () => told,
    run: (untilMs: number): void => {
      while (now < untilMs) step();
    },
    toCustomer,
    toProvider,
    tickProvider: () => toProvider(tick),
    now: () => now,
    customer: () => customer,
    provider: () => provider,
    acts: () => mayAct(customer.acting.lease, clocks.customer()),
    open: () => customerDesires(customer, clocks.customer()).fence.state === 'open',
    /** True time at which the customer's lease ends. */
    leaseEnds: () => customer.acting.lease.until / customerRate,
    providerMayAct: () =>
      provider.phase.at === 'active' && clocks.provider() >= provider.acting.lease.actFrom,
    setProviders: (all: typeof providers) => {
      providers = all;
    },
    setSiblings: (all: typeof siblings) => {
      siblings = all;
    },
    sent,
  };
}

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

  test('a promise of one binds the other: it assumes no epoch before it is over and off the air', () => {
    const pair = createPair({ phase: { at: 'reading', from: 7 } });
    pair.toProvider(recorded({}));
    const { promiser } = sibling({});
    pair.setSiblings([sibling({ promiser: { ...promiser, promisedAt: 4000, until: 5000, epoch: 1 } })]);
    const own = recorded({ state: 'ACTIVE', epoch: 2, holder: terms.provider, activation: 2 });
    pair.toProvider({ type: 'answer', method: 'take', ok: true, value: { epoch: 2, actAfterMs: 0 } });
    pair.toProvider(own);
    pair.run(8100);
    pair.toProvider(own);
    expect(pair.provider().phase.at).toBe('reading');
    pair.run(8140);
    pair.toProvider(own);
    expect(pair.provider().phase).toMatchObject({ at: 'active', epoch: 2 });
  });

  test('the customer answers with one of its machines, and none of them takes its epoch back meanwhile', () => {
    const reply = (siblings: readonly Sibling[]): readonly string[] => {
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
      const customer = createCustomer(terms, { at: 'recovering', epoch: 2 }, 'boot-a', -20_000);
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
    expect(reply([sibling(theirs)])).toEqual(['leaseGrant']);
    expect(reply([sibling({ ...theirs, contractId: EARLIER })])).toEqual([]);
    // of another provider's contract
    expect(reply([sibling({ other, contractId: EARLIER })])).toEqual(['leaseGrant']);
    expect(reply([sibling({ ...theirs, acted: 3 })])).toEqual([]);
    const bound = sibling({
      ...theirs,
      promiser: { ...sibling({}).promiser, promisedAt: 0, until: 900, epoch: 2 },
    });
    const back = recorded({ epoch: 3 });
    const stepped = (now: number, siblings: readonly Sibling[]): unknown => {
      const customer = createCustomer(terms, { at: 'recovering', epoch: 2 }, 'boot-a', -20_000);
      return customerStep(customer, back, { now, wall: 0, random: () => 0.5, siblings: () => siblings })[0]
        .phase.at;
    };
    expect(stepped(0, [])).toBe('retaken');
    expect(stepped(4000, [bound])).toBe('recovering');
    expect(stepped(4030, [bound])).toBe('retaken');
  });
});

describe('a provider that has promised not to act', () => {
  const gathered = (): ReturnType<typeof createPair> => {
    const pair = createPair({ phase: { at: 'reading', from: 7 } });
    pair.toProvider(recorded({ challenge: 'c.7' }));
    return pair;
  };
  const taken = { type: 'answer', method: 'take', ok: true, value: { epoch: 2, actAfterMs: 0 } } as const;

  test('assumes the epoch that it is given only when what it promised is over and off the air', () => {
    const pair = gathered();
    pair.run(4000);
    expect(pair.acts()).toBe(true);
    const ends = pair.leaseEnds();
    pair.toProvider(taken);
    expect(pair.provider().phase.at).toBe('reading');
    const own = recorded({ state: 'ACTIVE', epoch: 2, holder: terms.provider, activation: 2 });
    pair.toProvider(own);
    expect(pair.provider().phase.at).toBe('reading');
    // and neither takes another one meanwhile nor promises again
    const asked = pair.tickProvider().flatMap((effect) => (effect.type === 'call' ? [effect.method] : []));
    expect(asked).not.toContain('take');
    pair.run(ends + 20);
    expect(pair.acts()).toBe(false);
    pair.run(ends + 3500);
    pair.toProvider(own);
    expect(pair.provider().phase).toMatchObject({ at: 'active', epoch: 2 });
  });

  test('is free of it where the customer has released its epoch, once what that sent last is off the air', () => {
    const pair = gathered();
    pair.run(4000);
    const own = recorded({ state: 'ACTIVE', epoch: 2, holder: terms.provider, activation: 2 });
    pair.toProvider(recorded({ released: true }));
    // a grantor that was asked before it knew of the release counts from the end of its own lease
    pair.toProvider(taken);
    expect(pair.provider().phase.at).toBe('reading');
    pair.run(7100);
    pair.toProvider(own);
    expect(pair.provider().phase.at).toBe('reading');
    pair.run(7130);
    pair.toProvider(own);
    expect(pair.provider().phase).toMatchObject({ at: 'active', epoch: 2 });
  });

  test('shows the grantor the customer’s own word, each once', () => {
    const pair = gathered();
    pair.run(4000);
    const shown = (): unknown[] =>
      pair
        .tickProvider()
        .flatMap((effect) => (effect.type === 'call' && effect.method === 'acts' ? [effect.args] : []));
    expect(shown()).toMatchObject([
      { word: { by: terms.customer, body: { setId, epoch: 1, heard: 'c.7' } } },
    ]);
    expect(shown()).toEqual([]);
  });

  test('promises nothing without that word, nor to who does not hold the epoch', () => {
    const pair = gathered();
    const asks = (from: typeof other, changes: object): PartyEvent => {
      const body = { setId, epoch: 1, bootId: 'x', sequence: 0, challenge: '', reserve: [], heard: 'c.7' };
      return { type: 'datagram', from, datagram: { kind: 'leaseRequest', body: { ...body, ...changes } } };
    };
    const challenge = 'boot-b.80';
    const answers = (event: PartyEvent): string[] =>
      pair.toProvider(event).flatMap((effect) => (effect.type === 'send' ? [effect.datagram.kind] : []));
    expect(answers(asks(terms.customer, { challenge }))).toEqual(['leaseRefused']);
    expect(answers(asks(terms.customer, { challenge, proof: 'A'.repeat(86) }))).toEqual(['leaseRefused']);
    expect(answers(asks(other, { challenge }))).toEqual([]);
    const proof = signDocument(customerId, ACTS_KIND, { setId, epoch: 1, heard: 'c.7' }).signature;
    expect(answers(asks(terms.customer, { challenge: 'boot-b.1', proof }))).toEqual(['leaseRefused']);
    expect(answers(asks(terms.customer, { challenge, proof }))).toEqual(['leaseGrant']);
    pair.toProvider(recorded({ epoch: 2, holder: other }));
    expect(answers(asks(terms.customer, { challenge, proof }))).toEqual([]);
  });
});

test('whatever the clocks, the delays and the losses: nobody acts under a later epoch before who acts by its promise is off the air', () => {
  const rate = fc.constantFrom(0.98, 1, 1.02);
  const arbitrary = fc.record({
    rates: fc.tuple(rate, rate),
    delayMs: fc.integer({ min: 1, max: 600 }),
    lost: fc.integer({ min: 0, max: 60 }),
    seed: fc.integer({ min: 1, max: 1_000_000 }),
    takenAt: fc.integer({ min: 2000, max: 9000 }),
    cutAt: fc.integer({ min: 2000, max: 9000 }),
    startedAt: fc.constantFrom(-20_000, 0, -1500),
    twin: fc.constantFrom(undefined, EARLIER, LATER),
  });
  let acted = 0;
  fc.assert(
    fc.property(arbitrary, ({ rates, delayMs, lost, seed, takenAt, cutAt, startedAt, twin }) => {
      let dice = seed;
      let isCut = false;
      const loses = (): boolean => {
        dice = (dice * 48_271) % 2_147_483_647;
        return isCut || dice % 100 < lost;
      };
      const pair = createPair({
        rates,
        startedAt,
        twin,
        link: { delayMs, loses },
        phase: { at: 'reading', from: 7 },
      });
      const own = recorded({ state: 'ACTIVE', epoch: 2, holder: terms.provider, activation: 2 });
      let ends = 0;
      for (let now = 0; now < 22_000; now = pair.now()) {
        isCut = now >= cutAt;
        pair.step();
        if (pair.acts()) {
          acted++;
          ends = Math.max(ends, pair.leaseEnds());
        }
        if (now >= takenAt) pair.toProvider(own);
        if (pair.providerMayAct()) expect(now).toBeGreaterThanOrEqual(ends + 3000 - TICK_MS);
      }
      expect(pair.providerMayAct()).toBe(true);
    }),
    { numRuns: 60, seed: 7 },
  );
  expect(acted).toBeGreaterThan(1000);
});
