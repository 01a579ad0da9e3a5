import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { generateIdentity, openIdentity, signDocument, type Identity } from '@antirio/kernel';
import { contractTerms, termsHash, type ContractTerms } from '@antirio/service-contract';
import {
  OFFER_KIND,
  hear,
  openNegotiation,
  passDeadline,
  say,
  type Judge,
  type Negotiation,
  type OfferBody,
  type SignedOffer,
} from './negotiation.ts';
import { concede, customerPolicy, providerPolicy } from './policy.ts';
import { customerJudge, firstOffer, providerJudge, type ProviderView } from './strategy.ts';

const ada = openIdentity(generateIdentity());
const ben = openIdentity(generateIdentity());
const central = openIdentity(generateIdentity());
const now = 1_800_000_000_000;
const matchId = 'match-1';

const base = contractTerms.parse({
  version: 1,
  contractId: '00000000-0000-4000-8000-000000000001',
  matchId,
  customer: ada.edgeId,
  provider: ben.edgeId,
  central: central.edgeId,
  set: {
    setId: 'set-1',
    service: 'device-lora',
    devices: [{ devEui: '0000000000000001', devAddr: '0000000a' }],
  },
  image: { imageName: 'i', imageCid: 'c', configCid: 'd' },
  confidentiality: 'process',
  opening: 'witnessed',
  standby: 'hot',
  stakes: { customer: 100, provider: 100 },
  slots: { customer: 0, provider: 1 },
  expiresAt: now + 86_400_000,
});

const view: ProviderView = {
  self: ben.edgeId,
  customer: ada.edgeId,
  central: central.edgeId,
  matchId,
  now,
  freeRingBytes: 1 << 30,
  standby: 'hot',
  confidentiality: 'process',
  devAddrs: new Set(['0000000a']),
};

function sign(by: Identity, body: OfferBody): SignedOffer {
  return { ...signDocument(by, OFFER_KIND, body), kind: OFFER_KIND };
}

interface Table {
  customer: Negotiation;
  provider: Negotiation;
}

function table(maxRounds = 8): Table {
  const common = { matchId, deadline: now + 60_000, maxRounds };
  return {
    customer: openNegotiation({ ...common, self: ada.edgeId, other: ben.edgeId }),
    provider: openNegotiation({ ...common, self: ben.edgeId, other: ada.edgeId }),
  };
}

/** Lets both sides talk until nobody has anything to say; every message arrives `copies` times. */
function talk(
  start: Table,
  first: ContractTerms,
  judges: { customer: Judge; provider: Judge },
  copies = 1,
): Table {
  const seats = { ...start };
  let from: keyof Table = 'customer';
  let word: SignedOffer | undefined = sign(ada, {
    matchId,
    round: 1,
    say: 'offer',
    terms: first,
    reason: '',
  });
  seats.customer = say(seats.customer, word);
  while (word !== undefined) {
    const to: keyof Table = from === 'customer' ? 'provider' : 'customer';
    let reply: SignedOffer | undefined;
    for (let i = 0; i < copies; i++) {
      const step = hear(seats[to], word, judges[to], now);
      expect(step.error).toBeUndefined();
      seats[to] = step.negotiation;
      if (step.reply !== undefined) {
        reply = sign(to === 'provider' ? ben : ada, step.reply);
        seats[to] = say(seats[to], reply);
      } else if (step.repeat !== undefined) expect(step.repeat).toEqual(reply);
    }
    word = reply;
    from = to;
  }
  return seats;
}

const range = (first: number, limit: number) => ({ first, limit });

function play(customer: object, provider: object, maxRounds = 8, copies = 1): Table {
  const mine = customerPolicy.parse(customer);
  const theirs = providerPolicy.parse(provider);
  const first = firstOffer(mine, base);
  const judges = { customer: customerJudge(mine, first), provider: providerJudge(theirs, view) };
  return talk(table(maxRounds), first, judges, copies);
}

