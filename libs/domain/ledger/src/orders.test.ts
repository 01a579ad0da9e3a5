import { describe, expect, test } from '@jest/globals';
import { invariantProblems } from './invariants.ts';
import {
  ada,
  askFor,
  ben,
  bidFor,
  central,
  cleo,
  createTestLedger,
  makeTerms,
  register,
  validation,
  type TestLedger,
} from './machine.fixture.ts';
import { MAX_OPEN_ORDERS, RESERVATION_MS } from './orders.ts';
import type { Receipt } from './receipt.ts';
import { keys, type MatchRecord, type OrderRecord } from './records.ts';

function market(): TestLedger {
  const ledger = createTestLedger();
  register(ledger, ada, ben, cleo);
  return ledger;
}

function placed(receipt: Receipt): { orderId: string; matches: string[] } {
  if (!receipt.ok) throw new TypeError(receipt.message);
  return receipt.result as { orderId: string; matches: string[] };
}

const orderOf = (ledger: TestLedger, id: string): OrderRecord =>
  ledger.state.get(keys.order(id)) as OrderRecord;
const matchOf = (ledger: TestLedger, id = ''): MatchRecord => ledger.state.get(keys.match(id)) as MatchRecord;

describe('matching', () => {
  test('gives a demand the cheapest compatible offer, the first of equals', () => {
    const ledger = market();
    const dear = placed(ledger.send(ben, askFor(90, 100)));
    const cheap = placed(ledger.send(cleo, askFor(80, 100)));
    const { matches } = placed(ledger.send(ada, bidFor(100, 50)));
    expect(matchOf(ledger, matches[0])).toMatchObject({
      customer: ada.edgeId,
      provider: cleo.edgeId,
      ask: cheap.orderId,
    });
    expect(orderOf(ledger, dear.orderId).remaining.cpuMillis).toBe(250);
    expect(orderOf(ledger, cheap.orderId).remaining.cpuMillis).toBe(150);
    expect(invariantProblems(ledger.state)).toEqual([]);
  });

  test('gives an offer every waiting demand that it can share itself among, best paid first', () => {
    const ledger = market();
    const low = placed(ledger.send(ada, bidFor(50, 10)));
    const high = placed(ledger.send(cleo, bidFor(60, 10)));
    const third = placed(ledger.send(ada, bidFor(40, 10)));
    const { matches } = placed(ledger.send(ben, askFor(30, 100)));
    expect(matches.map((id) => matchOf(ledger, id).bid)).toEqual([high.orderId, low.orderId]);
    expect(orderOf(ledger, third.orderId).state).toBe('open');
  });

  test.each([
    ['price', bidFor(10, 0)],
    ['the provider stake', bidFor(100, 500)],
    ['cells', bidFor(100, 0, { qualities: { cells: ['ezs4'] } })],
    ['interfaces', bidFor(100, 0, { qualities: { cells: ['u0'], interfaces: ['lora-us915'] } })],
    ['standby', bidFor(100, 0, { standby: ['cold'] })],
    ['confidentiality', bidFor(100, 0, { confidentiality: ['relay'] })],
    ['exclusion', bidFor(100, 0, { exclude: [ben.edgeId] })],
    ['reputation', bidFor(100, 0, { minReputation: 1 })],
  ])('keeps apart what %s keeps apart', (_name, bid) => {
    const ledger = market();
    ledger.send(ben, askFor(80, 100));
    expect(placed(ledger.send(ada, bid)).matches).toEqual([]);
  });

  test('shows shared failure domains, and refuses them where the customer says so', () => {
    const ledger = market();
    const qualities = { cells: ['u0'], failureDomains: ['site:mill'] };
    ledger.send(ben, askFor(80, 100, { qualities }));
    expect(
      placed(ledger.send(ada, bidFor(100, 0, { qualities, refuseSharedDomains: true }))).matches,
    ).toEqual([]);
    const { matches } = placed(ledger.send(ada, bidFor(100, 0, { qualities })));
    expect(matchOf(ledger, matches[0]).sharedDomains).toEqual(['site:mill']);
  });

  test('counts the rent of the level: who pays none is not matched with who asks for some', () => {
    const ledger = market();
    const levels = { standby: ['hot' as const, 'cold' as const] };
    ledger.send(ben, askFor(80, 100, { ...levels, rent: { hot: 3 } }));
    expect(placed(ledger.send(ada, bidFor(100, 50))).matches).toEqual([]);
    expect(placed(ledger.send(ada, bidFor(100, 50, { rent: 2 }))).matches).toEqual([]);
    const cold = placed(ledger.send(ada, bidFor(100, 50, { ...levels, rent: 2 })));
    expect(matchOf(ledger, cold.matches[0])).toMatchObject({ standby: 'cold' });
    expect(matchOf(ledger, cold.matches[0])).not.toHaveProperty('rent');
    const hot = placed(ledger.send(ada, bidFor(100, 50, { ...levels, rent: 3 })));
    expect(matchOf(ledger, hot.matches[0])).toMatchObject({ standby: 'hot', rent: 3 });
    expect(invariantProblems(ledger.state)).toEqual([]);
  });

  test('gives a demand the offer that costs least with a day’s rent', () => {
    const ledger = market();
    ledger.send(ben, askFor(80, 100, { rent: { hot: 1 } }));
    const cheaper = placed(ledger.send(cleo, askFor(103, 100)));
    const { matches } = placed(ledger.send(ada, bidFor(110, 50, { rent: 5 })));
    expect(matchOf(ledger, matches[0]).ask).toBe(cheaper.orderId);
  });

  test('never pairs an edge with itself', () => {
    const ledger = market();
    ledger.send(ada, askFor(80, 100));
    expect(placed(ledger.send(ada, bidFor(100, 0))).matches).toEqual([]);
  });
});

