import { beforeEach, describe, expect, test } from '@jest/globals';
import { signDocument } from '@antirio/kernel';
import {
  BACK_KIND,
  DRILL_BACK_MS,
  DRILL_FETCH_MS,
  MOST_FULL_DRILLS_A_MONTH,
  signedBackAsk,
} from '@antirio/service-contract';
import { FULL, FullDrillScene, SERVES_MS } from './full-drills.fixture.ts';
import { invariantProblems } from './invariants.ts';
import {
  ada,
  ben,
  central,
  cleo,
  makeTerms,
  register,
  take,
  validation,
  type Request,
} from './machine.fixture.ts';
import { keys } from './records.ts';

let scene: FullDrillScene;
beforeEach(() => {
  scene = new FullDrillScene();
});

describe('a full drill', () => {
  test('is passed when what was served is stated by both, costs nobody, and the contract goes on with keys that were seen', () => {
    scene.served(1, 1);
    expect(scene.contract()).toMatchObject({
      life: { state: 'ACTIVE' },
      activation: { owed: false, drill: 1 },
    });
    scene.ledger.now += SERVES_MS;
    scene.well(ada, scene.back(2));
    scene.well(ben, {
      type: 'drill/first-reading',
      contractId: scene.terms.contractId,
      drill: 1,
      firstReadingMs: 900,
    });
    scene.home(2);
    expect(scene.drillOf(1)).toMatchObject({
      ...{ state: 'passed', reason: 'served', penalty: 0, counts: true, firstReadingMs: 900 },
      served: { epoch: 2 },
    });
    expect(scene.contract()).toMatchObject({
      life: { state: 'READY_EXPOSED' },
      fullDrills: { started: 1, passed: 1, judgedIn: 0 },
      escrow: { customer: 100, provider: 100 },
    });
    expect(scene.contract().served).toBeUndefined();
    expect(scene.ledger.state.get(keys.keys(scene.terms.contractId))).toMatchObject({ exposedBy: 1 });
    expect(invariantProblems(scene.ledger.state)).toEqual([]);
  });

  test('is none of the takeovers that are paid: the first real one after it is', () => {
    scene.served(1, 1);
    scene.home(2);
    scene.open();
    scene.well(ada, scene.release(3));
    scene.well(central, take(ben, scene.terms, 3));
    expect(scene.contract().activation).toEqual(expect.objectContaining({ epoch: 4, owed: true }));
    expect(scene.contract().activation).not.toHaveProperty('drill');
    scene.home(4);
    expect(scene.contract().settlement?.row).toBe('honoured');
    expect(scene.balances()).toEqual([900, 1100]);
  });

  test('whose customer does not come back in time was a takeover, and is paid', () => {
    scene.served(1, 1);
    scene.ledger.now += SERVES_MS + DRILL_BACK_MS + 1;
    scene.well(ada, scene.back(2));
    scene.home(2);
    expect(scene.drillOf(1)).toMatchObject({ state: 'void', reason: 'takeover' });
    expect(scene.contract().settlement?.row).toBe('honoured');
    expect(scene.balances()).toEqual([900, 1100]);
  });

  test('is owed nothing for by a customer that asked in time, however long the provider keeps it', () => {
    scene.served(1, 1);
    scene.ledger.now += SERVES_MS + DRILL_BACK_MS;
    scene.well(ada, scene.back(2));
    scene.ledger.now += 10 * DRILL_BACK_MS;
    scene.home(2);
    expect(scene.drillOf(1).state).toBe('passed');
    expect(scene.contract().settlement).toBeUndefined();
  });

  describe('whose customer asked in time while the ledger was away', () => {
    const asked = (epoch: number, at: number, by = ada): Request => {
      const body = { contractId: scene.terms.contractId, epoch, at };
      const ask = signedBackAsk.parse(signDocument(by, BACK_KIND, body));
      return { type: 'drill/back-asked', contractId: scene.terms.contractId, ask };
    };
    /** The customer's own word and the release come to the ledger too late. */
    const lateBy = (epoch: number): void => {
      scene.ledger.now += 10 * (SERVES_MS + DRILL_BACK_MS);
      scene.well(ada, scene.back(epoch));
      scene.well(ben, scene.release(epoch));
      scene.well(central, take(ada, scene.terms, epoch));
    };

    test('is owed nothing for by the word that its provider kept', () => {
      scene.served(1, 1);
      const at = scene.ledger.now + SERVES_MS;
      lateBy(2);
      scene.well(ben, asked(2, at));
      expect(scene.drillOf(1).askedBackAt).toBe(at);
      scene.well(ben, asked(2, at + 1));
      expect(scene.drillOf(1).askedBackAt).toBe(at);
      scene.stated(2);
      expect(scene.drillOf(1)).toMatchObject({ state: 'passed', reason: 'served' });
      expect(scene.contract()).toMatchObject({ life: { state: 'READY_EXPOSED' }, escrow: { customer: 100 } });
      expect(invariantProblems(scene.ledger.state)).toEqual([]);
    });

    test('is paid where the word is another’s, of another epoch, brought by the customer, or itself too late', () => {
      scene.served(1, 1);
      const at = scene.ledger.now + SERVES_MS;
      lateBy(2);
      expect(scene.ledger.send(ben, asked(2, at, ben))).toMatchObject({ code: 'unauthenticated' });
      expect(scene.ledger.send(ada, asked(2, at))).toMatchObject({ code: 'forbidden' });
      expect(scene.ledger.send(ben, asked(1, at))).toMatchObject({ ok: true, result: { counted: false } });
      scene.well(ben, asked(2, at + DRILL_BACK_MS + 1));
      scene.stated(2);
      expect(scene.drillOf(1)).toMatchObject({ state: 'void', reason: 'takeover' });
      expect(scene.contract().settlement?.row).toBe('honoured');
    });

    test('says nothing of a takeover that is no drill', () => {
      scene.open();
      scene.well(ada, scene.release(1));
      scene.well(central, take(ben, scene.terms, 1));
      expect(scene.ledger.send(ben, asked(2, scene.ledger.now))).toMatchObject({
        result: { counted: false },
      });
      expect(scene.contract().activation).toMatchObject({ owed: true });
    });
  });

  test('that its provider took again, before its customer had its epoch back, is asked back anew or paid', () => {
    scene.served(1, 1);
    scene.well(ada, scene.back(2));
    scene.well(ben, scene.release(2));
    scene.fetched();
    scene.well(central, take(ben, scene.terms, 2));
    expect(scene.contract().activation).toMatchObject({ epoch: 3, owed: false, drill: 1 });
    expect(scene.drillOf(1)).toMatchObject({ served: { epoch: 3 } });
    expect(scene.drillOf(1)).not.toHaveProperty('askedBackAt');
    scene.ledger.now += SERVES_MS + DRILL_BACK_MS + 1;
    scene.home(3);
    expect(scene.contract().settlement?.row).toBe('honoured');
  });

  test('is paid where all that was served for it is too long, however often it was asked back and not fetched', () => {
    scene.served(1, 1);
    for (const epoch of [2, 3]) {
      scene.ledger.now += DRILL_BACK_MS / 2 + SERVES_MS;
      scene.well(ada, scene.back(epoch));
      scene.well(ben, scene.release(epoch));
      scene.fetched();
      scene.well(central, take(ben, scene.terms, epoch));
    }
    scene.well(ada, scene.back(4));
    scene.home(4);
    expect(scene.drillOf(1)).toMatchObject({ state: 'void', reason: 'takeover' });
    expect(scene.contract().settlement?.row).toBe('honoured');
  });

  test('that its provider took again is passed where its customer came back within the time of the first', () => {
    scene.served(1, 1);
    scene.well(ada, scene.back(2));
    scene.well(ben, scene.release(2));
    scene.fetched();
    scene.well(central, take(ben, scene.terms, 2));
    scene.well(ada, scene.back(3));
    scene.home(3);
    expect(scene.drillOf(1).state).toBe('passed');
    expect(scene.contract().settlement).toBeUndefined();
  });

  test('that was asked back is for its customer first: who serves it does not keep it by letting go', () => {
    scene.served(1, 1);
    scene.well(ada, scene.back(2));
    scene.well(ben, scene.release(2));
    scene.ledger.now += DRILL_FETCH_MS;
    expect(scene.ledger.send(central, take(ben, scene.terms, 2))).toMatchObject({
      ok: false,
      code: 'conflict',
    });
    scene.well(central, take(ada, scene.terms, 2));
    scene.stated(2);
    expect(scene.drillOf(1).state).toBe('passed');
  });

  test('after which the customer dies before it is stated is followed by a takeover that is paid', () => {
    scene.served(1, 1);
    scene.well(ben, scene.release(2));
    scene.well(central, take(ada, scene.terms, 2));
    scene.ledger.now += 60_000;
    scene.well(central, {
      ...take(ben, scene.terms, 3),
      customerLeaseEndedAt: scene.ledger.now - 1,
    } as Request);
    expect(scene.contract().activation).toMatchObject({ epoch: 4, owed: true });
    expect(scene.drillOf(1)).toMatchObject({ state: 'void', reason: 'takeover' });
    scene.home(4);
    expect(scene.contract().settlement?.row).toBe('honoured');
  });

  test('in which the customer’s lease ends unreleased is a takeover at once', () => {
    scene.well(ada, scene.ask(1, 1));
    scene.open();
    scene.ledger.now += 60_000;
    scene.well(central, {
      ...take(ben, scene.terms, 1),
      customerLeaseEndedAt: scene.ledger.now - 1,
    } as Request);
    expect(scene.contract().activation).toMatchObject({ epoch: 2, owed: true });
    expect(scene.drillOf(1)).toMatchObject({ state: 'void', reason: 'takeover' });
  });

  test('whose provider fell silent while it served shows nothing of it, and costs nobody', () => {
    scene.served(1, 1);
    scene.ledger.now += 60_000;
    scene.well(central, {
      ...take(ada, scene.terms, 2),
      holderLeaseEndedAt: scene.ledger.now - 1,
    } as Request);
    scene.stated(2);
    expect(scene.drillOf(1)).toMatchObject({ state: 'void', reason: 'lapsed' });
    expect(scene.contract()).toMatchObject({ life: { state: 'READY_EXPOSED' }, escrow: { provider: 100 } });
  });

  test('that its provider was asked to end is passed, also where its lease ended before its release came', () => {
    scene.served(1, 1);
    scene.well(ada, scene.back(2));
    scene.ledger.now += 10_000;
    scene.well(central, {
      ...take(ada, scene.terms, 2),
      holderLeaseEndedAt: scene.ledger.now - 1,
    } as Request);
    expect(scene.ledger.send(ada, scene.back(2)).ok).toBe(false);
    scene.stated(2);
    expect(scene.drillOf(1)).toMatchObject({ state: 'passed', takenBackAt: scene.ledger.now });
  });

  test('leaves nothing to be claimed of an outage that there was none of', () => {
    scene = new FullDrillScene({
      coverage: { breach: 'ruled', claimWithinMs: 60_000, answerWithinMs: 60_000 },
    });
    scene.served(1, 1);
    scene.home(2);
    expect(scene.contract()).not.toHaveProperty('coverage');
  });
});

