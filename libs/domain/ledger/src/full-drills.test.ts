import { beforeEach, describe, expect, test } from '@jest/globals';
import { signDocument } from '@antirio/kernel';
import {
  BACK_KIND,
  DRILL_BACK_MS,
  DRILL_FETCH_MS,
  MOST_FULL_DRILLS_A_MONTH,
  YIELD_KIND,
  drillWordMs,
  signedBackAsk,
  signedWord,
  type ContractTerms,
  type FullDrill,
  type SignedWord,
  type YieldCause,
} from '@antirio/service-contract';
import { invariantProblems } from './invariants.ts';
import {
  ada,
  ben,
  central,
  cleo,
  contractOf,
  createTestLedger,
  makeTerms,
  ready,
  register,
  ringRootOf,
  statement,
  take,
  validation,
  type Request,
  type TestLedger,
} from './machine.fixture.ts';
import { keys } from './records.ts';

const SERVES_MS = 60_000;
const PENALTY = 7;
const full = { everyS: 86_400, servesMs: SERVES_MS };

let ledger: TestLedger;
let terms: ContractTerms;

const live = (changes: Parameters<typeof makeTerms>[1] = {}): void => {
  ledger = createTestLedger();
  register(ledger, ada, ben);
  terms = makeTerms(1, { drills: { penalty: PENALTY, full }, ...changes });
  expect(ledger.send(central, validation(terms, ada, ben)).ok).toBe(true);
  ledger.now += 1000;
  expect(ledger.send(ben, ready(terms)).ok).toBe(true);
};
beforeEach(() => {
  live();
});

const well = (by: typeof ada, request: Request): void => {
  expect(ledger.send(by, request)).toMatchObject({ ok: true });
};
const wordFor = (epoch: number, cause: YieldCause = 'drill'): SignedWord => {
  const { contractId, set } = terms;
  const body = { contractId, setId: set.setId, epoch, cause, at: ledger.now };
  return signedWord.parse(signDocument(ada, YIELD_KIND, body));
};
const ask = (drill: number, epoch: number): Request => ({
  ...{ type: 'drill/full', contractId: terms.contractId, drill, word: wordFor(epoch) },
});
const about = (type: 'drill/full-end' | 'drill/decline', drill: number): Request => ({
  ...{ type, contractId: terms.contractId, drill },
});
const back = (epoch: number): Request => ({ type: 'drill/back', contractId: terms.contractId, epoch });
const release = (epoch: number): Request => ({
  ...{ type: 'epoch/release', setId: terms.set.setId, epoch, counters: {} },
});
const open = (): void => {
  const { contractId } = terms;
  const root = ringRootOf(ben, contractId, 0);
  well(central, { type: 'contract/open', contractId, root, keyVersion: 1 });
};
const drillOf = (n: number): FullDrill => ledger.state.get(keys.fullDrill(terms.contractId, n)) as FullDrill;
const contract = () => contractOf(ledger, terms.contractId);
const balances = (): number[] =>
  [ada, ben].map((edge) => (ledger.state.get(keys.account(edge.edgeId)) as { balance: number }).balance);
const stated = (epoch: number): void => {
  for (const by of [ben, ada]) well(by, statement(terms, epoch, 0));
};
/** From the word to the provider's epoch, which is one more than the customer's. */
const served = (drill: number, epoch: number): void => {
  well(ada, ask(drill, epoch));
  open();
  well(ada, release(epoch));
  well(central, take(ben, terms, epoch));
};
const home = (epoch: number): void => {
  well(ben, release(epoch));
  well(central, take(ada, terms, epoch));
  stated(epoch);
};
/** Its customer has had the time to fetch what it has asked for. */
const fetched = (): void => {
  ledger.now += DRILL_FETCH_MS + 1;
};

