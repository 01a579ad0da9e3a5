import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { generateIdentity, openIdentity, signDocument } from '@antirio/kernel';
import { baselineOf, COVERAGE_KIND, type CoverageMark, type SignedMark } from './coverage-mark.ts';
import { isLeftOut, judgeClaim, missesAfterReturn, type CoverageClaim } from './coverage-claim.ts';
import type { DeviceStatement, HandbackStatement } from './statement.ts';

const customer = openIdentity(generateIdentity());
const provider = openIdentity(generateIdentity());
const contractId = '00000000-0000-4000-8000-000000000001';
const euiOf = (i: number): string => (0xa0 + i).toString(16).padStart(16, '0');
const session = '11'.repeat(8);
const FROM = 301;

/** Heard `shown` of 200; the last ten of them in the mark itself, which begins at frame 280 of the ring. */
function bodyOf(i: number, shown = 190, more: Partial<CoverageMark> = {}): CoverageMark {
  return {
    ...{ contractId, devEui: euiOf(i), devAddr: '0000000a', session, keyVersion: 1, at: 0 },
    ...{ from: 91, last: 100, shown: 10, seq: 280 - i, settings: { dataRate: 'SF7BW125', txPower: 0 } },
    ...{ before: { sent: 100, shown: shown - 100 }, since: { sent: 100, shown: 100 } },
    receipts: { chain: 'ab', batch: 1, hash: '0'.repeat(64) },
    ...more,
  };
}

function signed(body: CoverageMark, by = provider): SignedMark {
  return {
    body,
    signatures: {
      customer: signDocument(customer, COVERAGE_KIND, body).signature,
      provider: signDocument(by, COVERAGE_KIND, body).signature,
    },
  };
}

const termsOf = (devices: number) => ({
  ...{ contractId, customer: customer.edgeId, provider: provider.edgeId },
  set: {
    ...{ setId: 'set', service: 'device-lora' },
    devices: Array.from({ length: devices }, (_, i) => ({ devEui: euiOf(i), devAddr: '0000000a' })),
  },
});

const deviceOf = (i: number, count: number, last: number): DeviceStatement => ({
  ...{ devEui: euiOf(i), devAddr: '0000000a', session, first: 103, last, count, gaps: 0 },
  digest: '0'.repeat(64),
});

const statementOf = (...devices: DeviceStatement[]): HandbackStatement => ({
  ...{ contractId, epoch: 2, from: FROM, through: 900, devices },
});

const claimOf = (marks: SignedMark[], first: number | undefined, changed: string[] = []): CoverageClaim => ({
  ...{ marks, changed },
  closings: first === undefined ? [] : marks.map(({ body: { devEui } }) => ({ devEui, first })),
});

/** One device that was sent 300 uplinks by, of which the provider handed `count` back. */
const judged = (
  count: number,
  more: {
    claim?: Partial<CoverageClaim>;
    answer?: Parameters<typeof judgeClaim>[0]['answer'];
    mark?: SignedMark;
    first?: number;
  } = {},
) => {
  const devices = count === 0 ? [] : [deviceOf(0, count, 400)];
  const claim = { ...claimOf([more.mark ?? signed(bodyOf(0))], more.first ?? 402), ...more.claim };
  return judgeClaim({ terms: termsOf(1), claim, statement: statementOf(...devices), answer: more.answer });
};
const verdictOf = (...args: Parameters<typeof judged>): string => {
  const found = judged(...args);
  return found.ok ? found.judgement.verdict : found.reason;
};

