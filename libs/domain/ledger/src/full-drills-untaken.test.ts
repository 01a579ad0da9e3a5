import { beforeEach, describe, expect, test } from '@jest/globals';
import { drillWordMs } from '@antirio/service-contract';
import { FullDrillScene, PENALTY } from './full-drills.fixture.ts';
import { invariantProblems } from './invariants.ts';
import {
  ada,
  ben,
  central,
  cleo,
  contractOf,
  makeTerms,
  ready,
  register,
  ringRootOf,
  take,
  validation,
  type Request,
} from './machine.fixture.ts';

let scene: FullDrillScene;
beforeEach(() => {
  scene = new FullDrillScene();
});

describe('a full drill that nobody took', () => {
  const untaken = (): void => {
    scene.ledger.now += drillWordMs(scene.terms) + 1;
  };

  test('costs the provider once, and only after a second word', () => {
    scene.well(ada, scene.ask(1, 1));
    untaken();
    expect(scene.ledger.send(ada, scene.about('drill/full-end', 1)).ok).toBe(false);
    scene.well(ada, scene.ask(1, 1));
    expect(scene.drillOf(1).lastCallAt).toBe(scene.ledger.now);
    expect(scene.ledger.send(ada, scene.about('drill/full-end', 1)).ok).toBe(false);
    untaken();
    scene.well(ada, scene.about('drill/full-end', 1));
    scene.well(ada, scene.about('drill/full-end', 1));
    expect(scene.drillOf(1)).toMatchObject({ state: 'failed', reason: 'notOpened', penalty: PENALTY });
    expect(scene.contract()).toMatchObject({
      escrow: { customer: 100, provider: 100 - PENALTY },
      fullDrills: { failed: 1, judgedIn: 0 },
    });
    expect(scene.balances()).toEqual([900 + PENALTY, 900]);
    expect(invariantProblems(scene.ledger.state)).toEqual([]);
  });

  test('costs nothing beyond what the terms demand: the next one of the same stretch is an operator’s', () => {
    for (const [drill, penalty] of [
      [1, PENALTY],
      [2, 0],
    ] as const) {
      for (const _word of [1, 2]) {
        scene.well(ada, scene.ask(drill, 1));
        untaken();
      }
      scene.well(ada, scene.about('drill/full-end', drill));
      expect(scene.drillOf(drill)).toMatchObject({ state: 'failed', penalty });
    }
  });

  test('costs nobody where the keys were opened at all, where the provider hears nothing, or where it has declined', () => {
    scene.well(ada, scene.ask(1, 1));
    scene.open();
    untaken();
    scene.well(ada, scene.about('drill/full-end', 1));
    expect(scene.drillOf(1)).toMatchObject({ state: 'void', reason: 'notRead', penalty: 0 });
    scene.well(ada, scene.ask(2, 1));
    scene.well(ben, scene.about('drill/decline', 2));
    expect(scene.drillOf(2)).toMatchObject({ state: 'void', reason: 'declined' });
    scene.ledger.now += scene.terms.hearing.silentMs;
    scene.well(ada, scene.ask(3, 1));
    scene.well(ben, { type: 'contract/degrade', contractId: scene.terms.contractId, reason: 'silent' });
    untaken();
    scene.well(ada, scene.about('drill/full-end', 3));
    expect(scene.drillOf(3)).toMatchObject({ state: 'void', reason: 'degraded' });
    expect(scene.contract().escrow.provider).toBe(100);
  });

  describe('because the centre was away', () => {
    const asksOpening = (by = ben): Request => ({
      ...{ type: 'drill/full-open', contractId: scene.terms.contractId, drill: 1 },
      root: ringRootOf(by, scene.terms.contractId, 0),
    });
    const nothing = (): void => undefined;
    const twoWords = (afterFirst: () => void, afterSecond: () => void): void => {
      for (const after of [afterFirst, afterSecond]) {
        scene.well(ada, scene.ask(1, 1));
        after();
        untaken();
      }
      scene.well(ada, scene.about('drill/full-end', 1));
    };
    const inTime = (): void => {
      scene.ledger.now += drillWordMs(scene.terms);
      scene.well(ben, asksOpening());
      scene.ledger.now -= drillWordMs(scene.terms);
    };

    test('costs nobody where its provider asked on the ledger for the opening', () => {
      twoWords(nothing, () => {
        inTime();
        const { at } = scene.drillOf(1).openAsked ?? { at: 0 };
        scene.well(ben, asksOpening());
        expect(scene.drillOf(1).openAsked).toMatchObject({
          at,
          root: { contractId: scene.terms.contractId },
        });
      });
      expect(scene.drillOf(1)).toMatchObject({ state: 'void', reason: 'notLet', penalty: 0 });
      expect(scene.contract().escrow.provider).toBe(100);
      expect(invariantProblems(scene.ledger.state)).toEqual([]);
    });

    test('costs the provider where it asked under the first word alone', () => {
      twoWords(inTime, () => expect(scene.drillOf(1).openAsked).toBeUndefined());
      expect(scene.drillOf(1)).toMatchObject({ state: 'failed', reason: 'notOpened', penalty: PENALTY });
    });

    test('costs the provider where it asked too late, or another did, or with another’s root', () => {
      twoWords(nothing, () => {
        expect(scene.ledger.send(ada, asksOpening())).toMatchObject({ code: 'forbidden' });
        expect(scene.ledger.send(ben, asksOpening(ada))).toMatchObject({ code: 'unauthenticated' });
        scene.ledger.now += drillWordMs(scene.terms) + 1;
        expect(scene.ledger.send(ben, asksOpening())).toMatchObject({ code: 'gone' });
      });
      expect(scene.drillOf(1)).toMatchObject({ state: 'failed', penalty: PENALTY });
    });

    test('is not asked for once the keys were opened', () => {
      scene.well(ada, scene.ask(1, 1));
      scene.open();
      expect(scene.ledger.send(ben, asksOpening())).toMatchObject({ code: 'conflict' });
    });
  });

  test('is over where its customer takes its own epoch again', () => {
    scene.well(ada, scene.ask(1, 1));
    scene.open();
    scene.well(ada, scene.release(1));
    scene.well(central, take(ada, scene.terms, 1));
    expect(scene.drillOf(1)).toMatchObject({ state: 'void', reason: 'notTaken' });
    expect(scene.contract().life.state).toBe('READY');
  });

  test('is given up by its customer alone, and not once it is served', () => {
    scene.well(ada, scene.ask(1, 1));
    expect(scene.ledger.send(ben, { ...scene.about('drill/full-end', 1), givenUp: true } as Request).ok).toBe(
      false,
    );
    scene.well(ada, { ...scene.about('drill/full-end', 1), givenUp: true } as Request);
    expect(scene.drillOf(1)).toMatchObject({ state: 'void', reason: 'givenUp' });
    scene.served(2, 1);
    expect(scene.ledger.send(ada, { ...scene.about('drill/full-end', 2), givenUp: true } as Request).ok).toBe(
      false,
    );
    expect(scene.ledger.send(ben, scene.about('drill/decline', 2)).ok).toBe(false);
  });
});

