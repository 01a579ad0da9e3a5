import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { StorageRef } from '@antirio/storage-network';
import { openFilecoinNetwork } from './filecoin-network.ts';
import { TestSetting } from './test-setting.ts';
import { silentLog, systemRandom } from '@antirio/host';

let setting: TestSetting;
beforeEach(async () => {
  setting = await TestSetting.open();
});
afterEach(() => setting.close());

const PERIOD = 2880n + 60n;

describe('what is stored is proven', () => {
  test('by a proof of a period that the piece was there from the beginning of, for as long as that is fresh', async () => {
    const { chain } = setting;
    const network = await setting.network();
    const ref = await network.put('a', await setting.dag());
    const set = chain.dataSets[0]?.id ?? 0n;
    const state = async (of: StorageRef = ref): Promise<string> => (await network.status(of)).state;

    expect(await state()).toBe('replicated');
    chain.nextPeriod(set);
    expect(await state()).toBe('replicated');
    chain.prove(set);
    const provenAt = (1_667_326_380 + Number(chain.epoch) * 30) * 1000;
    expect(await network.status(ref)).toMatchObject({ state: 'proven', providers: ['1'], provenAt });

    // Added after the period began: the proof is not about it.
    const late = await network.put('b', await setting.dag());
    expect([await state(late), await state()]).toEqual(['replicated', 'proven']);
    chain.epoch += 100n;
    chain.nextPeriod(set);
    // It is challenged now, and the data set's last proof is fresh; but that one was not about it.
    expect([await state(late), await state()]).toEqual(['replicated', 'proven']);
    chain.prove(set);
    expect([await state(late), await state()]).toEqual(['proven', 'proven']);

    chain.epoch += PERIOD;
    expect(await state()).toBe('proven');
    chain.epoch += 1n;
    expect(await network.status(ref)).toMatchObject({ state: 'replicated', detail: '1: not proven' });
  });

  test('and is not, once the data set has ended, or the provider has lost it', async () => {
    const network = await setting.network();
    const ref = await network.put('a', await setting.dag());
    setting.chain.prove(11n);
    Object.assign(setting.chain.dataSets[0] ?? {}, { isEnded: true });
    expect(await network.status(ref)).toMatchObject({ state: 'stored', detail: '1: has it, in no data set' });
    // Put again, it gets into a data set that is alive.
    const again = await network.put('a', await setting.dag(300));
    expect(again.dataSetId).toBe('12');
    Object.assign(setting.chain.dataSets[0] ?? {}, { pieces: [] });
    await setting.provider.collect();
    expect(await network.status(ref)).toMatchObject({ state: 'absent' });
  });
});

test('a quote is what the storage service asks for, for all copies, and never below its least', async () => {
  const network = await setting.network('two', { copies: 2 });
  const TIB = 2n ** 40n;
  const month = await network.price().quote({ bytes: Number(TIB), days: 30 });
  expect(month).toMatchObject({ epochs: 86_400, epochSeconds: 30, currency: 'USDFC' });
  expect(month.amount).toBe(2n * 2_500_000_000_000_000_000n);
  expect(month.perByteEpoch.numerator * TIB * 86_400n).toBe(month.amount * month.perByteEpoch.denominator);
  const { calls } = setting.chain;
  const small = await network.price().quote({ bytes: 1000, days: 30 });
  expect(small.amount).toBe(2n * 60_000_000_000_000_000n);
  expect(setting.chain.calls).toBe(calls);
});

describe('health', () => {
  test('is not ok where nothing may be charged, or the chain does not answer', async () => {
    const network = await setting.network();
    expect(await network.health()).toEqual({ ok: true, detail: '1 of 1 providers serve' });
    setting.chain.isAllowed = false;
    expect(await network.health()).toMatchObject({
      ok: false,
      detail: expect.stringContaining('charge') as unknown,
    });
    setting.chain.isDown = true;
    const { ok, detail = '' } = await network.health();
    expect(ok).toBe(false);
    expect(detail).toContain('the chain does not tell');
    expect(detail).not.toContain('secret-token');
    await expect(network.put('a', await setting.dag(300))).rejects.toMatchObject({ code: 'unavailable' });
    await expect(network.price().quote({ bytes: 1, days: 1 })).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('a DAG', () => {
  test('that is too large for a piece is refused before it is read', async () => {
    const network = await setting.network();
    const dag = await setting.dag(300);
    const blocks = (): never => {
      throw new TypeError('it was read');
    };
    const large = { ...dag, bytes: 1_065_353_217, blocks };
    await expect(network.put('a', large)).rejects.toMatchObject({
      code: 'tooLarge',
      details: { limit: 1_065_353_216 },
    });
  });

  test('is always the same piece, and its CID is the one that it had', async () => {
    const dag = await setting.dag();
    const [first, second] = [await setting.network('one'), await setting.network('two', { source: 'other' })];
    const refs = [await first.put('a', dag), await second.put('b', dag)];
    expect(refs[0]?.pieceCid).toBe(refs[1]?.pieceCid);
    expect(refs.map(({ cid }) => cid.toString())).toEqual(Array(2).fill(dag.root.toString()));
    // Another label is another data set.
    expect(refs.map(({ dataSetId }) => dataSetId)).toEqual(['11', '12']);
  });
});

describe('settings', () => {
  const open = (settings: object): Promise<unknown> =>
    openFilecoinNetwork({
      settings,
      folder: join(setting.folder, 'wrong'),
      random: systemRandom,
      log: silentLog,
    });

  test('that are wrong are refused, and a key is never shown', async () => {
    const { keyFile, key, chain } = setting;
    const right = { chain: 'calibration', rpcUrl: chain.url, keyFile };
    const broken = join(setting.folder, 'broken-key');
    writeFileSync(broken, randomBytes(31).toString('hex'));
    const wrong = [
      {},
      { ...right, chain: 'elsewhere' },
      { ...right, rpcUrl: 'ftp://x' },
      { ...right, copies: 0 },
      { ...right, providers: ['x'] },
      { ...right, key },
      { ...right, keyFile: join(setting.folder, 'none') },
      { ...right, keyFile: broken },
    ];
    for (const settings of wrong) {
      const refused = await open(settings).then(
        () => undefined,
        (error: unknown) => error,
      );
      expect(refused).toMatchObject({ code: 'badConfig' });
      expect(String(refused)).not.toMatch(/[0-9a-f]{31}/i);
    }
  });
});
