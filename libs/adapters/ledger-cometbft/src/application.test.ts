import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { Response } from 'cosmjs-types/tendermint/abci/types';
import { silentLog } from '@antirio/host';
import { canonicalJson, fromUtf8, toHex, utf8 } from '@antirio/kernel';
import { openLocalLedger } from '@antirio/ledger-local';
import {
  EPOCH_REQUEST_KIND,
  cursorBehind,
  keys,
  txIdOf,
  type LedgerEvent,
  type Receipt,
} from '@antirio/ledger-machine';
import type { ContractTerms } from '@antirio/service-contract';
import {
  ada,
  begin,
  ben,
  block,
  finalizeRequest,
  open,
  registration,
  request,
  testGenesis,
  terms,
  timeAt,
  transfer,
  validation,
  type Driven,
  type PartialRequest,
} from './application.fixture.ts';
import { StateStore } from './state-store.ts';
import { TxReader, encodeTx } from './transactions.ts';

let folder: string;
let opened: Driven[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'abci-'));
  opened = [];
});

afterEach(async () => {
  for (const one of opened) await one.close();
  rmSync(folder, { recursive: true });
});

function start(name = 'one', options = {}): Driven {
  const driven = open(join(folder, name), options);
  opened.push(driven);
  return driven;
}

const check = ({ application }: Driven, tx: Uint8Array) =>
  application.handle(request({ checkTx: { tx } })).checkTx;

function ask({ application }: Driven, path: string, question: object): unknown {
  const { query } = application.handle(request({ query: { path, data: utf8(JSON.stringify(question)) } }));
  expect(query).toMatchObject({ code: 0, log: '' });
  return JSON.parse(fromUtf8(query?.value ?? new Uint8Array()));
}

const info = ({ application }: Driven): Response['info'] => application.handle(request({ info: {} })).info;
const receiptIn = (data: Uint8Array | undefined) => JSON.parse(fromUtf8(data ?? new Uint8Array())) as Receipt;

