import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { silentLog, systemRandom } from '@antirio/host';
import { orchestratorOptions } from '../index.ts';
import type { OrchestratorStore } from '../store.ts';
import { fetchedImage, openTestStore, servedVersion, testClock } from '../testing/store.ts';
import type { ServiceRoom } from './service-room.ts';
import { createServices, type Services } from './services.ts';
import { advanceVersions } from './versions.ts';
import type { ServiceReport } from './service-work.ts';

const NEXT = 'C-v0000000002';
const limits = { memoryBytes: 32 << 20, cpus: 1, pids: 16 };
let store: OrchestratorStore;
let services: Services;
let ended: string[];
let why: unknown[];
let copied: unknown[];
const seen = new Map<string, ServiceReport>();
let room: ServiceRoom;

beforeEach(() => {
  store = openTestStore();
  [ended, copied, why] = [[], [], []];
  seen.clear();
  room = {
    options: orchestratorOptions.parse({ dataDir: '/nowhere' }),
    store,
    clock: testClock(),
    random: systemRandom,
    log: silentLog,
    runtime: { onExit: () => undefined, close: () => Promise.resolve() },
    folders: { close: () => undefined },
    secrets: {
      copy: (...names: string[]) => copied.push(names),
      hold: () => undefined,
      drop: () => undefined,
      held: () => true,
    },
    endContract: (serviceId: string, givenUp: unknown) => {
      ended.push(serviceId);
      why.push(givenUp);
    },
  } as unknown as ServiceRoom;
  services = createServices(room);
});
afterEach(async () => {
  await services.stop();
  store.close();
});

const advance = (): Promise<boolean> =>
  advanceVersions('C', {
    room,
    report: (id) =>
      Promise.resolve(seen.get(id) ?? { observed: 'active', detail: 'as it is', stopped: false }),
    changed: () => undefined,
    signal: new AbortController().signal,
  });
const currentImage = (): string | undefined =>
  store.services.all().find(({ role }) => role === 'current')?.imageCid;

/** Of the contract's customer, each sent after the one before. */
function fetch(...versions: [string, Parameters<typeof fetchedImage>[1]?][]): void {
  for (const [place, [id, more]] of versions.entries()) {
    const versionOf = id === 'C' ? {} : { versionOf: 'C' };
    store.providers.put(fetchedImage(id, { ...versionOf, askedAt: place, ...more }));
  }
}

describe('the versions of a contract', () => {
  test('are its customer’s own: what another edge had loaded for it never runs', async () => {
    fetch([NEXT], ['C', { edgeId: 'evil', imageName: 'evil' }]);
    store.services.put(servedVersion(NEXT));
    for (let step = 0; step < 4; step++) expect(await advance()).toBe(false);
    expect(copied).toEqual([]);
    expect(currentImage()).toBe(NEXT);
  });

  test('in between go as soon as a newer one is loaded, and failed ones at once', async () => {
    const version = (n: number): string => `C-v000000000${n}`;
    fetch(
      ['C'],
      [version(2)],
      [version(3), { status: 'FETCHING' }],
      [version(4), { status: 'FAILED', error: 'no such block' }],
      [version(5)],
      [version(6), { status: 'FAILED' }],
      [version(7), { status: 'FETCHING' }],
    );
    store.services.put(servedVersion('C'));
    expect(await advance()).toBe(true);
    // Newest first; each with what its customer is told
    expect(ended).toEqual([6, 4, 3, 2].map(version));
    const superseded = { outcome: 'superseded', reason: 'another version came' };
    expect(why).toMatchObject([
      { outcome: 'failed', reason: 'no reason given' },
      { outcome: 'failed', reason: 'no such block' },
      superseded,
      superseded,
    ]);
  });

  test('take over what was wanted while one took the other’s place', async () => {
    fetch(['C'], [NEXT]);
    store.services.put(servedVersion('C', { halted: true }));
    const configuration = { of: NEXT };
    store.services.put(
      servedVersion(NEXT, {
        role: 'next',
        data: 'given',
        haltedAt: 1,
        service: { serviceName: 'device-lora', configuration },
      }),
    );
    services.want('C', {
      desired: 'active',
      standby: 'warm',
      imageCid: 'C',
      archive: '/images/C.tar',
      service: { serviceName: 'device-lora', netId: '000013' },
      epoch: 7,
      limits,
    });
    // Before it is the current one, so that its instance need not be made anew then
    const wanted = { epoch: 7, limits, service: { netId: '000013', configuration } };
    expect(store.services.get(NEXT)).toMatchObject({ role: 'next', ...wanted });
    expect(store.services.get('C')?.service).toMatchObject({ netId: '000013', configuration: { of: 'C' } });
    expect(await advance()).toBe(true);
    expect(store.services.get(NEXT)).toMatchObject({ role: 'current', standby: 'warm', ...wanted });
    const { halted, data } = store.services.get(NEXT) ?? {};
    expect([halted, data, store.services.get('C')?.desired]).toEqual([undefined, undefined, 'absent']);
  });
});

describe('data of a version that are copied', () => {
  const dropped: string[] = [];
  /** Both are stopped; `meanwhile` happens while the copy is made. */
  async function copying(meanwhile: () => void, fails = false): Promise<void> {
    dropped.length = 0;
    fetch(['C'], [NEXT]);
    store.services.put(servedVersion('C', { halted: true }));
    store.services.put(
      servedVersion(NEXT, { role: 'next', desired: 'standby', halted: true, data: 'taken', haltedAt: 1000 }),
    );
    for (const id of ['C', NEXT]) seen.set(id, { observed: 'loading', detail: 'stopped', stopped: true });
    room.folders.copyData = () => {
      meanwhile();
      if (fails) return Promise.reject(new Error('no space left'));
      return Promise.resolve({
        putInPlace: () => dropped.push('in place'),
        drop: () => dropped.push('dropped'),
      });
    };
    await advance();
  }
  const next = () => store.services.get(NEXT);

  test('are in place before anything else happens', async () => {
    await copying(() => undefined);
    expect([dropped, next()?.data, next()?.halted]).toEqual([['in place'], 'given', undefined]);
    expect(store.services.get('C')?.halted).toBe(true);
  });

  test('go nowhere when the contract ends meanwhile, and nothing comes to life again', async () => {
    await copying(() => services.want('C', { desired: 'absent' }));
    expect([dropped, next()?.desired]).toEqual([['dropped'], 'absent']);
    await copying(() => services.want('C', { desired: 'absent' }), true);
    expect([dropped, next()?.desired, next()?.data]).toEqual([[], 'absent', 'taken']);
  });

  test('that cannot be are tried again later, and the old one goes on', async () => {
    await copying(() => undefined, true);
    expect(next()).toMatchObject({ data: 'back', halted: true, desired: 'standby', inVain: { times: 1 } });
    expect(next()?.inVain?.reason).toContain('no space left');
    expect(next()?.inVain?.notBefore).toBeGreaterThan(1000);
    expect(await advance()).toBe(true);
    expect([next()?.halted, next()?.data, store.services.get('C')?.halted]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    seen.set(NEXT, { observed: 'standby', detail: 'shadow', stopped: false });
    expect(await advance()).toBe(false);
  });
});