describe('a claim of too little handed back', () => {
  test('is a breach where bad luck is out of the question, and only there', () => {
    expect(verdictOf(150)).toBe('breach');
    expect(verdictOf(280)).toBe('within');
    expect(judged(150)).toMatchObject({ judgement: { expected: 300, heard: 161, devices: 1 } });
  });

  test('of who handed nothing back goes to the first uplink that both heard afterwards, less what chance may miss', () => {
    const misses = missesAfterReturn(baselineOf(bodyOf(0)).atLeast ?? 0, 1);
    expect(misses).toBeGreaterThan(3);
    expect(misses).toBeLessThan(12);
    expect(judged(0, { first: 401 })).toMatchObject({
      judgement: { expected: 300 - misses, verdict: 'breach' },
    });
    expect(judged(0, { claim: { closings: [] } })).toMatchObject({ judgement: { verdict: 'notJudged' } });
  });

  test('goes by the provider’s own word on the end where it gives it, and by the customer’s where it is silent', () => {
    const answer = { closings: [{ devEui: euiOf(0), first: 103 }], marks: [] };
    expect(verdictOf(0)).toBe('breach');
    expect(verdictOf(0, { answer })).toBe('notJudged');
    // what it handed back shows how far it was sent: its word on what came later is no way out
    expect(verdictOf(150, { answer })).toBe('breach');
    expect(verdictOf(150, { answer: { closings: [], marks: [] } })).toBe('breach');
    // nor does the customer win by naming an end that is too far
    expect(
      verdictOf(280, { first: 5000, answer: { ...answer, closings: [{ devEui: euiOf(0), first: 402 }] } }),
    ).toBe('within');
  });

  test('is none with marks that are not both parties’, of before, or of a baseline', () => {
    expect(verdictOf(150, { mark: signed(bodyOf(0), customer) })).toMatch(/not signed by both/);
    expect(verdictOf(150, { mark: signed(bodyOf(0, 190, { seq: FROM })) })).toMatch(/not of before/);
    const short = signed(bodyOf(0, 190, { before: { sent: 0, shown: 0 }, since: { sent: 99, shown: 99 } }));
    expect(verdictOf(150, { mark: short })).toMatch(/fewer than 100/);
    expect(verdictOf(150, { mark: signed(bodyOf(3)) })).toMatch(/not of the contract/);
    const twice = [signed(bodyOf(0)), signed(bodyOf(0))];
    expect(verdictOf(150, { claim: { marks: twice } })).toMatch(/twice/);
  });

  test('counts a device that sends otherwise as heard, by the customer’s word or by a later mark', () => {
    expect(verdictOf(150, { claim: { changed: [euiOf(0)] } })).toBe('within');
    const later = signed(bodyOf(0, 190, { last: 500, settings: { dataRate: 'SF9BW125' } }));
    expect(verdictOf(150, { answer: { closings: [], marks: [later] } })).toBe('within');
    const unsigned = signed(later.body, customer);
    expect(verdictOf(150, { answer: { closings: [], marks: [unsigned] } })).toBe('breach');
  });

  test('is none that leaves out a device, or a newer mark of one', () => {
    const terms = termsOf(2);
    const statement = statementOf(deviceOf(0, 150, 400), deviceOf(1, 300, 400));
    const claim = claimOf([signed(bodyOf(0))], 402);
    const other = signed(bodyOf(1));
    const newer = signed(bodyOf(0, 120, { last: 102 }));
    for (const mark of [other, newer]) {
      expect(isLeftOut({ terms, claim, statement }, mark)).toBe(true);
      const answer = { closings: [], marks: [mark] };
      expect(judgeClaim({ terms, claim, statement, answer })).toMatchObject({
        ok: false,
        reason: /leaves a mark/,
      });
    }
    // those of after the outage are no marks that it could have gone by
    expect(isLeftOut({ terms, claim, statement }, signed(bodyOf(1, 190, { last: 410 })))).toBe(false);
    expect(isLeftOut({ terms, claim, statement }, signed(bodyOf(1), customer))).toBe(false);
  });

  test('does not judge a device whose mark is too old, or that has another session', () => {
    expect(verdictOf(150, { mark: signed(bodyOf(0, 190, { seq: 200 })) })).toBe('notJudged');
    expect(verdictOf(150, { mark: signed(bodyOf(0, 190, { session: '22'.repeat(8) })) })).toBe('notJudged');
  });

  test('does not punish who hears as its baselines say', () => {
    // The chance is below one in a million for each; the seed is fixed.
    const shown = [20, 50, 70, 85, 90, 95, 99, 100];
    const marks = shown.map((of, i) =>
      signed(bodyOf(i, 0, { shown: 0, before: { sent: 100, shown: of }, since: { sent: 100, shown: of } })),
    );
    const bits = fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }));
    fc.assert(
      fc.property(fc.record({ devices: fc.integer({ min: 1, max: 8 }), sent: fc.nat(300), bits }), (of) => {
        const heard = (p: number): boolean => Number(of.bits.next().value) < p;
        const claimed = marks.slice(0, of.devices);
        const devices: DeviceStatement[] = [];
        const closings = claimed.map(({ body }, i) => {
          // true hearing is the bound itself: the worst that the baseline allows
          const { atLeast = 0 } = baselineOf(body);
          const got = Array.from({ length: of.sent }, (_, n) => 101 + n).filter(() => heard(atLeast));
          const last = got.at(-1);
          if (last !== undefined) devices.push(deviceOf(i, got.length, last));
          let first = 101 + of.sent;
          while (!heard(atLeast)) first += 1;
          return { devEui: euiOf(i), first };
        });
        const claim = { marks: claimed, changed: [], closings };
        // nothing was heard between the marks and the opening: the ring leaves no doubt to be the provider's
        const statement = { ...statementOf(...devices), from: 281 };
        const found = judgeClaim({ terms: termsOf(8), claim, statement, answer: undefined });
        expect(found.ok && found.judgement.verdict !== 'breach').toBe(true);
      }),
      { seed: 9, numRuns: 40 },
    );
  });
});