describe('a full drill', () => {
  test('is passed when what was served is stated by both, costs nobody, and the contract goes on with keys that were seen', () => {
    served(1, 1);
    expect(contract()).toMatchObject({ life: { state: 'ACTIVE' }, activation: { owed: false, drill: 1 } });
    ledger.now += SERVES_MS;
    well(ada, back(2));
    well(ben, {
      type: 'drill/first-reading',
      contractId: terms.contractId,
      drill: 1,
      firstReadingMs: 900,
    });
    home(2);
    expect(drillOf(1)).toMatchObject({
      ...{ state: 'passed', reason: 'served', penalty: 0, counts: true, firstReadingMs: 900 },
      served: { epoch: 2 },
    });
    expect(contract()).toMatchObject({
      life: { state: 'READY_EXPOSED' },
      fullDrills: { started: 1, passed: 1, judgedIn: 0 },
      escrow: { customer: 100, provider: 100 },
    });
    expect(contract().served).toBeUndefined();
    expect(ledger.state.get(keys.keys(terms.contractId))).toMatchObject({ exposedBy: 1 });
    expect(invariantProblems(ledger.state)).toEqual([]);
  });

  test('is none of the takeovers that are paid: the first real one after it is', () => {
    served(1, 1);
    home(2);
    open();
    well(ada, release(3));
    well(central, take(ben, terms, 3));
    expect(contract().activation).toEqual(expect.objectContaining({ epoch: 4, owed: true }));
    expect(contract().activation).not.toHaveProperty('drill');
    home(4);
    expect(contract().settlement?.row).toBe('honoured');
    expect(balances()).toEqual([900, 1100]);
  });

  test('whose customer does not come back in time was a takeover, and is paid', () => {
    served(1, 1);
    ledger.now += SERVES_MS + DRILL_BACK_MS + 1;
    well(ada, back(2));
    home(2);
    expect(drillOf(1)).toMatchObject({ state: 'void', reason: 'takeover' });
    expect(contract().settlement?.row).toBe('honoured');
    expect(balances()).toEqual([900, 1100]);
  });

  test('is owed nothing for by a customer that asked in time, however long the provider keeps it', () => {
    served(1, 1);
    ledger.now += SERVES_MS + DRILL_BACK_MS;
    well(ada, back(2));
    ledger.now += 10 * DRILL_BACK_MS;
    home(2);
    expect(drillOf(1).state).toBe('passed');
    expect(contract().settlement).toBeUndefined();
  });

  describe('whose customer asked in time while the ledger was away', () => {
    const asked = (epoch: number, at: number, by = ada): Request => {
      const body = { contractId: terms.contractId, epoch, at };
      const ask = signedBackAsk.parse(signDocument(by, BACK_KIND, body));
      return { type: 'drill/back-asked', contractId: terms.contractId, ask };
    };
    /** The customer's own word and the release come to the ledger too late. */
    const lateBy = (epoch: number): void => {
      ledger.now += 10 * (SERVES_MS + DRILL_BACK_MS);
      well(ada, back(epoch));
      well(ben, release(epoch));
      well(central, take(ada, terms, epoch));
    };

    test('is owed nothing for by the word that its provider kept', () => {
      served(1, 1);
      const at = ledger.now + SERVES_MS;
      lateBy(2);
      well(ben, asked(2, at));
      expect(drillOf(1).askedBackAt).toBe(at);
      well(ben, asked(2, at + 1));
      expect(drillOf(1).askedBackAt).toBe(at);
      stated(2);
      expect(drillOf(1)).toMatchObject({ state: 'passed', reason: 'served' });
      expect(contract()).toMatchObject({ life: { state: 'READY_EXPOSED' }, escrow: { customer: 100 } });
      expect(invariantProblems(ledger.state)).toEqual([]);
    });

    test('is paid where the word is another’s, of another epoch, brought by the customer, or itself too late', () => {
      served(1, 1);
      const at = ledger.now + SERVES_MS;
      lateBy(2);
      expect(ledger.send(ben, asked(2, at, ben))).toMatchObject({ code: 'unauthenticated' });
      expect(ledger.send(ada, asked(2, at))).toMatchObject({ code: 'forbidden' });
      expect(ledger.send(ben, asked(1, at))).toMatchObject({ ok: true, result: { counted: false } });
      well(ben, asked(2, at + DRILL_BACK_MS + 1));
      stated(2);
      expect(drillOf(1)).toMatchObject({ state: 'void', reason: 'takeover' });
      expect(contract().settlement?.row).toBe('honoured');
    });

    test('says nothing of a takeover that is no drill', () => {
      open();
      well(ada, release(1));
      well(central, take(ben, terms, 1));
      expect(ledger.send(ben, asked(2, ledger.now))).toMatchObject({ result: { counted: false } });
      expect(contract().activation).toMatchObject({ owed: true });
    });
  });

  test('that its provider took again, before its customer had its epoch back, is asked back anew or paid', () => {
    served(1, 1);
    well(ada, back(2));
    well(ben, release(2));
    fetched();
    well(central, take(ben, terms, 2));
    expect(contract().activation).toMatchObject({ epoch: 3, owed: false, drill: 1 });
    expect(drillOf(1)).toMatchObject({ served: { epoch: 3 } });
    expect(drillOf(1)).not.toHaveProperty('askedBackAt');
    ledger.now += SERVES_MS + DRILL_BACK_MS + 1;
    home(3);
    expect(contract().settlement?.row).toBe('honoured');
  });

  test('is paid where all that was served for it is too long, however often it was asked back and not fetched', () => {
    served(1, 1);
    for (const epoch of [2, 3]) {
      ledger.now += DRILL_BACK_MS / 2 + SERVES_MS;
      well(ada, back(epoch));
      well(ben, release(epoch));
      fetched();
      well(central, take(ben, terms, epoch));
    }
    well(ada, back(4));
    home(4);
    expect(drillOf(1)).toMatchObject({ state: 'void', reason: 'takeover' });
    expect(contract().settlement?.row).toBe('honoured');
  });

  test('that its provider took again is passed where its customer came back within the time of the first', () => {
    served(1, 1);
    well(ada, back(2));
    well(ben, release(2));
    fetched();
    well(central, take(ben, terms, 2));
    well(ada, back(3));
    home(3);
    expect(drillOf(1).state).toBe('passed');
    expect(contract().settlement).toBeUndefined();
  });

  test('that was asked back is for its customer first: who serves it does not keep it by letting go', () => {
    served(1, 1);
    well(ada, back(2));
    well(ben, release(2));
    ledger.now += DRILL_FETCH_MS;
    expect(ledger.send(central, take(ben, terms, 2))).toMatchObject({ ok: false, code: 'conflict' });
    well(central, take(ada, terms, 2));
    stated(2);
    expect(drillOf(1).state).toBe('passed');
  });

  test('after which the customer dies before it is stated is followed by a takeover that is paid', () => {
    served(1, 1);
    well(ben, release(2));
    well(central, take(ada, terms, 2));
    ledger.now += 60_000;
    well(central, { ...take(ben, terms, 3), customerLeaseEndedAt: ledger.now - 1 } as Request);
    expect(contract().activation).toMatchObject({ epoch: 4, owed: true });
    expect(drillOf(1)).toMatchObject({ state: 'void', reason: 'takeover' });
    home(4);
    expect(contract().settlement?.row).toBe('honoured');
  });

  test('in which the customer’s lease ends unreleased is a takeover at once', () => {
    well(ada, ask(1, 1));
    open();
    ledger.now += 60_000;
    well(central, { ...take(ben, terms, 1), customerLeaseEndedAt: ledger.now - 1 } as Request);
    expect(contract().activation).toMatchObject({ epoch: 2, owed: true });
    expect(drillOf(1)).toMatchObject({ state: 'void', reason: 'takeover' });
  });

  test('whose provider fell silent while it served shows nothing of it, and costs nobody', () => {
    served(1, 1);
    ledger.now += 60_000;
    well(central, { ...take(ada, terms, 2), holderLeaseEndedAt: ledger.now - 1 } as Request);
    stated(2);
    expect(drillOf(1)).toMatchObject({ state: 'void', reason: 'lapsed' });
    expect(contract()).toMatchObject({ life: { state: 'READY_EXPOSED' }, escrow: { provider: 100 } });
  });

  test('that its provider was asked to end is passed, also where its lease ended before its release came', () => {
    served(1, 1);
    well(ada, back(2));
    ledger.now += 10_000;
    well(central, { ...take(ada, terms, 2), holderLeaseEndedAt: ledger.now - 1 } as Request);
    expect(ledger.send(ada, back(2)).ok).toBe(false);
    stated(2);
    expect(drillOf(1)).toMatchObject({ state: 'passed', takenBackAt: ledger.now });
  });

  test('leaves nothing to be claimed of an outage that there was none of', () => {
    live({ coverage: { breach: 'ruled', claimWithinMs: 60_000, answerWithinMs: 60_000 } });
    served(1, 1);
    home(2);
    expect(contract()).not.toHaveProperty('coverage');
  });
});

