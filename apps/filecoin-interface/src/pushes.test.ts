import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { makeBlock, openBlockStore, RAW, type BlockStore } from '@antirio/content-store';
import { silentLog, systemClock, systemRandom } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { dagOf, embeddedNetwork, type HoldingState, type StorageNetwork } from '@antirio/storage-network';
import { filecoinInterfaceOptions } from './options.ts';
import { createProgress } from './progress.ts';
import { createPushes, type Pushes } from './pushes.ts';
import { openRecords, type Records } from './records.ts';
import { until } from './test-scene.ts';

const [clock, random, log] = [systemClock, systemRandom, silentLog];
const block = makeBlock(RAW, Buffer.from('what is brought there'));
const cid = block.cid.toString();

let folder: string;
let store: BlockStore;
let records: Records;
let pushes: Pushes;
let says: HoldingState;
let puts: number;
let isWell: boolean;
let fails: number;
let counted: number;
let told: boolean[];

/** A network of some kind that has everything and says of it what it is told to. */
function networkOf(kind: StorageNetwork['kind']): StorageNetwork {
  const rate = { numerator: 0n, denominator: 1n, currency: 'x', epochSeconds: 30 };
  const inner = embeddedNetwork({ random, store, self: '/p2p/A', rate });
  return {
    kind,
    put: (_name, dag) => {
      puts++;
      if (fails-- > 0) return Promise.reject(new AntirioError('unavailable', 'it broke off'));
      return Promise.resolve({ cid: dag.root, bytes: dag.bytes, providers: ['7'] });
    },
    status: () => Promise.resolve({ state: says, providers: ['7'] }),
    pin: () => Promise.resolve(),
    unpin: () => Promise.resolve(true),
    keepOnly: () => Promise.resolve(0),
    get: (ref, options) => inner.get(ref, options),
    has: (one) => inner.has(one),
    price: () => inner.price(),
    health: () => Promise.resolve({ ok: isWell, detail: isWell ? 'well' : 'away' }),
    close: () => inner.close(),
  };
}

function pushesTo(kind: StorageNetwork['kind']): Pushes {
  const times = { networkCheckMs: 10, networkRecheckMs: 100, firstRetryMs: 5, attempts: 2 };
  const options = filecoinInterfaceOptions.parse({ dataDir: folder, ...times });
  const ports = { clock, random, log, records, network: networkOf(kind), progress: createProgress(clock) };
  const created = createPushes(options, {
    ...ports,
    dagOf: (root, bytes) => {
      if (bytes === undefined) counted++;
      return dagOf(store, root, { bytes });
    },
  });
  created.onHeld((_name, _cid, isHeld) => void told.push(isHeld));
  created.work.start();
  return created;
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-pushes-'));
  store = await openBlockStore({ folder, clock });
  await store.put(block);
  records = openRecords(join(folder, 'state.sqlite'), clock);
  says = 'replicated';
  puts = 0;
  isWell = true;
  fails = 0;
  counted = 0;
  told = [];
});
afterEach(async () => {
  await pushes.work.stop();
  records.close();
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

const looks = (count: number): Promise<true> =>
  until(() => ((records.pushes.all()[0]?.checks ?? 0) >= count ? true : undefined));

test('Filecoin holds what is proven: what its providers only say to have is looked at again, and not sent again', async () => {
  pushes = pushesTo('filecoin');
  pushes.order('image/one', cid);
  await looks(3);
  expect([pushes.view('image/one')?.state, puts, told]).toEqual(['STORED', 1, []]);
  says = 'proven';
  await until(() => (pushes.view('image/one')?.state === 'COMMITTED' ? true : undefined));
  says = 'replicated';
  await until(() => (pushes.view('image/one')?.state === 'STORED' ? true : undefined));
  expect([told, puts]).toEqual([[true, false], 1]);
});

test('nodes hold what they show as often as they are asked to', async () => {
  pushes = pushesTo('kubo');
  pushes.order('image/one', cid);
  await until(() => (pushes.view('image/one')?.state === 'COMMITTED' ? true : undefined));
  says = 'stored';
  await until(() => (puts > 1 ? true : undefined));
  expect(told).toEqual([true, false]);
});

test('what is brought there is counted once, however often that fails, and not for a network that is away', async () => {
  isWell = false;
  pushes = pushesTo('kubo');
  pushes.order('image/one', cid);
  const refused = await until(() => pushes.failed()[0]);
  expect(refused.error).toMatch(/takes nothing now: away/);
  expect([counted, puts]).toEqual([0, 0]);
  [isWell, fails] = [true, 5];
  await until(() => (pushes.view('image/one')?.state === 'COMMITTED' ? true : undefined));
  expect([counted, puts]).toEqual([1, 6]);
});