describe('the application', () => {
  test('comes to the local engine’s state hash from the same log, and to its receipts and events', async () => {
    const driven = start();
    begin(driven);
    let now = timeAt(0);
    const local = await openLocalLedger({
      path: join(folder, 'local.log'),
      genesis: testGenesis,
      clock: { now: () => now },
      log: silentLog,
    });
    const txs = [registration(ada), registration(ben), transfer(5), transfer(5000), transfer(7)];
    for (const [i, tx] of txs.entries()) {
      now = timeAt(i + 1);
      const receipt = await local.submit(tx);
      expect(block(driven, i + 1, tx)?.txResults.map(({ data }) => receiptIn(data))).toEqual([receipt]);
      expect(driven.application.head.stateHash).toBe((await local.head()).stateHash);
    }
    expect(ask(driven, '/events', { limit: 100 })).toEqual({ events: local.events(undefined, 100) });
    expect([...driven.store.state.range('')]).toEqual(await local.range(''));
    await local.close();
  });

  test('has the same hashes as another node, in pieces of another size or after a restart', async () => {
    const [one, two] = [start('one'), start('two')];
    expect(begin(one)).toEqual(begin(two));
    const txs = [[registration(ada)], [transfer(1), transfer(2)], [], [transfer(9_999)]];
    const hashes = txs.map((own, i) => toHex(block(one, i + 1, ...own)?.appHash ?? new Uint8Array()));
    const again: string[] = [];
    let other = two;
    for (const [i, own] of txs.entries()) {
      again.push(toHex(block(other, i + 1, ...own)?.appHash ?? new Uint8Array()));
      await other.close();
      other = start('two');
    }
    expect(again).toEqual(hashes);
    expect(hashes[2]).toBe(hashes[1]);
    expect(info(other)).toMatchObject({ lastBlockHeight: 4n });
    expect(toHex(info(other)?.lastBlockAppHash ?? new Uint8Array())).toBe(hashes[3]);
  });

  test('that ends between a block and its commit knows nothing of it, and takes it again', async () => {
    const driven = start();
    begin(driven);
    block(driven, 1, registration(ada));
    const tx = encodeTx(transfer(3));
    const first = driven.application.handle(finalizeRequest(2, [tx])).finalizeBlock;
    expect(ask(driven, '/state', { key: keys.account(ben.edgeId) })).toEqual({ value: { balance: 1000 } });
    // The same again, as after CometBFT's own crash; then ours.
    expect(driven.application.handle(finalizeRequest(2, [tx])).finalizeBlock).toEqual(first);
    await driven.close();
    const back = start();
    expect(info(back)).toMatchObject({ lastBlockHeight: 1n });
    expect(block(back, 2, tx)).toEqual(first);
    expect(ask(back, '/state', { key: keys.account(ben.edgeId) })).toEqual({ value: { balance: 1003 } });
  });

  test('halts where a block does not follow, and answers nothing more', () => {
    const driven = start();
    begin(driven);
    block(driven, 1, registration(ada));
    const refused = driven.application.handle(finalizeRequest(3, []));
    expect(refused.exception?.error).toMatch(/halted: .*block 3 came behind block 1/);
    expect(driven.application.handle(request({ info: {} })).exception).toBeDefined();
    expect(driven.application.handle(request({ echo: { message: 'x' } })).echo?.message).toBe('x');
  });

  test('halts by what throws in a block alone: whoever only asks is refused', () => {
    const driven = start();
    begin(driven);
    block(driven, 1, registration(ada));
    const tx = encodeTx(transfer(1));
    const fault = () => {
      throw new RangeError('out of stack');
    };
    const reading = jest.spyOn(TxReader.prototype, 'read').mockImplementation(fault);
    expect(check(driven, tx)).toMatchObject({ code: 2, codespace: 'internal', log: 'out of stack' });
    const handle = (partial: PartialRequest) => driven.application.handle(request(partial));
    expect(handle({ prepareProposal: { txs: [tx] } }).prepareProposal?.txs).toEqual([]);
    expect(handle({ processProposal: { txs: [tx] } }).processProposal?.status).toBe(2);
    reading.mockRestore();
    rmSync(join(folder, 'one', 'snapshots'), { recursive: true });
    expect(handle({ listSnapshots: {} }).listSnapshots?.snapshots).toEqual([]);
    expect(handle({ applySnapshotChunk: { index: 0 } }).applySnapshotChunk?.result).toBe(5);
    expect(driven.application.halted).toBeUndefined();
    expect(check(driven, tx)).toMatchObject({ code: 0 });
    const deciding = jest.spyOn(TxReader.prototype, 'read').mockImplementation(fault);
    expect(driven.application.handle(finalizeRequest(2, [tx])).exception?.error).toMatch(/out of stack/);
    deciding.mockRestore();
    expect(driven.application.halted).toBeDefined();
  });

  test('a chain that begins is refused where there is another, and one without a ledger in its genesis', () => {
    const driven = start();
    const bad = { appStateBytes: utf8('{"arbitrator":"nobody"}'), time: { seconds: 1n, nanos: 0 } };
    expect(driven.application.handle(request({ initChain: bad })).exception?.error).toMatch(/app_state/);
    const other = start('two');
    begin(other);
    expect(begin(other)).toBeDefined();
    block(other, 1);
    expect(begin(other)).toBeUndefined();
    expect(other.application.halted?.message).toMatch(/empty data folder/);
  });

  test('a file that says another state than it holds is refused', async () => {
    const driven = start();
    begin(driven);
    block(driven, 1, registration(ada));
    await driven.close();
    opened = [];
    const { DatabaseSync } = await import('node:sqlite');
    const db = new DatabaseSync(join(folder, 'one', 'ledger.db'));
    db.prepare('UPDATE state SET value = ? WHERE key = ?').run('{"balance":7000}', keys.account(ada.edgeId));
    db.close();
    const opening = () => new StateStore(join(folder, 'one', 'ledger.db'), 100);
    expect(opening).toThrow(expect.objectContaining({ code: 'corrupt' }));
  });
});

