import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { silentLog, systemClock, systemRandom, waitFor } from '@antirio/host';
import { AntirioError, utf8 } from '@antirio/kernel';
import { createFetchedImages, type FetchedImages, type FetchedImagePorts } from './fetched-images.ts';
import { migrationOptions } from './options.ts';
import { openRecords, type FetchRecord, type Records } from './records.ts';

const CONTRACT = 'c1';
const configuration = (services: object) => ({
  ...{ service_customer_id: 'a', serviceName: 's', activationEvent: 'offline', event: { interval: '20' } },
  services,
});
const TWO = {
  db: { imageName: 'db:1', imageCid: 'cid-db' },
  cache: { imageName: 'cache:1', imageCid: 'cid-cache', depends_on: ['db'] },
};

let dir: string;
let records: Records;
let images: FetchedImages;
let asked: string[];
let dropped: string[];
let noImage: string | undefined;
let said: object;

/** The content store: a fetch comes with its second look. */
function fakeStorage(): FetchedImagePorts['storage'] {
  const looked = new Map<string, number>();
  const look = async (cid: string) => {
    const times = (looked.get(cid) ?? 0) + 1;
    looked.set(cid, times);
    return { cid, state: times > 1 ? 'STORED' : 'FETCHING' };
  };
  const storage = {
    fetch(cid: string) {
      asked.push(cid);
      return look(cid);
    },
    object: look,
    block: async () => utf8(JSON.stringify(said)),
    async export(cid: string, fileName: string) {
      writeFileSync(join(dir, 'images', fileName), cid);
      return { sha256: `hash of ${cid}`, ...(cid === noImage ? {} : { imageId: `id of ${cid}` }) };
    },
    drop: async (cid: string) => void dropped.push(cid),
  };
  return storage as unknown as FetchedImagePorts['storage'];
}

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'fetched-'));
  mkdirSync(join(dir, 'images'));
  records = openRecords(join(dir, 'migration.db'));
  asked = [];
  dropped = [];
  noImage = undefined;
  said = configuration(TWO);
  images = createFetchedImages(migrationOptions.parse({ dataDir: dir, pollMs: 10 }), {
    ...{ clock: systemClock, random: systemRandom, log: silentLog, records },
    storage: fakeStorage(),
    outbox: { add: () => undefined, poke: () => undefined } as unknown as FetchedImagePorts['outbox'],
  });
  images.work.start();
});
afterEach(async () => {
  await images.work.stop();
  records.close();
  rmSync(dir, { recursive: true, force: true });
});

async function fetched(state: FetchRecord['state']): Promise<FetchRecord> {
  images.order({
    contractId: CONTRACT,
    customer: 'a',
    imageCid: 'cid-main',
    configCid: 'cid-config',
    imageName: 's',
  });
  const found = await waitFor(systemClock, 10_000, () => {
    const view = images.view(CONTRACT);
    return view.state === state ? view : undefined;
  });
  if (found === undefined) throw new AntirioError('timeout', `it is ${images.view(CONTRACT).state}`);
  return found;
}

test('a contract is DOWNLOADED when all images that its configuration names are, and all go with it', async () => {
  const { services } = await fetched('DOWNLOADED');
  expect(asked.toSorted()).toEqual(['cid-cache', 'cid-config', 'cid-db', 'cid-main']);
  const archives = ['db', 'cache'].map((name) => join(dir, 'images', `contract-${CONTRACT}.${name}.tar`));
  expect(services).toEqual([
    { name: 'db', imageCid: 'cid-db', archive: archives[0], archiveSha256: 'hash of cid-db' },
    { name: 'cache', imageCid: 'cid-cache', archive: archives[1], archiveSha256: 'hash of cid-cache' },
  ]);
  expect(archives.every((archive) => existsSync(archive))).toBe(true);
  await images.remove(CONTRACT);
  expect(dropped.toSorted()).toEqual(['cid-cache', 'cid-config', 'cid-db', 'cid-main']);
  expect(archives.some((archive) => existsSync(archive))).toBe(false);
});

test('what is no image, or a circle of services, is refused', async () => {
  noImage = 'cid-db';
  expect((await fetched('FAILED')).error).toContain('cid-db is no image');
  await images.remove(CONTRACT);
  said = configuration({ ...TWO, db: { ...TWO.db, depends_on: ['cache'] } });
  expect((await fetched('FAILED')).error).toContain('depend on each other');
});
