import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { AntirioError, sha256Hex } from '@antirio/kernel';
import { silentLog, systemRandom } from '@antirio/host';
import type { Letter } from '@antirio/durable-work';
import { createAlarm } from './checks.ts';
import { createFetchedImages } from './fetched-images.ts';
import { migrationOptions } from './options.ts';
import { createOwnImages } from './own-images.ts';
import { openRecords, type FetchRecord, type ImageRecord, type Records } from './records.ts';
import { createSentImages } from './sent-images.ts';
import type { StorageClient } from './storage-client.ts';

let folder: string;
let records: Records;
const now = 1000;
/** CIDs of which the store has not all blocks. */
let damaged: Set<string>;
let asked: string[];
let letters: Letter[];

const clock = { now: () => now, monotonic: () => now };
const unused = (): never => {
  throw new AntirioError('internal', 'not asked for by checks');
};
/** A store that reads, mends and fetches; what a test does not expect fails it. */
const storage: StorageClient = {
  ...{ order: unused, committed: unused, dropImage: unused, storeJson: unused, object: unused },
  ...{ drop: unused, export: unused, block: unused },
  image: async () => ({ status: 'STORED' }),
  async mend(cid) {
    asked.push(`mend ${cid}`);
    damaged.delete(cid);
  },
  async fetch(cid) {
    asked.push(`fetch ${cid}`);
    return { cid, state: 'FETCHING' };
  },
  async sample(cid) {
    asked.push(`read ${cid}`);
    if (damaged.has(cid)) throw new AntirioError('corrupt', `a block of ${cid} is not whole`);
    return { blocks: 1, blockCids: [cid], inTurn: [] };
  },
};
const outbox = {
  add: (letter: Letter) => void letters.push(letter),
  poke: () => undefined,
  waiting: () => [],
  start: () => undefined,
  stop: async () => undefined,
};
const ports = (store: Partial<StorageClient>) => ({
  ...{ clock, random: systemRandom, log: silentLog, records, outbox },
  storage: { ...storage, ...store },
  alarm: createAlarm(outbox.add),
});
const options = () => migrationOptions.parse({ port: 0, dataDir: folder, edgeId: 'A' });
const always = () => true;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-rechecks-'));
  mkdirSync(join(folder, 'images'));
  records = openRecords(join(folder, 'state.sqlite'));
  [damaged, asked, letters] = [new Set(), [], []];
});
afterEach(() => {
  records.close();
  rmSync(folder, { recursive: true, force: true });
});

const configuration = {
  ...{ serviceName: 's', activationEvent: 'offline' as const, event: { interval: '20', ip: '' } },
  ...{ ports: '', volumes: '', depends_on: [] },
} as unknown as ImageRecord['configuration'];

describe('own images', () => {
  const keep = (imageId: string): void => {
    const cids = { imageCid: `cid-${imageId}`, configCid: `config-${imageId}` };
    const image = { imageId, imageName: imageId, image: `${imageId}:1`, storageDuration: 7, ...cids };
    records.images.put(imageId, { ...image, configuration, status: 'STORED', createdAt: 1 });
  };
  const recheck = (store: Partial<StorageClient>): Promise<void> =>
    createOwnImages(options(), ports(store)).recheck(always);

  test.each(['notFound', 'conflict', 'invalidInput', 'storageFull', 'unavailable'] as const)(
    'one that is damaged, and that mending answers with %s, is told as lost; the others have their turn',
    async (code) => {
      keep('a');
      keep('b');
      damaged.add('cid-a');
      await recheck({ mend: async () => Promise.reject(new AntirioError(code, 'no such image')) });
      expect(records.images.get('a')?.retrievable).toMatchObject({
        ok: false,
        error: expect.stringContaining('is not whole') as unknown,
      });
      expect(letters.map(({ json }) => json)).toMatchObject([{ imageId: 'a', ok: false }]);
      expect(records.images.get('b')?.retrievable).toMatchObject({ ok: true });
    },
  );

  test('one that cannot be read at all keeps what was last known, and no other from its turn', async () => {
    keep('a');
    keep('b');
    const sample: StorageClient['sample'] = async (cid, count) => {
      if (cid === 'cid-a') throw new AntirioError('unavailable', 'no answer');
      return storage.sample(cid, count);
    };
    await recheck({ sample });
    expect(records.images.get('a')?.retrievable).toBeUndefined();
    expect(records.images.get('b')?.retrievable).toMatchObject({ ok: true });
  });

  test('mending asks for just the CIDs that are kept', async () => {
    keep('a');
    damaged.add('cid-a');
    await recheck({});
    expect(asked.filter((each) => !each.startsWith('read'))).toEqual(['mend config-a', 'mend cid-a']);
    expect(records.images.get('a')?.retrievable).toMatchObject({ ok: true });
    expect(letters).toEqual([]);
  });
});