describe('reservations', () => {
  test('that nobody takes up end by themselves, and the demand looks elsewhere', () => {
    const ledger = market();
    const first = placed(ledger.send(ben, askFor(80, 100)));
    const { orderId, matches } = placed(ledger.send(ada, bidFor(100, 50)));
    ledger.now += RESERVATION_MS - 1;
    ledger.send(cleo, askFor(90, 100));
    expect(matchOf(ledger, matches[0]).state).toBe('reserved');
    ledger.now += 1;
    ledger.send(cleo, askFor(99, 100));
    expect(matchOf(ledger, matches[0]).state).toBe('expired');
    expect(orderOf(ledger, first.orderId).remaining.cpuMillis).toBe(250);
    expect(matchOf(ledger, orderOf(ledger, orderId).match).provider).toBe(cleo.edgeId);
    expect(invariantProblems(ledger.state)).toEqual([]);
  });

  test('are held by the provider only, step by step', () => {
    const ledger = market();
    ledger.send(ben, askFor(80, 100));
    const [matchId = ''] = placed(ledger.send(ada, bidFor(100, 50))).matches;
    const until = ledger.now + 300_000;
    expect(ledger.send(ada, { type: 'match/hold', matchId, until })).toMatchObject({ code: 'forbidden' });
    expect(ledger.send(ben, { type: 'match/hold', matchId, until })).toMatchObject({
      result: { expiresAt: until },
    });
    ledger.now = until - 1;
    ledger.send(cleo, askFor(99, 100));
    expect(matchOf(ledger, matchId).state).toBe('reserved');
    ledger.now = until;
    expect(ledger.send(ben, { type: 'match/hold', matchId, until: until + 9 })).toMatchObject({
      code: 'gone',
    });
  });

  test('become a contract of just the two matched edges; the offer gets its capacity back at the end', () => {
    const ledger = market();
    const { orderId: askId } = placed(ledger.send(ben, askFor(80, 100)));
    const { orderId, matches } = placed(ledger.send(ada, bidFor(100, 50)));
    const terms = makeTerms(1, { matchId: matches[0] });
    const foreign = makeTerms(1, { matchId: matches[0], provider: cleo.edgeId });
    expect(ledger.send(central, validation(foreign, ada, cleo))).toMatchObject({ code: 'forbidden' });
    expect(ledger.send(central, validation(terms, ada, ben))).toMatchObject({ ok: true });
    expect(orderOf(ledger, orderId).state).toBe('filled');
    expect(orderOf(ledger, askId).remaining.cpuMillis).toBe(150);
    expect(ledger.send(central, validation(makeTerms(2, { matchId: matches[0] }), ada, ben))).toMatchObject({
      code: 'gone',
    });
    ledger.send(ben, { type: 'contract/cancel', contractId: terms.contractId });
    expect(orderOf(ledger, askId).remaining.cpuMillis).toBe(250);
  });

  test('are released by either side, and not made again between the two', () => {
    const ledger = market();
    ledger.send(ben, askFor(80, 100));
    const { orderId, matches } = placed(ledger.send(ada, bidFor(100, 50)));
    const [matchId = ''] = matches;
    expect(ledger.send(cleo, { type: 'match/release', matchId })).toMatchObject({ code: 'forbidden' });
    expect(ledger.send(ada, { type: 'match/release', matchId, reason: 'no coverage' })).toMatchObject({
      ok: true,
    });
    expect(orderOf(ledger, orderId).state).toBe('open');
  });
});

describe('orders', () => {
  test('are withdrawn by their edge only; a demand takes its match with it', () => {
    const ledger = market();
    const { orderId: askId } = placed(ledger.send(ben, askFor(80, 100)));
    const { orderId, matches } = placed(ledger.send(ada, bidFor(100, 50)));
    expect(ledger.send(ben, { type: 'order/withdraw', orderId })).toMatchObject({ code: 'forbidden' });
    expect(ledger.send(ada, { type: 'order/withdraw', orderId })).toMatchObject({ ok: true });
    expect(ledger.send(ada, { type: 'order/withdraw', orderId })).toMatchObject({ code: 'gone' });
    expect(matchOf(ledger, matches[0]).state).toBe('released');
    expect(orderOf(ledger, askId).remaining.cpuMillis).toBe(250);
  });

  test('need their stake in the account, and an edge has a bounded number of them', () => {
    const ledger = market();
    expect(ledger.send(ada, bidFor(1001, 0))).toMatchObject({ code: 'conflict' });
    for (let i = 0; i < MAX_OPEN_ORDERS; i++) expect(ledger.send(ada, bidFor(1, 0)).ok).toBe(true);
    expect(ledger.send(ada, bidFor(1, 0))).toMatchObject({ code: 'busy' });
  });

  test('expire, and are forgotten a day later', () => {
    const ledger = market();
    const { orderId } = placed(ledger.send(ada, bidFor(1, 0)));
    ledger.now += 3_600_000;
    ledger.send(ben, bidFor(1, 0, { expiresAt: ledger.now + 1 }));
    expect(orderOf(ledger, orderId).state).toBe('expired');
    ledger.now += 86_400_001;
    ledger.send(ben, bidFor(1, 0, { expiresAt: ledger.now + 1 }));
    expect(orderOf(ledger, orderId)).toBeUndefined();
  });
});