describe('what is let go for a full drill', () => {
  const other = () =>
    makeTerms(2, { provider: cleo.edgeId, set: scene.terms.set, slots: { customer: 0, provider: 2 } });
  const letGo = (): void => {
    register(scene.ledger, cleo);
    scene.well(central, validation(other(), ada, cleo));
    scene.well(cleo, ready(other()));
    scene.well(ada, scene.ask(1, 1));
    scene.open();
    scene.well(ada, scene.release(1));
  };

  test('is no other provider’s of the set while the word counts: nobody is paid for being quick', () => {
    letGo();
    scene.ledger.now += drillWordMs(scene.terms);
    expect(scene.ledger.send(central, take(cleo, other(), 1))).toMatchObject({ ok: false, code: 'conflict' });
    scene.well(central, take(ben, scene.terms, 1));
    expect(scene.contract()).toMatchObject({
      life: { state: 'ACTIVE' },
      activation: { drill: 1, owed: false },
    });
  });

  test('is whoever’s takes it when nobody has come for it in the time of the word', () => {
    letGo();
    scene.ledger.now += drillWordMs(scene.terms) + 1;
    scene.well(central, take(cleo, other(), 1));
    expect(contractOf(scene.ledger, other().contractId).activation).toMatchObject({ owed: true });
    expect(scene.drillOf(1)).toMatchObject({ state: 'void', reason: 'notTaken' });
  });
});
