import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  beginCommitments,
  commit,
  isCommitted,
  noReceipts,
  noteReceipts,
  receiptsDue,
  type Receipt,
  type ReceiptBook,
  type Receipts,
} from './receipts.ts';

const contractId = '6a6e5df8-14ab-4f2c-b6f2-2b1d0c4e9a01';
const rowOf = (seq: number, mic = seq): Receipt => ({
  ...{ devAddr: '01000001', fcnt: seq % 0x10000 },
  mic: mic.toString(16).padStart(8, '0'),
});
const rowsBetween = (after: number, through: number): Receipt[] =>
  Array.from({ length: through - after }, (_, i) => rowOf(after + 1 + i));

/** What a provider tells whose ring grows by so many frames each time. */
function toldOf(growth: readonly number[]): Receipts[] {
  let known = beginCommitments(contractId, 'c'.repeat(16), 'life', 0);
  let through = 0;
  return growth.flatMap((more, i) => {
    known = commit(known, rowsBetween(through, through + more), through + more, i * 500);
    through += more;
    return receiptsDue(known, i * 500) ?? [];
  });
}

const growth = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 20 });
/** For each datagram: how late it comes, how often, and whether at all. */
const ways = fc.array(fc.record({ lateMs: fc.nat(9000), copies: fc.nat(2) }), {
  minLength: 20,
  maxLength: 20,
});

/** The datagrams in the order in which they come. */
function arrivals(told: readonly Receipts[], way: readonly { lateMs: number; copies: number }[]) {
  return told
    .flatMap((one, i) => {
      const { lateMs = 0, copies = 1 } = way[i] ?? {};
      return Array.from({ length: copies }, (_, k) => ({ one, at: i * 500 + lateMs + k * 700 }));
    })
    .toSorted((a, b) => a.at - b.at);
}

test('a commitment is noted once, with the time at which it came first, however late, doubled or out of order', () => {
  fc.assert(
    fc.property(growth, ways, (grows, way) => {
      let book: ReceiptBook = noReceipts;
      const came = arrivals(toldOf(grows), way);
      for (const { one, at } of came) book = noteReceipts(book, one, at);
      const batches = book.pending.map(({ head }) => head.batch);
      expect(new Set(batches).size).toBe(batches.length);
      for (const { head, before, cameAt } of book.pending) {
        const first = came.find(({ one }) => one.batches.some(({ batch }) => batch === head.batch));
        // never earlier than it came, and never what the provider did not say
        expect(cameAt).toBeGreaterThanOrEqual(first?.at ?? Infinity);
        expect(
          isCommitted(
            contractId,
            { chain: 'c'.repeat(16), incarnation: 'life', before, head, cameAt },
            rowsBetween(before.through, head.through),
          ),
        ).toBe(true);
      }
    }),
  );
});

test('no frame that was added, left out or changed after the commitment stands under it', () => {
  const how = fc.constantFrom('added', 'leftOut', 'changed', 'swapped', 'otherChain', 'otherContract');
  fc.assert(
    fc.property(growth, fc.nat(), how, (grows, drawn, what) => {
      const told = toldOf(grows);
      const one = told[drawn % told.length];
      const book = noteReceipts(noReceipts, one ?? told[0]!, 0);
      const noted = book.pending.at(-1);
      if (noted === undefined) throw new TypeError('nothing was noted');
      const rows = rowsBetween(noted.before.through, noted.head.through);
      const at = drawn % rows.length;
      const forged: Record<typeof what, readonly Receipt[]> = {
        added: rows.toSpliced(at, 0, rowOf(1, 0xbad)),
        leftOut: rows.toSpliced(at, 1),
        changed: rows.with(at, rowOf(noted.before.through + 1 + at, 0xbad0)),
        swapped: rows.length < 2 ? [] : rows.toReversed(),
        ...{ otherChain: rows, otherContract: rows },
      };
      const chain = what === 'otherChain' ? 'd'.repeat(16) : noted.chain;
      const contract = what === 'otherContract' ? contractId.replace('6', '7') : contractId;
      expect(isCommitted(contract, { ...noted, chain }, forged[what])).toBe(false);
    }),
  );
});