describe('transactions', () => {
  test('that are none get a code each, in a check, a proposal and a block, and change nothing', () => {
    const driven = start();
    begin(driven);
    block(driven, 1, registration(ada));
    const good = encodeTx(transfer(1));
    const forged = encodeTx({ ...transfer(1), by: ben.edgeId });
    const bad = [
      new Uint8Array(),
      utf8('{"kind":'),
      utf8('{"kind":"antirio/ledger-tx/2"}'),
      utf8(` ${fromUtf8(good)}`),
      Uint8Array.of(0xff, 0xfe, 0x00),
      utf8(JSON.stringify({ kind: 'x'.repeat(2 << 20) })),
    ];
    for (const tx of bad) expect(check(driven, tx)).toMatchObject({ code: 2, data: new Uint8Array() });
    expect(check(driven, bad[5] ?? good)).toMatchObject({ codespace: 'tooLarge' });
    expect(check(driven, forged)).toMatchObject({ code: 1, codespace: 'unauthenticated' });
    const proposal = { txs: [...bad, good, forged], maxTxBytes: 1_000_000n };
    const { prepareProposal } = driven.application.handle(request({ prepareProposal: proposal }));
    expect(prepareProposal?.txs).toEqual([good]);
    const judged = (txs: Uint8Array[]) =>
      driven.application.handle(request({ processProposal: { txs } })).processProposal?.status;
    expect(judged([good])).toBe(1);
    for (const tx of [...bad, forged]) expect(judged([good, tx])).toBe(2);
    const before = driven.application.head.appHash;
    const decided = block(driven, 2, ...bad, forged);
    expect(decided?.txResults.map(({ code }) => code)).toEqual([2, 2, 2, 2, 2, 2, 1]);
    expect(decided?.appHash).toEqual(before);
  });

  const nested = (depth: number): string => `${'['.repeat(depth)}1${']'.repeat(depth)}`;
  test.each([
    ['nested deeper than any stack', nested(100_000)],
    ['nested a little too deeply', nested(40)],
    ['no Unicode', '"\\ud800"'],
    ['no number', '1e999'],
  ])('with something that is %s are malformed at every node, and halt none', (_, odd) => {
    const driven = start();
    begin(driven);
    block(driven, 1, registration(ada));
    const request = { kind: EPOCH_REQUEST_KIND, by: ben.edgeId, signature: transfer(1).signature };
    const body = {
      setId: 'bridge',
      epoch: 1,
      contractId: '6f1b2b52-4a3d-4c86-9f0e-a7d1c45be02f',
      odd: 'ODD',
    };
    const given = { holderLeaseEndedAt: null, customerLeaseEndedAt: null, evidence: {} };
    const payload = { type: 'epoch/take', request: { ...request, body }, ...given };
    const tx = transfer(1);
    const plain = canonicalJson({ ...tx, body: { ...tx.body, payload } });
    expect(check(driven, utf8(plain))).toMatchObject({ code: 1, codespace: 'unauthenticated' });
    const text = plain.replace('"ODD"', odd);
    expect(check(driven, utf8(text))).toMatchObject({ code: 2, codespace: 'invalidInput' });
    expect(block(driven, 2, utf8(text))?.txResults).toMatchObject([{ code: 2 }]);
    expect(driven.application.halted).toBeUndefined();
  });

  test('of before stand as they were signed, without what terms came to say later; without anything else they are none', () => {
    const driven = start();
    begin(driven);
    block(driven, 1, registration(ada), registration(ben));
    const bytesOf = ({ drills, rekey, ...old }: Partial<ContractTerms>): Uint8Array => {
      expect([drills, rekey]).not.toContain(undefined);
      return encodeTx(validation(old));
    };
    const { leaseMs, ...lacking } = terms;
    expect(leaseMs).toBe(3000);
    expect(check(driven, bytesOf(lacking))).toMatchObject({ code: 2, codespace: 'invalidInput' });
    const old = bytesOf(terms);
    expect(check(driven, old)).toMatchObject({ code: 0 });
    expect(block(driven, 2, old)?.txResults).toMatchObject([{ code: 0 }]);
    const kept = ask(driven, '/state', { key: keys.terms(terms.contractId) });
    expect(kept).toMatchObject({ value: { terms: { contractId: terms.contractId, deaf: {} } } });
    expect(kept).not.toHaveProperty('value.terms.drills');
  });

  test('are refused for now by a node that has no ledger yet, which then takes one over', () => {
    const driven = start();
    const tx = encodeTx(registration(ada));
    expect(check(driven, tx)).toMatchObject({
      code: 1,
      codespace: 'unavailable',
      data: new Uint8Array(),
    });
    begin(driven);
    expect(check(driven, tx)).toMatchObject({ code: 0 });
  });

  test('are answered with their first receipt when they come again, and strangers’ and late ones without a place in a block', () => {
    const driven = start();
    begin(driven);
    const tx = transfer(1);
    expect(check(driven, encodeTx(tx))).toMatchObject({ code: 1, codespace: 'unauthenticated' });
    block(driven, 1, registration(ada));
    expect(check(driven, encodeTx(tx))).toMatchObject({ code: 0 });
    const [first] = block(driven, 2, tx)?.txResults ?? [];
    const [second] = block(driven, 3, tx)?.txResults ?? [];
    expect(second).toEqual(first);
    expect(receiptIn(check(driven, encodeTx(tx))?.data)).toEqual(receiptIn(first?.data));
    expect(receiptIn(first?.data)).toMatchObject({ ok: true, height: 2, time: timeAt(2), txId: txIdOf(tx) });
    expect(check(driven, encodeTx(transfer(1, 2)))).toMatchObject({ code: 1, codespace: 'gone' });
    expect(ask(driven, '/state', { key: keys.account(ben.edgeId) })).toEqual({ value: { balance: 1001 } });
  });

  test('refused ones can be asked for by the hash of their own bytes alone', () => {
    const driven = start();
    begin(driven);
    block(driven, 1, registration(ada));
    const tx = transfer(5);
    const forged = { ...tx, signature: transfer(1).signature };
    block(driven, 2, forged);
    const hashes = [tx, forged].map((one) => ({ txId: txIdOf(one), hash: hashOf(one) }));
    const { receipts } = ask(driven, '/receipts', { txs: hashes }) as { receipts: (Receipt | null)[] };
    expect(receipts).toMatchObject([null, { ok: false, code: 'unauthenticated' }]);
  });
});

