import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { generateIdentity, openIdentity, parseEdgeId, signDocument } from '@antirio/kernel';
import { terms } from './contract.fixture.ts';
import {
  COVERAGE_KIND,
  baselineOf,
  coverageMark,
  heardAmong,
  isMarkSigned,
  markOf,
  nextStretch,
  refuseMark,
  type CoverageMark,
} from './coverage-mark.ts';
import { createCoverageTally, type CoverageDelta } from './coverage-tally.ts';
import { beat } from './messages.ts';
import {
  BATCHES_TOLD,
  NO_RECEIPTS,
  beginCommitments,
  commit,
  isCommitted,
  isCommitmentDue,
  NUMBERS_COMMITTED,
  noReceipts,
  noteReceipts,
  receipts,
  receiptsDue,
  type Receipt,
  type Receipts,
} from './receipts.ts';

const { contractId } = terms;
const row = (fcnt: number): Receipt => ({ devAddr: '0000000a', fcnt, mic: 'aabbccdd' });
const chained = () => beginCommitments(contractId, 'ab'.repeat(8), 'life', 7);

describe('receipts', () => {
  test('are told within a second of the ring’s growth, a few times, in one datagram', () => {
    let known = chained();
    expect(receiptsDue(known, 0)).toBeUndefined();
    expect(isCommitmentDue(known, 7, 0)).toBe(false);
    expect(isCommitmentDue(known, 8, 0)).toBe(true);
    for (let i = 1; i <= 9; i++) known = commit(known, [row(i)], 7 + i, i * 500);
    expect(isCommitmentDue(known, 99, 4600)).toBe(false);
    const told = receiptsDue(known, 5000);
    expect(told?.batches.map(({ batch }) => batch)).toEqual([6, 7, 8, 9]);
    expect(told?.before.batch).toBe(5);
    expect(receipts.parse(told)).toEqual(told);
    // beside the envelope and its signature, about 350 bytes
    expect(JSON.stringify(told).length).toBeLessThan(800);
    expect(receiptsDue(known, 5501)).toBeUndefined();
  });

  test('bind the provider to the rows of a batch, to their order and to all that came before', () => {
    const first = commit(chained(), [row(1), row(2)], 9, 0);
    const second = commit(first, [row(3)], 10, 500);
    const told = receiptsDue(second, 600);
    if (told === undefined) throw new TypeError('nothing told');
    const [one, two] = noteReceipts(noReceipts, told, 42).pending;
    if (one === undefined || two === undefined) throw new TypeError('nothing noted');
    expect([one.cameAt, one.before.through, one.head.through]).toEqual([42, 7, 9]);
    expect(isCommitted(contractId, one, [row(1), row(2)])).toBe(true);
    expect(isCommitted(contractId, one, [row(2), row(1)])).toBe(false);
    expect(isCommitted(contractId, one, [row(1)])).toBe(false);
    expect(isCommitted(contractId, two, [row(3)])).toBe(true);
    expect(isCommitted(contractId, { ...two, before: { ...two.before, hash: NO_RECEIPTS } }, [row(3)])).toBe(
      false,
    );
  });

  test('count from when they came first, whichever datagrams are lost or come again', () => {
    const some = fc.array(fc.boolean(), { minLength: 12, maxLength: 12 });
    fc.assert(
      fc.property(some, (arrives) => {
        let known = chained();
        let book = noReceipts;
        const came = new Map<number, number>();
        arrives.forEach((does, i) => {
          known = commit(known, [row(i)], 8 + i, i * 500);
          const told = receiptsDue(known, i * 500);
          if (!does || told === undefined) return;
          for (const { batch } of told.batches) if (!came.has(batch)) came.set(batch, i * 500);
          book = noteReceipts(noteReceipts(book, told, i * 500), told, i * 500 + 7);
        });
        expect(book.pending.map(({ head, cameAt }) => [head.batch, cameAt])).toEqual([...came]);
        for (const noted of book.pending)
          expect(isCommitted(contractId, noted, [row(noted.head.batch - 1)])).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  test('of a chain that does not hold together are not noted', () => {
    const told = receiptsDue(commit(commit(chained(), [row(1)], 8, 0), [row(2)], 9, 500), 500) as Receipts;
    const torn = { ...told, batches: told.batches.map((one) => ({ ...one, batch: one.batch + 1 })) };
    expect(noteReceipts(noReceipts, torn, 1)).toBe(noReceipts);
    expect(receipts.safeParse({ ...told, batches: Array(BATCHES_TOLD + 1).fill(told.before) }).success).toBe(
      false,
    );
  });

  test('over more frames than a customer holds at once are not noted, those after them are', () => {
    const first = commit(chained(), [row(1)], 8, 0);
    const widest = commit(first, [row(2)], 8 + NUMBERS_COMMITTED, 500);
    const tooWide = commit(widest, [row(3)], Number.MAX_SAFE_INTEGER - 1, 1000);
    const last = commit(tooWide, [row(4)], Number.MAX_SAFE_INTEGER, 1500);
    const told = receipts.parse(receiptsDue(last, 1500));
    const noted = noteReceipts(noReceipts, told, 1).pending;
    expect(noted.map(({ head }) => head.batch)).toEqual([1, 2, 4]);
  });

  test('are of frames that the customer has not named: its beats tell nothing of what it heard', () => {
    expect(Object.keys(beat.shape).filter((key) => /fcnt|mark|frame|mic/i.test(key))).toEqual([]);
  });
});

const uplink = (fcnt: number) => ({
  ...{ devEui: '00000000000000aa', devAddr: '0000000a', session: '11'.repeat(8) },
  fcnt,
});
const SF = 'SF7BW125';

describe('what a provider showed in time', () => {
  test('is counted by FCnt: what nobody heard was sent, and what came too late was not shown', () => {
    const tally = createCoverageTally();
    for (const fcnt of [5, 6, 8, 14]) tally.heard(uplink(fcnt), fcnt * 1000, SF);
    tally.shown(uplink(4), 4100, 1);
    tally.shown(uplink(5), 5500, 2);
    tally.shown(uplink(6), 8001, 3);
    tally.shown(uplink(9), 9500, 4);
    expect(tally.due(13_999, true)).toEqual([]);
    const [delta] = tally.due(14_000, true);
    // shown: 5, and 9, which we did not hear ourselves
    expect(delta).toEqual({ ...omitFcnt(), from: 5, last: 14, shown: 2, seq: 2, dataRate: SF });
    expect(tally.due(14_000, false)[0]?.shown).toBe(1);
    tally.marked([delta as CoverageDelta]);
    tally.heard(uplink(14), 20_000, SF);
    tally.heard(uplink(15), 21_000, SF);
    expect(tally.due(700_000, true)).toMatchObject([{ from: 15, last: 15, shown: 0, seq: 0 }]);
  });

  test('cannot be judged of a time that is forgotten, nor across a device that began anew', () => {
    const tally = createCoverageTally();
    for (let fcnt = 500; fcnt < 520; fcnt++) tally.heard(uplink(fcnt), fcnt, SF);
    tally.forget();
    expect(tally.due(1e9, true)).toEqual([]);
    tally.heard(uplink(0), 1000, 'SF8BW125');
    tally.heard(uplink(1), 1001, SF);
    expect(tally.due(1e9, true)).toMatchObject([{ from: 0, last: 1, dataRate: 'several' }]);
  });
});

function omitFcnt() {
  const { fcnt: _fcnt, ...of } = uplink(0);
  return of;
}

const delta = (from: number, sent: number, shown: number, dataRate = SF): CoverageDelta => ({
  ...{ ...omitFcnt(), from, last: from + sent - 1, shown, seq: 1, dataRate },
});
const device = { devEui: '00000000000000aa', devAddr: '0000000a' };
const parts = { contractId, keyVersion: 1, at: 0, receipts: { chain: '', batch: 0, hash: NO_RECEIPTS } };
const after = (known: CoverageMark | undefined, next: CoverageDelta, settings = {}): CoverageMark =>
  coverageMark.parse(markOf(known, next, settings, parts));

describe('marks that both sign', () => {
  test('speak of the newest hundred uplinks or more, and of not much more', () => {
    let mark = after(undefined, delta(0, 10, 9));
    for (let i = 1; i < 60; i++) {
      mark = after(mark, delta(i * 10, 10, 9));
      const { uplinks, heard, atLeast } = baselineOf(mark);
      if (i >= 10) expect([uplinks >= 100 && uplinks <= 210, heard]).toEqual([true, uplinks * 0.9]);
      expect(atLeast === undefined).toBe(uplinks < 100);
    }
  });

  test('begin anew where the device sends otherwise, and count nothing where it did both', () => {
    const mark = after(undefined, delta(0, 100, 90), { txPower: 0, nbTrans: 1 });
    expect(baselineOf(mark).uplinks).toBe(100);
    expect(baselineOf(after(mark, delta(100, 10, 10), { nbTrans: 1 })).uplinks).toBe(110);
    for (const settings of [{ txPower: 1 }, { nbTrans: 2 }])
      expect(baselineOf(after(mark, delta(100, 10, 10), settings)).uplinks).toBe(10);
    expect(baselineOf(after(mark, delta(100, 10, 10, 'SF8BW125'))).uplinks).toBe(10);
    expect(baselineOf(after(mark, delta(100, 10, 10, 'several'))).uplinks).toBe(0);
    expect(baselineOf(after(mark, delta(50, 100, 10))).uplinks).toBe(100);
  });

  test('are refused where they say more than the provider’s ring, or do not follow', () => {
    const known = after(undefined, delta(0, 100, 90));
    const next = after(known, delta(100, 10, 8));
    expect(refuseMark(terms, next, known, 8)).toBeUndefined();
    expect(refuseMark(terms, next, known, 7)).toMatch(/so many/);
    // whoever has forgotten the one before may begin anew
    expect(refuseMark(terms, after(undefined, delta(100, 10, 8)), known, 8)).toBeUndefined();
    const better = { ...next, since: { sent: 110, shown: 109 } };
    expect(refuseMark(terms, better, known, 8)).toMatch(/follow/);
    expect(refuseMark(terms, { ...next, last: 99 }, known, 8)).toMatch(/no uplinks/);
    expect(refuseMark(terms, { ...next, devEui: 'ff'.repeat(8) }, known, 8)).toMatch(/contract/);
    expect(nextStretch(known, { ...next, settings: { dataRate: SF } }).since.sent).toBe(10);
    expect(device.devEui).toBe(next.devEui);
  });

  test('count with both signatures only', () => {
    const customer = openIdentity(generateIdentity());
    const provider = openIdentity(generateIdentity());
    const by = { customer: parseEdgeId(customer.edgeId), provider: parseEdgeId(provider.edgeId) };
    const body = after(undefined, delta(0, 10, 9));
    const [one, two] = [customer, provider].map((who) => signDocument(who, COVERAGE_KIND, body).signature);
    const signatures = { customer: one ?? '', provider: two };
    expect(isMarkSigned({ body, signatures }, by)).toBe(true);
    expect(isMarkSigned({ body: { ...body, shown: 10 }, signatures }, by)).toBe(false);
    expect(isMarkSigned({ body, signatures: { customer: one ?? '' } }, by)).toBe(false);
    expect(isMarkSigned({ body, signatures: { customer: two ?? '', provider: two } }, by)).toBe(false);
  });

  test('find FCnts in a ring that has 16 bits of them only', () => {
    expect(heardAmong([65_534, 65_535, 0, 1, 1, 7], 65_535, 65_537)).toBe(3);
    expect(heardAmong([9], 0, 8)).toBe(0);
    expect(heardAmong([], 0, 8)).toBe(0);
  });
});
