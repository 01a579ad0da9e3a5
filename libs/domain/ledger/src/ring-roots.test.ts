import { expect, test } from '@jest/globals';
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