const hashOf = (tx: ReturnType<typeof transfer>): string => {
  const read = new TxReader().read(encodeTx(tx));
  return 'hash' in read ? read.hash : '';
};

describe('questions', () => {
  test('give state, ranges by pages, events behind a cursor, and hashes of blocks', () => {
    const driven = start('one', { eventsKept: 3 });
    begin(driven);
    block(driven, 1, registration(ada), registration(ben));
    block(driven, 2);
    for (let height = 3; height < 6; height++) block(driven, height, transfer(height));
    const page = (after?: string) =>
      (ask(driven, '/range', { prefix: 'account/', limit: 1, after }) as { entries: [string, unknown][] })
        .entries;
    const [first] = page();
    const [second] = page(first?.[0]);
    expect([first?.[0], second?.[0]]).toEqual(
      [ada.edgeId, ben.edgeId].map((edge) => `account/${edge}`).sort(),
    );
    const { events } = ask(driven, '/events', { limit: 100 }) as { events: LedgerEvent[] };
    expect(events.map(({ height, type }) => [height, type])).toEqual(
      [3, 4, 5].map((height) => [height, 'account/transferred']),
    );
    expect(ask(driven, '/events', { limit: 100, from: events[1]?.cursor })).toEqual({
      events: events.slice(2),
    });
    const at = (height: number) => (ask(driven, '/block', { height }) as { stateHash?: string }).stateHash;
    expect(at(2)).toBe(at(1));
    expect(at(5)).toBe((ask(driven, '/head', {}) as { stateHash: string }).stateHash);
    expect(at(6)).toBeUndefined();
  });

  test('for events that the block which is being made forgets are answered with ‘gone’, never with a gap', () => {
    const driven = start('one', { eventsKept: 1 });
    begin(driven);
    block(driven, 1, registration(ada));
    block(driven, 2, transfer(1));
    const from = cursorBehind(1);
    const after = () =>
      driven.application.handle(
        request({ query: { path: '/events', data: utf8(canonicalJson({ from, limit: 9 })) } }),
      ).query;
    expect(after()).toMatchObject({ code: 0 });
    driven.application.handle(finalizeRequest(3, [encodeTx(transfer(2))]));
    expect(after()).toMatchObject({ code: 1, codespace: 'gone' });
    driven.application.handle(request({ commit: {} }));
    expect(after()).toMatchObject({ code: 1, codespace: 'gone' });
  });

  test('that cannot be answered are refused with a word, and do not halt', () => {
    const driven = start('one', { eventsKept: 1 });
    begin(driven);
    block(driven, 1, registration(ada), registration(ben));
    const refusedAs = (path: string, data: string) =>
      driven.application.handle(request({ query: { path, data: utf8(data) } })).query;
    expect(refusedAs('/nothing', '{}')).toMatchObject({ code: 1, codespace: 'notFound' });
    expect(refusedAs('constructor', '{}')).toMatchObject({ code: 1, codespace: 'notFound' });
    expect(refusedAs('/state', '{"key":')).toMatchObject({ code: 1, codespace: 'invalidInput' });
    expect(refusedAs('/range', '{"prefix":"a/","limit":100000}')).toMatchObject({
      codespace: 'invalidInput',
    });
    for (const prefix of ['', 'account'])
      expect(refusedAs('/range', canonicalJson({ prefix, limit: 1 }))).toMatchObject({
        codespace: 'invalidInput',
        log: expect.stringContaining('a family and its slash'),
      });
    const behind = (cursor: string) => refusedAs('/events', canonicalJson({ from: cursor, limit: 1 }));
    expect(behind('000000000001-000000')).toMatchObject({ code: 0 });
    expect(behind('000000000000-000000')).toMatchObject({ codespace: 'gone' });
    expect(behind(cursorBehind(2))).toMatchObject({ codespace: 'conflict' });
    expect(driven.application.halted).toBeUndefined();
  });
});
