import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  ada,
  ben,
  central,
  createTestLedger,
  makeTerms,
  ready,
  register,
  ringRootOf,
  validation,
} from './machine.fixture.ts';
import { keys } from './records.ts';
import { contradict } from './ring-roots.ts';

const terms = makeTerms(1);
const { contractId } = terms;

test('the newest root of a ring is recorded with its time, by its provider only, and never an older one', () => {
  const ledger = createTestLedger();
  register(ledger, ada, ben);
  ledger.send(central, validation(terms, ada, ben));
  ledger.send(ben, ready(terms));
  const record = (root: ReturnType<typeof ringRootOf>, by = ben) =>
    ledger.send(by, { type: 'ring/root', root });
  expect(record(ringRootOf(ben, contractId, 40))).toMatchObject({ ok: true });
  expect(ledger.state.get(keys.ringRoot(contractId))).toMatchObject({
    root: { through: 40 },
    at: ledger.now,
  });
  expect(record(ringRootOf(ben, contractId, 40))).toMatchObject({ code: 'conflict' });
  expect(record(ringRootOf(ben, contractId, 39))).toMatchObject({ code: 'conflict' });
  expect(record(ringRootOf(ada, contractId, 50), ada)).toMatchObject({ code: 'forbidden' });
  expect(record(ringRootOf(ada, contractId, 50))).toMatchObject({ code: 'forbidden' });
  const forged = { ...ringRootOf(ben, contractId, 50), body: ringRootOf(ben, contractId, 60).body };
  expect(record(forged)).toMatchObject({ code: 'unauthenticated' });
  expect(record(ringRootOf(ben, contractId, 60))).toMatchObject({ ok: true });
});

test('roots of two lives of a ring say nothing against each other', () => {
  const root = { contractId, root: 'aa'.repeat(32), count: 7, through: 7, incarnation: 'one' };
  const other = { ...root, root: 'bb'.repeat(32) };
  expect(contradict(root, other)).toBe(true);
  expect(contradict(root, { ...other, incarnation: 'two' })).toBe(false);
  expect(contradict(root, { ...other, incarnation: undefined })).toBe(false);
  expect(contradict(root, { ...root, through: 9, count: 6 })).toBe(true);
  expect(contradict(root, { ...root, through: 9, count: 9 })).toBe(false);
});

test('an honest ring’s roots never contradict each other, in whatever order they come; two of one length with other frames do', () => {
  // what the ring has: some of the numbers are of frames that were let go of
  const frames = fc.array(fc.nat(3), { minLength: 1, maxLength: 30 });
  const rootOf = (ring: readonly number[], through: number, incarnation = 'one') => {
    const kept = ring.slice(0, through).filter((frame) => frame > 0);
    return { contractId, root: kept.join('').padEnd(64, '0'), count: kept.length, through, incarnation };
  };
  fc.assert(
    fc.property(frames, fc.nat(), fc.nat(), fc.integer({ min: 1, max: 3 }), (ring, one, two, change) => {
      const [first, second] = [1 + (one % ring.length), 1 + (two % ring.length)];
      expect(contradict(rootOf(ring, first), rootOf(ring, second))).toBe(false);
      // what stood under a root is another frame, or was taken out
      const at = two % first;
      const other = ring.with(at, ((ring[at] ?? 0) + change) % 4);
      expect(contradict(rootOf(ring, first), rootOf(other, first))).toBe(true);
      expect(contradict(rootOf(other, first), rootOf(ring, first))).toBe(true);
      expect(contradict(rootOf(ring, first), rootOf(other, first, 'two'))).toBe(false);
      const shorter = ring.slice(0, first).map(() => 0);
      const isLess = rootOf(ring, first).count > 0;
      expect(contradict(rootOf(ring, first), rootOf([...shorter, 0], first + 1))).toBe(isLess);
    }),
  );
});