describe('a full drill that nobody took', () => {
  const untaken = (): void => {
    ledger.now += drillWordMs(terms) + 1;
  };

  test('costs the provider once, and only after a second word', () => {
    well(ada, ask(1, 1));
    untaken();
    expect(ledger.send(ada, about('drill/full-end', 1)).ok).toBe(false);
    well(ada, ask(1, 1));
    expect(drillOf(1).lastCallAt).toBe(ledger.now);
    expect(ledger.send(ada, about('drill/full-end', 1)).ok).toBe(false);
    untaken();
    well(ada, about('drill/full-end', 1));
    well(ada, about('drill/full-end', 1));
    expect(drillOf(1)).toMatchObject({ state: 'failed', reason: 'notOpened', penalty: PENALTY });
    expect(contract()).toMatchObject({
      escrow: { customer: 100, provider: 100 - PENALTY },
      fullDrills: { failed: 1, judgedIn: 0 },
    });
    expect(balances()).toEqual([900 + PENALTY, 900]);
    expect(invariantProblems(ledger.state)).toEqual([]);
  });

  test('costs nothing beyond what the terms demand: the next one of the same stretch is an operator’s', () => {
    for (const [drill, penalty] of [
      [1, PENALTY],
      [2, 0],
    ] as const) {
      for (const _word of [1, 2]) {
        well(ada, ask(drill, 1));
        untaken();
      }
      well(ada, about('drill/full-end', drill));
      expect(drillOf(drill)).toMatchObject({ state: 'failed', penalty });
    }
  });

  test('costs nobody where the keys were opened at all, where the provider hears nothing, or where it has declined', () => {
    well(ada, ask(1, 1));
    open();
    untaken();
    well(ada, about('drill/full-end', 1));
    expect(drillOf(1)).toMatchObject({ state: 'void', reason: 'notRead', penalty: 0 });
    well(ada, ask(2, 1));
    well(ben, about('drill/decline', 2));
    expect(drillOf(2)).toMatchObject({ state: 'void', reason: 'declined' });
    ledger.now += terms.hearing.silentMs;
    well(ada, ask(3, 1));
    well(ben, { type: 'contract/degrade', contractId: terms.contractId, reason: 'silent' });
    untaken();
    well(ada, about('drill/full-end', 3));
    expect(drillOf(3)).toMatchObject({ state: 'void', reason: 'degraded' });
    expect(contract().escrow.provider).toBe(100);
  });

  describe('because the centre was away', () => {
    const asksOpening = (by = ben): Request => ({
      ...{ type: 'drill/full-open', contractId: terms.contractId, drill: 1 },
      root: ringRootOf(by, terms.contractId, 0),
    });
    const nothing = (): void => undefined;
    const twoWords = (afterFirst: () => void, afterSecond: () => void): void => {
      for (const after of [afterFirst, afterSecond]) {
        well(ada, ask(1, 1));
        after();
        untaken();
      }
      well(ada, about('drill/full-end', 1));
    };
    const inTime = (): void => {
      ledger.now += drillWordMs(terms);
      well(ben, asksOpening());
      ledger.now -= drillWordMs(terms);
    };

    test('costs nobody where its provider asked on the ledger for the opening', () => {
      twoWords(nothing, () => {
        inTime();
        const { at } = drillOf(1).openAsked ?? { at: 0 };
        well(ben, asksOpening());
        expect(drillOf(1).openAsked).toMatchObject({ at, root: { contractId: terms.contractId } });
      });
      expect(drillOf(1)).toMatchObject({ state: 'void', reason: 'notLet', penalty: 0 });
      expect(contract().escrow.provider).toBe(100);
      expect(invariantProblems(ledger.state)).toEqual([]);
    });

    test('costs the provider where it asked under the first word alone', () => {
      twoWords(inTime, () => expect(drillOf(1).openAsked).toBeUndefined());
      expect(drillOf(1)).toMatchObject({ state: 'failed', reason: 'notOpened', penalty: PENALTY });
    });

    test('costs the provider where it asked too late, or another did, or with another’s root', () => {
      twoWords(nothing, () => {
        expect(ledger.send(ada, asksOpening())).toMatchObject({ code: 'forbidden' });
        expect(ledger.send(ben, asksOpening(ada))).toMatchObject({ code: 'unauthenticated' });
        ledger.now += drillWordMs(terms) + 1;
        expect(ledger.send(ben, asksOpening())).toMatchObject({ code: 'gone' });
      });
      expect(drillOf(1)).toMatchObject({ state: 'failed', penalty: PENALTY });
    });

    test('is not asked for once the keys were opened', () => {
      well(ada, ask(1, 1));
      open();
      expect(ledger.send(ben, asksOpening())).toMatchObject({ code: 'conflict' });
    });
  });

  test('is over where its customer takes its own epoch again', () => {
    well(ada, ask(1, 1));
    open();
    well(ada, release(1));
    well(central, take(ada, terms, 1));
    expect(drillOf(1)).toMatchObject({ state: 'void', reason: 'notTaken' });
    expect(contract().life.state).toBe('READY');
  });

  test('is given up by its customer alone, and not once it is served', () => {
    well(ada, ask(1, 1));
    expect(ledger.send(ben, { ...about('drill/full-end', 1), givenUp: true } as Request).ok).toBe(false);
    well(ada, { ...about('drill/full-end', 1), givenUp: true } as Request);
    expect(drillOf(1)).toMatchObject({ state: 'void', reason: 'givenUp' });
    served(2, 1);
    expect(ledger.send(ada, { ...about('drill/full-end', 2), givenUp: true } as Request).ok).toBe(false);
    expect(ledger.send(ben, about('drill/decline', 2)).ok).toBe(false);
  });
});

