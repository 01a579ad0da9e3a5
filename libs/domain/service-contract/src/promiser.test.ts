import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { signDocument } from '@antirio/kernel';
import { ACTS_KIND } from './acts-word.ts';
import type { PartyEvent } from './party.ts';
import {
  EARLIER,
  LATER,
  TICK_MS,
  createPair,
  customerId,
  other,
  recorded,
  terms,
} from './promises.fixture.ts';

const { setId } = terms.set;

describe('a provider that has promised not to act', () => {
  const gathered = (): ReturnType<typeof createPair> => {
    const pair = createPair({ phase: { at: 'reading', from: 7 } });
    pair.toProvider(recorded({ challenge: 'c.7' }));
    return pair;
  };
  const taken = { type: 'answer', method: 'take', ok: true, value: { epoch: 2, actAfterMs: 0 } } as const;

  test('assumes the epoch that it is given only when what it promised is over, and acts when that is off the air', () => {
    const pair = gathered();
    pair.run(4000);
    expect(pair.acts()).toBe(true);
    const ends = pair.leaseEnds();
    pair.toProvider(taken);
    expect(pair.provider().phase.at).toBe('reading');
    const own = recorded({
      ...{ state: 'ACTIVE', epoch: 2, holder: terms.provider, activation: 2, quietMs: 0 },
    });
    pair.toProvider(own);
    expect(pair.provider().phase.at).toBe('reading');
    // and neither takes another one meanwhile nor promises again
    const asked = pair.tickProvider().flatMap((effect) => (effect.type === 'call' ? [effect.method] : []));
    expect(asked).not.toContain('take');
    pair.run(ends + 20);
    expect(pair.acts()).toBe(false);
    pair.run(ends + 180);
    pair.toProvider(own);
    expect(pair.provider().phase).toMatchObject({ at: 'active', epoch: 2 });
    expect(pair.providerMayAct()).toBe(false);
    const { actFrom } = pair.provider().acting.lease;
    expect(actFrom - ends).toBeGreaterThan(3000);
    expect(actFrom - ends).toBeLessThan(3320);
  });

  test('is free of it where the run that it promised has released its epoch, and acts once what that sent last is off the air', () => {
    const pair = gathered();
    pair.run(4000);
    // a grantor that was asked before it knew of the release counts from the end of its own lease
    pair.toProvider(taken);
    expect(pair.provider().phase.at).toBe('reading');
    pair.toProvider(recorded({ released: true, lastRelease: { epoch: 1, bootId: 'boot-a' } }));
    pair.toProvider(taken);
    expect(pair.provider().phase).toMatchObject({ at: 'active', epoch: 2 });
    expect(pair.provider().acting.lease.actFrom).toBeCloseTo(4000 + (3000 * 1.02) / 0.98);
  });

  test('keeps it where another run of the customer had released its epoch before: who came back with an old disk does not know', () => {
    for (const lastRelease of [undefined, { epoch: 1, bootId: 'boot-x' }, { epoch: 0, bootId: 'boot-a' }]) {
      const pair = gathered();
      pair.run(4000);
      pair.toProvider(recorded({ released: true, lastRelease }));
      pair.toProvider(taken);
      expect(pair.provider().phase.at).toBe('reading');
      expect(pair.acts()).toBe(true);
      const own = recorded({ state: 'ACTIVE', epoch: 2, holder: terms.provider, activation: 2, lastRelease });
      pair.run(pair.leaseEnds() + 180);
      pair.toProvider(own);
      expect(pair.provider().phase).toMatchObject({ at: 'active', epoch: 2 });
    }
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
      // what another run of the customer released frees nobody of what this one was promised
      const lastRelease = { epoch: 1, bootId: 'boot-x' };
      const own = recorded({ state: 'ACTIVE', epoch: 2, holder: terms.provider, activation: 2, lastRelease });
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