describe('images of customers', () => {
  const archive = (): string => join(folder, 'images', 'contract-c.tar');
  const keep = (): void => {
    writeFileSync(archive(), 'the archive');
    const record: FetchRecord = {
      ...{ contractId: 'c', customer: 'B', imageCid: 'cid', configCid: 'config', imageName: 's' },
      ...{ providers: ['/p2p/B'], state: 'DOWNLOADED', archive: archive(), configuration, createdAt: 1 },
      archiveSha256: sha256Hex(Buffer.from('the archive')),
    };
    records.fetched.put('c', record);
  };
  const recheck = (store: Partial<StorageClient> = {}): Promise<void> =>
    createFetchedImages(options(), ports(store)).recheck(always);
  const seen = () => records.fetched.get('c');

  test('a rotten block is made of the archive, and what is ready stays ready meanwhile', async () => {
    keep();
    damaged.add('cid');
    const meanwhile: unknown[] = [];
    await recheck({
      async mend(cid, from) {
        meanwhile.push(seen()?.state, seen()?.retrievable?.ok);
        if (cid === 'cid') expect(from).toEqual({ fileName: 'contract-c.tar' });
        await storage.mend(cid, from);
      },
    });
    expect(meanwhile).toEqual(['DOWNLOADED', false, 'DOWNLOADED', false]);
    expect(seen()).toMatchObject({ state: 'DOWNLOADED', retrievable: { ok: true } });
    expect(asked).not.toContain('fetch cid');
  });

  test('where that fails the customer is asked, and what is ready stays ready still', async () => {
    keep();
    damaged.add('cid');
    await recheck({ mend: async () => Promise.reject(new AntirioError('storageFull', 'no room')) });
    expect(seen()).toMatchObject({ state: 'DOWNLOADED', retrievable: { ok: false } });
    expect(asked).toEqual(expect.arrayContaining(['fetch config', 'fetch cid']));
    damaged.clear();
    await recheck();
    expect(seen()).toMatchObject({ state: 'DOWNLOADED', retrievable: { ok: true } });
  });

  test('whose archive is damaged too is fetched again', async () => {
    keep();
    writeFileSync(archive(), 'another one');
    damaged.add('cid');
    await recheck();
    expect(seen()).toMatchObject({ state: 'FETCHING', retrievable: { ok: false } });
    expect(existsSync(archive())).toBe(true);
  });
});

test.each(['notFound', 'unavailable'] as const)(
  'an answer (%s) for the version before is none for the one that was sent meanwhile',
  async (code) => {
    const version = { contractId: 'c', providerEdgeId: 'B', imageName: 's', createdAt: 1 };
    const before = { ...version, imageCid: 'cid', configCid: 'config' };
    const next = { ...version, imageCid: 'cid-2', configCid: 'config-2', state: 'SENDING' as const };
    records.sent.put('c', { ...before, state: 'SENT', heldByProvider: { ok: true, checkedAt: 1 } });
    const sample: StorageClient['sample'] = async () => {
      records.sent.put('c', next);
      throw new AntirioError(code, 'no such block');
    };
    const edge2edge = { call: unused, close: () => undefined };
    const sent = createSentImages(options(), { ...ports({ sample }), edge2edge });
    await sent.recheck(always);
    expect(records.sent.get('c')).toEqual(next);
    expect(letters).toEqual([]);
  },
);