describe('what is let go for a full drill', () => {
  const other = () =>
    makeTerms(2, { provider: cleo.edgeId, set: terms.set, slots: { customer: 0, provider: 2 } });
  const letGo = (): void => {
    register(ledger, cleo);
    well(central, validation(other(), ada, cleo));
    well(cleo, ready(other()));
    well(ada, ask(1, 1));
    open();
    well(ada, release(1));
  };

  test('is no other provider’s of the set while the word counts: nobody is paid for being quick', () => {
    letGo();
    ledger.now += drillWordMs(terms);
    expect(ledger.send(central, take(cleo, other(), 1))).toMatchObject({ ok: false, code: 'conflict' });
    well(central, take(ben, terms, 1));
    expect(contract()).toMatchObject({ life: { state: 'ACTIVE' }, activation: { drill: 1, owed: false } });
  });

  test('is whoever’s takes it when nobody has come for it in the time of the word', () => {
    letGo();
    ledger.now += drillWordMs(terms) + 1;
    well(central, take(cleo, other(), 1));
    expect(contractOf(ledger, other().contractId).activation).toMatchObject({ owed: true });
    expect(drillOf(1)).toMatchObject({ state: 'void', reason: 'notTaken' });
  });
});

describe('the ledger takes no word for a full drill', () => {
  const refused = (request: Request, by = ada) => ledger.send(by, request);

  test('under terms without them; nor such terms for a provider without keys, or with keys that nobody may have seen', () => {
    live({ drills: { penalty: 1 } });
    expect(refused(ask(1, 1))).toMatchObject({ ok: false, code: 'forbidden' });
    const relay = makeTerms(2, { drills: { full }, confidentiality: 'relay' });
    const refusing = makeTerms(2, { drills: { full }, exposed: 'refuse' });
    for (const one of [relay, refusing])
      expect(ledger.send(central, validation(one, ada, ben))).toMatchObject({
        ok: false,
        code: 'invalidInput',
      });
  });

  test('of anybody but the customer, for anything else, of another epoch or another time', () => {
    register(ledger, cleo);
    expect(refused(ask(1, 1), ben)).toMatchObject({ code: 'forbidden' });
    expect(refused(ask(1, 2))).toMatchObject({ code: 'unauthenticated' });
    const planned = { ...ask(1, 1), word: wordFor(1, 'planned') } as Request;
    expect(refused(planned)).toMatchObject({ code: 'unauthenticated' });
    const old = ask(1, 1);
    ledger.now += 61_000;
    expect(refused(old)).toMatchObject({ code: 'conflict' });
    expect(refused(ask(2, 1))).toMatchObject({ code: 'conflict' });
  });

  test('where the contract is not READY, the epoch is released, or a drill is under way', () => {
    well(ada, ask(1, 1));
    expect(refused(ask(2, 1))).toMatchObject({ code: 'conflict' });
    ledger.now += 1;
    expect(refused(ask(1, 1))).toMatchObject({ code: 'conflict' });
    well(ada, { ...about('drill/full-end', 1), givenUp: true } as Request);
    well(ada, release(1));
    expect(refused(ask(2, 1))).toMatchObject({ code: 'conflict' });
    well(central, take(ben, terms, 1));
    expect(refused(ask(2, 2))).toMatchObject({ code: 'conflict' });
  });

  test('more often than a month has room for', () => {
    for (let drill = 1; drill <= MOST_FULL_DRILLS_A_MONTH; drill++) {
      well(ada, ask(drill, 1));
      well(ada, { ...about('drill/full-end', drill), givenUp: true } as Request);
    }
    expect(refused(ask(MOST_FULL_DRILLS_A_MONTH + 1, 1))).toMatchObject({ code: 'busy' });
  });

  test('and asks a service back only for its customer, under the epoch that is served', () => {
    served(1, 1);
    expect(refused(back(2), ben)).toMatchObject({ code: 'forbidden' });
    expect(refused(back(1))).toMatchObject({ code: 'conflict' });
  });
});