describe('the ledger takes no word for a full drill', () => {
  const refused = (request: Request, by = ada) => scene.ledger.send(by, request);

  test('under terms without them; nor such terms for a provider without keys, or with keys that nobody may have seen', () => {
    scene = new FullDrillScene({ drills: { penalty: 1 } });
    expect(refused(scene.ask(1, 1))).toMatchObject({ ok: false, code: 'forbidden' });
    const relay = makeTerms(2, { drills: { full: FULL }, confidentiality: 'relay' });
    const refusing = makeTerms(2, { drills: { full: FULL }, exposed: 'refuse' });
    for (const one of [relay, refusing])
      expect(scene.ledger.send(central, validation(one, ada, ben))).toMatchObject({
        ok: false,
        code: 'invalidInput',
      });
  });

  test('of anybody but the customer, for anything else, of another epoch or another time', () => {
    register(scene.ledger, cleo);
    expect(refused(scene.ask(1, 1), ben)).toMatchObject({ code: 'forbidden' });
    expect(refused(scene.ask(1, 2))).toMatchObject({ code: 'unauthenticated' });
    const planned = { ...scene.ask(1, 1), word: scene.wordFor(1, 'planned') } as Request;
    expect(refused(planned)).toMatchObject({ code: 'unauthenticated' });
    const old = scene.ask(1, 1);
    scene.ledger.now += 61_000;
    expect(refused(old)).toMatchObject({ code: 'conflict' });
    expect(refused(scene.ask(2, 1))).toMatchObject({ code: 'conflict' });
  });

  test('where the contract is not READY, the epoch is released, or a drill is under way', () => {
    scene.well(ada, scene.ask(1, 1));
    expect(refused(scene.ask(2, 1))).toMatchObject({ code: 'conflict' });
    scene.ledger.now += 1;
    expect(refused(scene.ask(1, 1))).toMatchObject({ code: 'conflict' });
    scene.well(ada, { ...scene.about('drill/full-end', 1), givenUp: true } as Request);
    scene.well(ada, scene.release(1));
    expect(refused(scene.ask(2, 1))).toMatchObject({ code: 'conflict' });
    scene.well(central, take(ben, scene.terms, 1));
    expect(refused(scene.ask(2, 2))).toMatchObject({ code: 'conflict' });
  });

  test('more often than a month has room for', () => {
    for (let drill = 1; drill <= MOST_FULL_DRILLS_A_MONTH; drill++) {
      scene.well(ada, scene.ask(drill, 1));
      scene.well(ada, { ...scene.about('drill/full-end', drill), givenUp: true } as Request);
    }
    expect(refused(scene.ask(MOST_FULL_DRILLS_A_MONTH + 1, 1))).toMatchObject({ code: 'busy' });
  });

  test('and asks a service back only for its customer, under the epoch that is served', () => {
    scene.served(1, 1);
    expect(refused(scene.back(2), ben)).toMatchObject({ code: 'forbidden' });
    expect(refused(scene.back(1))).toMatchObject({ code: 'conflict' });
  });
});
