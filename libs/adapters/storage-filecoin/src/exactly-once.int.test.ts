import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { systemClock, waitFor } from '@antirio/host';
import type { Dag, StorageRef } from '@antirio/storage-network';
import { TestSetting } from './test-setting.ts';
import type { LostAnswer } from './test-provider.ts';

let setting: TestSetting;
beforeEach(async () => {
  setting = await TestSetting.open();
});
afterEach(() => setting.close());

/** What is in data sets, removed or not. */
const added = (): number => setting.chain.dataSets.reduce((sum, { pieces }) => sum + pieces.length, 0);
const asked = (what: string): number => setting.provider.asked.get(what) ?? 0;

async function expectOnce(ref: StorageRef, dag: Dag): Promise<void> {
  expect(ref).toMatchObject({ bytes: dag.bytes, providers: ['1'], dataSetId: '11' });
  expect(setting.chain.dataSets).toHaveLength(1);
  expect(added()).toBe(1);
  expect(asked('upload')).toBe(1);
}

describe('a piece is added once', () => {
  test('when it is put again, under another name, and by an edge that has forgotten everything', async () => {
    const dag = await setting.dag();
    const network = await setting.network();
    const ref = await network.put('a', dag);
    await expectOnce(ref, dag);
    expect(await network.put('a', dag)).toEqual(ref);
    expect(await network.put('b', dag)).toEqual(ref);
    const forgetful = await setting.network('other');
    expect(await forgetful.put('a', dag)).toEqual(ref);
    await expectOnce(ref, dag);
  });

  const lost: readonly LostAnswer[] = ['finalize', 'create', 'add'];
  test.each(lost)('when the answer to "%s" is lost and the process dies', async (what) => {
    const dag = await setting.dag();
    const dying = await setting.network();
    setting.provider.lose = what;
    // Whether it goes on by itself or gives up: the next process must find out.
    await dying.put('a', dag).catch(() => undefined);
    await dying.close();
    const network = await setting.network();
    await expectOnce(await network.put('a', dag), dag);
  });

  test('when the process dies while the transaction is not on the chain yet', async () => {
    const dag = await setting.dag();
    const first = await setting.network();
    await first.put('other', await setting.dag(1000));
    setting.chain.isMining = false;
    const stop = new AbortController();
    const put = expect(first.put('a', dag, { signal: stop.signal })).rejects.toMatchObject({
      code: 'timeout',
    });
    await waitFor(systemClock, 60_000, () => asked('added') > 1 || undefined);
    stop.abort();
    await put;
    await first.close();
    const network = await setting.network();
    const again = network.put('a', dag);
    await waitFor(systemClock, 60_000, () => asked('added') > 3 || undefined);
    expect(asked('add')).toBe(2);
    await setting.chain.mine();
    expect((await again).pieceCid).toBeDefined();
    expect(added()).toBe(2);
  });

  test('and is added again with another nonce after it was taken out', async () => {
    const dag = await setting.dag();
    const network = await setting.network();
    const ref = await network.put('a', dag);
    expect(await network.unpin('a')).toBe(true);
    await waitFor(
      systemClock,
      60_000,
      async () => (await network.status(ref)).state === 'absent' || undefined,
    );
    expect(asked('remove')).toBe(1);
    expect(await network.put('a', dag)).toEqual(ref);
    expect((await network.status(ref)).state).toBe('replicated');
    expect(added()).toBe(2);
    expect(asked('upload')).toBe(1);
  });

  test('and a rejected transaction is sent again', async () => {
    const dag = await setting.dag();
    const network = await setting.network();
    await network.put('other', await setting.dag(1000));
    setting.chain.isMining = false;
    const put = network.put('a', dag);
    await waitFor(systemClock, 60_000, () => asked('add') > 1 || undefined);
    setting.chain.failNext = true;
    await setting.chain.mine();
    setting.chain.isMining = true;
    await put;
    expect(asked('add')).toBe(3);
    expect(added()).toBe(2);
  });
});

test('the signature of another payer is refused by the chain, and said so', async () => {
  const ours = await setting.network();
  await ours.put('a', await setting.dag(1000));
  const set = setting.chain.dataSets[0];
  expect(set).toBeDefined();
  // The data set stays where it is, and belongs to somebody else.
  Object.assign(set ?? {}, { payer: `0x${'12'.repeat(20)}` });
  await expect(ours.put('b', await setting.dag(1000))).rejects.toMatchObject({ code: 'unavailable' });
  expect(added()).toBe(1);
});

test('what a put that failed had brought there leaves with its name', async () => {
  const dag = await setting.dag();
  const network = await setting.network('edge', { copies: 2 });
  await expect(network.put('a', dag)).rejects.toThrow('1 of 2 copies');
  expect(added()).toBe(1);
  expect(await network.unpin('a')).toBe(false);
  const gone = (): true | undefined => setting.chain.dataSets[0]?.pieces[0]?.isRemoved || undefined;
  expect(await waitFor(systemClock, 60_000, gone)).toBe(true);
});
