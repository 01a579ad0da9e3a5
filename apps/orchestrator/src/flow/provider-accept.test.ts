import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { httpPeer, systemRandom } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import type { OrchestratorStore } from '../store.ts';
import { fetchedImage, openTestStore, servedVersion, testClock } from '../testing/store.ts';
import { acceptContract, type AskedContract } from './provider-accept.ts';
import {
  advanceProvider,
  endProvider,
  isDue,
  noteProviderFailure,
  type ProviderPorts,
} from './provider-flow.ts';

let store: OrchestratorStore;
const clock = testClock();
beforeEach(() => {
  store = openTestStore();
});
afterEach(() => store.close());

const accept = (asked: Partial<AskedContract>) =>
  acceptContract(
    { edgeId: 'customer', imageName: 'lora', imageHash: 'image', config: 'config', ...asked },
    { store, clock, options: { maxContracts: 256 } },
  );
const failedMany = (): void =>
  store.transaction(() => {
    for (let n = 0; n < 1100; n++)
      store.providers.put(fetchedImage(`bad-${n}`, { edgeId: 'evil', status: 'FAILED' }));
  });

describe('whose contract it is', () => {
  test('is known as long as a version of it is served, however many others are over', () => {
    store.providers.put(fetchedImage('C', { status: 'ENDED' }));
    store.providers.put(fetchedImage('C-v0000000002', { versionOf: 'C' }));
    store.services.put(servedVersion('C-v0000000002'));
    failedMany();
    accept({ contractId: 'one-more' });
    expect(store.providers.all().length).toBeLessThan(1010);
    expect(() => accept({ contractId: 'C', edgeId: 'evil' })).toThrow('about something else');
    expect(accept({ contractId: 'C', imageHash: 'three' })).toMatchObject({ versionOf: 'C' });
  });

  test('is known by its versions, where its first record is gone', () => {
    store.providers.put(fetchedImage('C-v0000000002', { versionOf: 'C' }));
    expect(() => accept({ contractId: 'C', edgeId: 'evil' })).toThrow('about something else');
    expect(accept({ contractId: 'C', imageHash: 'three' }).contractId).toMatch(/^C-v/);
  });

  test('stays open for nobody where only its service is left', () => {
    store.services.put(servedVersion('C'));
    expect(() => accept({ contractId: 'C' })).toThrow('about something else');
  });

  test('is not to be had by an id that versions have', () => {
    expect(() => accept({ contractId: 'C-v0123456789' })).toThrow('must not end as');
  });
});

test('a customer has a few versions of an image under way at once', () => {
  for (let n = 0; n < 4; n++) accept({ contractId: 'C', imageHash: `image-${n}` });
  expect(() => accept({ contractId: 'C', imageHash: 'image-4' })).toThrow('versions of contract C at most');
  expect(accept({ contractId: 'C', imageHash: 'image-3' }).imageHash).toBe('image-3');
  expect(accept({ contractId: 'D' }).status).toBe('REQUESTED');
});

describe('a contract that ends while its image is loaded', () => {
  const nowhere = httpPeer({ url: 'http://127.0.0.1:9' });
  const loading = (load: () => Promise<string>): ProviderPorts => ({
    store,
    clock,
    peers: { migration: nowhere },
    runtime: {
      load: async () => ({ imageId: await load(), loadedLayers: 1, skippedLayers: 0, fellBack: false }),
      unload: () => Promise.resolve(),
    },
  });

  test.each<[string, () => Promise<string>, string | undefined]>([
    ['loads', () => Promise.resolve('sha256:1'), 'sha256:1'],
    ['fails', () => Promise.reject(new Error('engine gone')), undefined],
  ])('is let go when that %s', async (_what, loaded, imageId) => {
    store.providers.put(fetchedImage('C', { status: 'DOWNLOADED' }));
    const ports = loading(() => {
      endProvider('C', { store, clock });
      return loaded();
    });
    expect(await advanceProvider('C', ports)).toBe(true);
    expect(store.providers.get('C')?.status).toBe('ENDING');
    expect(store.providers.get('C')?.imageId).toBe(imageId);
  });
});

describe('an image that cannot be loaded', () => {
  const options = { giveUpMs: 300_000 };
  const fail = (error: unknown): ReturnType<typeof store.providers.get> => {
    noteProviderFailure('C', { store, clock, random: systemRandom, options }, error, true);
    return store.providers.get('C');
  };

  test('for a reason that may pass is begun anew, later and later, for minutes; and is well once it is loaded', async () => {
    const began = clock.at;
    store.providers.put(fetchedImage('C', { status: 'DOWNLOADED' }));
    const full = new AntirioError('storageFull', 'the disk takes no more blocks');
    const waits: number[] = [];
    for (;;) {
      const { status, notBefore = 0 } = fail(full) ?? {};
      if (status === 'FAILED') break;
      expect(status).toBe('REQUESTED');
      waits.push(notBefore - clock.at);
      expect(isDue(fetchedImage('C', { notBefore }), clock)).toBe(false);
      clock.at = notBefore;
      expect(isDue(fetchedImage('C', { notBefore }), clock)).toBe(true);
    }
    expect(clock.at - began).toBeGreaterThanOrEqual(options.giveUpMs);
    expect(waits.length).toBeLessThan(30);
    expect(Math.max(...waits)).toBeLessThanOrEqual(90_000);
    expect(waits[0]).toBeLessThanOrEqual(3000);

    store.providers.put(
      fetchedImage('C', { status: 'DOWNLOADED', failingSince: began, begunAnew: 9, notBefore: 1 }),
    );
    const loaded = { imageId: 'sha256:1', loadedLayers: 1, skippedLayers: 0, fellBack: false };
    const runtime = { load: () => Promise.resolve(loaded), unload: () => Promise.resolve() };
    const peers = { migration: httpPeer({ url: 'http://127.0.0.1:9' }) };
    await advanceProvider('C', { store, clock, peers, runtime });
    const { failingSince, begunAnew, notBefore } = store.providers.get('C') ?? {};
    expect([failingSince, begunAnew, notBefore]).toEqual([undefined, undefined, undefined]);
  });

  test('because its bytes are wrong has FAILED at once; what is let go stays so', () => {
    store.providers.put(fetchedImage('C', { status: 'DOWNLOADED' }));
    expect(fail(new AntirioError('corrupt', 'cut off'))?.status).toBe('FAILED');
    store.providers.put(fetchedImage('C', { status: 'ENDING' }));
    expect(fail(new AntirioError('conflict', 'in use'))?.status).toBe('ENDING');
  });
});

test('a version that was given up may be sent again once it is let go of, not before', () => {
  const givenUp = { outcome: 'failed', reason: 'not ready', at: 1 } as const;
  accept({ contractId: 'C' });
  const { contractId } = accept({ contractId: 'C', imageHash: 'two' });
  const version = { versionOf: 'C', imageHash: 'two', givenUp };
  store.providers.put(fetchedImage(contractId, version));
  expect(() => accept({ contractId: 'C', imageHash: 'two' })).toThrow('being let go');
  store.providers.put(fetchedImage(contractId, { ...version, status: 'ENDED' }));
  expect(accept({ contractId: 'C', imageHash: 'two' })).toMatchObject({ status: 'REQUESTED' });
  expect(store.providers.get(contractId)?.givenUp).toBeUndefined();
});
