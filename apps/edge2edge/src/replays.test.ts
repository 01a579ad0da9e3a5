import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { systemRandom } from '@antirio/host';
import { generateIdentity, type EdgeId } from '@antirio/kernel';
import { createFreshness } from './freshness.ts';
import { createReplayWindow } from './replay-window.ts';

const edge = generateIdentity().edgeId as EdgeId;
const other = generateIdentity().edgeId as EdgeId;

describe('the window over datagrams', () => {
  test('lets every sequence number of a start through at most once, and all new ones that are not far behind', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 3000 }), fc.constantFrom('a', 'b'))),
        (arrivals) => {
          const window = createReplayWindow(10);
          const seen = new Set<string>();
          const highest = new Map<string, number>();
          for (const [seq, boot] of arrivals) {
            const top = highest.get(boot) ?? 0;
            const expected = !seen.has(`${boot} ${seq}`) && seq > top - 1024;
            expect(window.isNew(edge, boot, seq)).toBe(expected);
            seen.add(`${boot} ${seq}`);
            highest.set(boot, Math.max(top, seq));
          }
        },
      ),
    );
  });

  test('keeps edges apart and forgets the oldest starts', () => {
    const window = createReplayWindow(1);
    expect(window.isNew(edge, 'a', 1)).toBe(true);
    for (let i = 0; i < 8; i++) window.isNew(edge, `boot ${i}`, 1);
    expect(window.isNew(edge, 'boot 7', 1)).toBe(false);
    expect(window.isNew(other, 'boot 7', 1)).toBe(true);
  });
});

describe('the freshness of requests', () => {
  const setUp = (max = 100) => {
    const clock = { time: 0, monotonic: () => clock.time };
    return { clock, freshness: createFreshness(clock, systemRandom, max) };
  };

  test('takes each nonce once, for two lives of its challenge at most', () => {
    const { clock, freshness } = setUp();
    const nonce = `${freshness.challenge()}.a`;
    expect(freshness.check(edge, nonce)).toBe('fresh');
    expect(freshness.check(edge, nonce)).toBe('used');
    expect(freshness.check(other, nonce)).toBe('fresh');
    clock.time = 60_000;
    expect(freshness.check(edge, nonce)).toBe('used');
    expect(freshness.check(edge, `${nonce}b`)).toBe('fresh');
    expect(nonce.startsWith(freshness.challenge())).toBe(false);
    clock.time = 120_000;
    expect(freshness.check(edge, nonce)).toBe('stale');
    expect(freshness.check(edge, `${nonce}c`)).toBe('stale');
  });

  test('does not take a challenge of long ago back after a silence', () => {
    const { clock, freshness } = setUp();
    const nonce = `${freshness.challenge()}.a`;
    clock.time = 1_000_000;
    expect(freshness.check(edge, nonce)).toBe('stale');
  });

  test('remembers a bounded number of nonces of each edge', () => {
    const { freshness } = setUp(3);
    const challenge = freshness.challenge();
    const checks = ['a', 'b', 'c', 'd'].map((rest) => freshness.check(edge, `${challenge}.${rest}`));
    expect(checks).toEqual(['fresh', 'fresh', 'fresh', 'full']);
    expect(freshness.check(other, `${challenge}.a`)).toBe('fresh');
  });

  test('knows no nonce of another form', () => {
    const { freshness } = setUp();
    const challenge = freshness.challenge();
    for (const nonce of [
      '',
      challenge,
      `${challenge}.`,
      `${challenge}. `,
      `${challenge}.${'x'.repeat(65)}`,
      `x${challenge}.a`,
    ])
      expect(freshness.check(edge, nonce)).toBe('stale');
  });
});