describe('negotiation', () => {
  test('ends at once where the first offer pleases', () => {
    const { customer, provider } = play({}, {});
    expect(customer.agreed?.stakes).toEqual({ customer: 100, provider: 100 });
    expect(customer.said).toHaveLength(2);
    expect(termsHash(provider.agreed ?? base)).toBe(termsHash(customer.agreed ?? base));
  });

  test('meets in the middle by concessions', () => {
    const { customer } = play({ payment: range(50, 100) }, { payment: range(120, 60) });
    expect(customer.outcome).toBe('agreed');
    expect(customer.agreed?.stakes.customer).toBeGreaterThanOrEqual(60);
    expect(customer.agreed?.stakes.customer).toBeLessThanOrEqual(100);
  });

  test('meets in the middle over an hour’s rent of the level that the match has', () => {
    const { customer, provider } = play(
      { rent: range(0, 12) },
      { rent: { hot: range(20, 8), cold: range(99, 99) } },
    );
    expect(customer.outcome).toBe('agreed');
    const { perHour = 0 } = customer.agreed?.rent ?? {};
    expect(perHour).toBeGreaterThanOrEqual(8);
    expect(perHour).toBeLessThanOrEqual(12);
    expect(termsHash(provider.agreed ?? base)).toBe(termsHash(customer.agreed ?? base));
  });

  test('fails where a provider asks for a rent that its customer does not pay, and says so', () => {
    const { customer } = play({}, { rent: { hot: range(2, 1) } });
    expect(customer).toMatchObject({ outcome: 'refused', reason: expect.stringContaining('rent') });
  });

  test('leaves the rent out of all that is said where neither has one, as before there was any', () => {
    const { customer } = play({ payment: range(50, 100) }, { payment: range(120, 60) });
    for (const { body } of customer.said) expect(body.terms).not.toHaveProperty('rent');
  });

  test('fails where the limits do not meet', () => {
    const { customer, provider } = play({ payment: range(50, 70) }, { payment: range(120, 80) });
    expect([customer.outcome, provider.outcome]).toEqual(['refused', 'refused']);
    expect(customer.agreed).toBeUndefined();
  });

  test('both agree on the same terms within their limits, or neither does, however often messages arrive', () => {
    const amount = fc.nat(200);
    const ranges = fc.record({
      payment: fc.record({ first: amount, limit: amount }),
      guarantee: fc.record({ first: amount, limit: amount }),
      rent: fc.record({ first: fc.nat(3), limit: fc.nat(3) }),
    });
    const policy = fc.record({ prices: ranges, concessionPermille: fc.nat(1000) });
    fc.assert(
      fc.property(
        policy,
        policy,
        fc.integer({ min: 2, max: 12 }),
        fc.integer({ min: 1, max: 3 }),
        (mine, theirs, rounds, copies) => {
          const low = (r: { first: number; limit: number }) =>
            range(Math.min(r.first, r.limit), Math.max(r.first, r.limit));
          const high = (r: { first: number; limit: number }) =>
            range(Math.max(r.first, r.limit), Math.min(r.first, r.limit));
          const asks = {
            payment: low(mine.prices.payment),
            guarantee: high(mine.prices.guarantee),
            rent: low(mine.prices.rent),
            concessionPermille: mine.concessionPermille,
          };
          const gives = {
            payment: high(theirs.prices.payment),
            guarantee: low(theirs.prices.guarantee),
            rent: { hot: high(theirs.prices.rent) },
            concessionPermille: theirs.concessionPermille,
          };
          const { customer, provider } = play(asks, gives, rounds, copies);
          expect(customer.outcome).not.toBe('open');
          expect(provider.outcome).toBe(customer.outcome);
          if (customer.agreed === undefined || provider.agreed === undefined) {
            expect([customer.agreed, provider.agreed]).toEqual([undefined, undefined]);
            return;
          }
          expect(termsHash(customer.agreed)).toBe(termsHash(provider.agreed));
          const { stakes } = customer.agreed;
          expect(stakes.customer).toBeLessThanOrEqual(asks.payment.limit);
          expect(stakes.customer).toBeGreaterThanOrEqual(gives.payment.limit);
          expect(stakes.provider).toBeGreaterThanOrEqual(asks.guarantee.limit);
          expect(stakes.provider).toBeLessThanOrEqual(gives.guarantee.limit);
          const { perHour = 0 } = customer.agreed.rent ?? {};
          expect(perHour).toBeLessThanOrEqual(asks.rent.limit);
          expect(perHour).toBeGreaterThanOrEqual(gives.rent.hot.limit);
          expect(customer.said.length).toBeLessThanOrEqual(rounds + 1);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('takes nothing out of turn, of others, said otherwise before, or after the deadline', () => {
    const accept: Judge = () => ({ say: 'accept' });
    const { provider } = table();
    const offer = (round: number, by = ada, changes: Partial<OfferBody> = {}) =>
      sign(by, { matchId, round, say: 'offer', terms: base, reason: '', ...changes });
    expect(hear(provider, offer(2), accept, now).error).toMatch(/round 1 is next/);
    expect(hear(provider, offer(1, central), accept, now).error).toMatch(/another edge/);
    expect(hear(provider, offer(1, ada, { matchId: 'm2' }), accept, now).error).toMatch(/another match/);
    expect(hear(provider, offer(1), accept, now + 60_001)).toMatchObject({
      error: expect.stringContaining('expired'),
    });
    const countering: Judge = (terms) => ({ say: 'offer', terms });
    const heard = hear(provider, offer(1), countering, now).negotiation;
    expect(hear(heard, offer(1, ada, { reason: 'x' }), accept, now).error).toMatch(/said otherwise/);
    expect(hear(heard, offer(2), accept, now).error).toMatch(/not your turn/);
  });

  test('an acceptance of terms that were not offered is none', () => {
    const { customer } = table();
    const said = say(customer, sign(ada, { matchId, round: 1, say: 'offer', terms: base, reason: '' }));
    const other = { ...base, stakes: { customer: 999, provider: 0 } };
    const accepted = sign(ben, { matchId, round: 2, say: 'accept', terms: other, reason: '' });
    const step = hear(said, accepted, () => ({ say: 'accept' }), now);
    expect(step.error).toMatch(/not offered/);
    expect(step.negotiation.outcome).toBe('open');
  });

  test('an open one ends with its deadline, an agreed one does not', () => {
    const { customer } = play({}, {});
    expect(passDeadline(customer, now + 1e9).outcome).toBe('agreed');
    expect(passDeadline(table().customer, now + 1e9).outcome).toBe('expired');
  });
});

describe('strategies', () => {
  const turn = { own: 0, last: false };
  const judge = providerJudge(providerPolicy.parse({ maxDevices: 1 }), view);

  test.each([
    ['another provider', { provider: central.edgeId }],
    ['another central arbitrator', { central: ada.edgeId }],
    ['another match', { matchId: 'm2' }],
    ['another standby level', { standby: 'cold' as const }],
    ['another confidentiality', { confidentiality: 'relay' as const }],
    ['keys at once', { opening: 'autonomous' as const }],
    ['too large a shadow buffer', { ringBudgetBytes: 2 ** 31 }],
    ['too long a time', { expiresAt: now + 91 * 86_400_000 }],
    ['an end in the past', { expiresAt: now }],
    [
      'devices that were not tried',
      { set: { ...base.set, devices: [{ devEui: '00'.repeat(8), devAddr: '0000000b' }] } },
    ],
    [
      'too many devices',
      {
        set: { ...base.set, devices: [...base.set.devices, { devEui: '00'.repeat(8), devAddr: '0000000a' }] },
      },
    ],
  ])('a provider refuses %s', (_name, changes) => {
    expect(judge({ ...base, ...changes }, turn)).toMatchObject({ say: 'refuse' });
  });

  describe('what a customer could take an honest provider’s stake by', () => {
    const withPenalty = (penalty: number, provider: number): ContractTerms => ({
      ...base,
      drills: { ...base.drills, penalty },
      stakes: { customer: 100, provider },
    });
    const withFull = (full: object) => contractTerms.parse({ ...base, drills: { full } });
    const judged = (terms: ContractTerms, policy: object = {}, last = false) =>
      providerJudge(providerPolicy.parse(policy), view)(terms, { own: 0, last });
    const refused = (what: string) => ({ say: 'refuse', reason: expect.stringContaining(what) });

    test('the penalty of a drill is a tenth of its stake at most, also of one that it offers itself', () => {
      expect(judged(withPenalty(10, 100))).toEqual({ say: 'accept' });
      expect(judged(withPenalty(13, 100))).toEqual(refused('not offered: drills'));
      expect(judged(withPenalty(11, 100))).toMatchObject({
        say: 'offer',
        terms: { stakes: { provider: 110 } },
      });
      expect(judged(withPenalty(11, 100), {}, true)).toEqual(refused('not offered: drills'));
      const frugal = { guarantee: range(50, 100) };
      expect(judged(withPenalty(10, 100), frugal)).toEqual({ say: 'accept' });
      expect(judged(withPenalty(7, 100), frugal)).toMatchObject({ terms: { stakes: { provider: 70 } } });
      const bold = { maxDrillPenaltyPermille: 1000 };
      expect(judged(withPenalty(100, 100), bold)).toEqual({ say: 'accept' });
      const never = { maxDrillPenaltyPermille: 0 };
      expect(judged(withPenalty(1, 100), never)).toEqual(refused('not offered: drills'));
      expect(judged(base, never)).toEqual({ say: 'accept' });
    });

    test('full drills follow one another by themselves once a day at most', () => {
      expect(judged(withFull({ everyS: 86_399 }))).toEqual(refused('not offered: drills'));
      expect(judged(withFull({ everyS: 86_400 }))).toEqual({ say: 'accept' });
      expect(judged(withFull({}))).toEqual({ say: 'accept' });
      expect(judged(withFull({ everyS: 20 }), { minFullDrillEveryS: 20 })).toEqual({ say: 'accept' });
    });

    test('a dispute lasts an hour at least, and in terms of before until it is decided', () => {
      expect(judged({ ...base, disputeS: 3599 })).toEqual(refused('not offered: dispute'));
      expect(judged({ ...base, disputeS: 3600 })).toEqual({ say: 'accept' });
      expect(judged({ ...base, disputeS: 1 }, { minDisputeS: 1 })).toEqual({ say: 'accept' });
      expect(judged(base)).toEqual({ say: 'accept' });
    });
  });

  test('a customer refuses everything but other stakes', () => {
    const mine = customerJudge(customerPolicy.parse({}), base);
    expect(mine({ ...base, leaseMs: 60_000 }, turn)).toMatchObject({ say: 'refuse' });
    expect(mine({ ...base, stakes: { customer: 90, provider: 110 } }, turn)).toEqual({ say: 'accept' });
    expect(mine({ ...base, rent: { perHour: 1 } }, turn)).toMatchObject({ say: 'offer', terms: base });
  });

  test('concessions go from the first word to the limit and no further', () => {
    expect([0, 1, 2, 3, 4, 9].map((n) => concede(range(100, 60), n, 250))).toEqual([100, 90, 80, 70, 60, 60]);
  });
});
