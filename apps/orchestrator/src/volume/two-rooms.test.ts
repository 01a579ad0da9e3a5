import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { silentLog, systemRandom, type HttpCall, type HttpPeer } from '@antirio/host';
import {
  AntirioError,
  fromHex,
  generateIdentity,
  openIdentity,
  signDocument,
  sha256Hex,
  type Clock,
} from '@antirio/kernel';
import {
  contractVolumeKey,
  signedSnapshot,
  versionVolumeKey,
  VOLUME_SNAPSHOT_KIND,
  volumesIn,
  type SignedSnapshot,
} from '@antirio/service-contract';
import { orchestratorOptions } from '../options.ts';
import { openStore, type OrchestratorStore } from '../store.ts';
import { guestVolumes, type GuestRooms } from './guest-volumes.ts';
import { ownVolumes, type OwnRooms } from './own-volumes.ts';
import type { VolumeObjects } from './volume-objects.ts';

const contractId = '6a6e5df8-14ab-4f2c-b6f2-2b1d0c4e9a01';
const named = { state: { maxBytes: 1 << 20, everyS: 10 } };
const volumes = volumesIn({ namedVolumes: named, volumes: 'state:/data/state' });
const key = contractVolumeKey('22'.repeat(32), contractId);
const [customer, provider] = [openIdentity(generateIdentity()), openIdentity(generateIdentity())];

let dir: string;
let path: string;
let now: number;
const clock: Clock = { now: () => 1_700_000_000_000 + now, monotonic: () => now };
let own: OwnRooms;
let guests: GuestRooms;
let stores: OrchestratorStore[] = [];
type Objects = VolumeObjects & { readonly held: Set<string> };
let objects: { readonly a: Objects; readonly b: Objects };
let seen: { phase: string; providerEpoch?: number; keyVersion: number };
let away: boolean;
let [slow, full] = [false, false];
let hooks: string;

/** An edge's content store, out of which the other one fetches. */
function sharedObjects(): Objects {
  const folder = join(dir, 'objects');
  mkdirSync(folder, { recursive: true });
  const held = new Set<string>();
  return {
    held,
    async put(name, from) {
      if (full && name.includes('-home-')) throw new AntirioError('storageFull', 'no space');
      const cid = `bafy${sha256Hex(readFileSync(from)).slice(0, 40)}`;
      copyFileSync(from, join(folder, cid));
      held.add(cid);
      return cid;
    },
    async bring({ cid }, _name, to) {
      if (slow) return false;
      if (!existsSync(join(folder, cid))) throw new AntirioError('unavailable', 'nobody has it');
      copyFileSync(join(folder, cid), to);
      held.add(cid);
      return true;
    },
    async drop(cid) {
      held.delete(cid);
    },
  };
}

function peerOf(answer: (call: HttpCall) => unknown): HttpPeer {
  return {
    async call(call) {
      const body = Buffer.from(JSON.stringify(answer(call)));
      return { status: 200, headers: {}, body, json: () => JSON.parse(body.toString()) as unknown };
    },
    close: () => undefined,
  };
}

/** The provider's routes, as far as volumes are concerned. */
function provided({ method, path: asked, json }: HttpCall): unknown {
  if (away) throw new AntirioError('unavailable', 'the provider is away');
  if (method === 'POST') {
    const { snapshot } = json as { snapshot: SignedSnapshot };
    const refused = guests.offer(customer.edgeId, volumes, signedSnapshot.parse(snapshot), false);
    return { held: guests.of(contractId)?.held?.body.seq ?? 0, refused };
  }
  const home = guests.of(contractId)?.home;
  if (home === undefined || !asked.endsWith(`epoch=${home.epoch}`)) return { state: 'waits' };
  const { snapshot } = home;
  return snapshot === undefined ? { state: 'none', reason: home.none } : { state: 'home', snapshot };
}

function openRooms(): void {
  for (const store of stores) store.close();
  stores = [openStore(join(dir, 'a')), openStore(join(dir, 'b'))];
  const [a, b] = stores as [OrchestratorStore, OrchestratorStore];
  const hook = (word: string): string[] => ['/bin/sh', '-c', `echo ${word} >> "$0"`, hooks];
  const options = orchestratorOptions.parse({
    dataDir: dir,
    configuration: { namedVolumes: named },
    volumes: { state: { path, stop: hook('stop'), start: hook('start'), quiesce: hook('quiesce') } },
  });
  const common = { clock, random: systemRandom, log: silentLog };
  const arbitrator = peerOf(() => ({
    contracts: [{ contractId, provider: provider.edgeId, key, ...seen }],
  }));
  const peers = { arbitrator, edge2edge: peerOf(provided) };
  own = ownVolumes({
    ...common,
    objects: () => objects.a,
    ...{ dataDir: join(dir, 'a'), options, store: a, identity: () => customer, peers: () => peers },
  });
  guests = guestVolumes({
    ...common,
    objects: () => objects.b,
    ...{ dataDir: join(dir, 'b'), records: b.volumes, identity: () => provider, user: undefined },
  });
}

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'two-rooms-'));
  path = join(dir, 'home', 'state');
  mkdirSync(path, { recursive: true });
  hooks = join(dir, 'hooks');
  now = 0;
  seen = { phase: 'guarded', keyVersion: 1 };
  away = false;
  [slow, full] = [false, false];
  stores = [];
  objects = { a: sharedObjects(), b: sharedObjects() };
  openRooms();
});
afterEach(() => {
  for (const store of stores) store.close();
  rmSync(dir, { recursive: true, force: true });
});

async function pass(ms: number): Promise<void> {
  now += ms;
  await own.advance();
  await guests.advance();
}
const held = (): number | undefined => guests.of(contractId)?.held?.body.seq;
const live = (): string => join(dir, 'b', 'volumes', contractId, 'live', 'state');
const openAt = (version: number): void =>
  guests.giveKey(contractId, version, fromHex(versionVolumeKey(key, version), 32));
const files = (folder: string): Record<string, string> =>
  Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
const own1 = () => own.all()[0];

/** A's state is at B, which serves under epoch 2 and adds to it. */
async function takeOver(): Promise<void> {
  writeFileSync(join(path, 'a'), 'from A');
  await pass(0);
  await pass(2000);
  expect(held()).toBe(1);
  openAt(1);
  expect(guests.isDue(contractId, volumes)).toBe(true);
  await guests.restore(contractId, volumes);
  expect(files(live())).toEqual({ a: 'from A' });
  writeFileSync(join(live(), 'b'), 'from B');
}

async function handBack(): Promise<{ cid: string; size: number } | undefined> {
  seen = { ...seen, phase: 'recovering' };
  await pass(1000);
  guests.stopFor(contractId, 2);
  const stated = await guests.takeHome(contractId, volumes, 2);
  seen = { ...seen, phase: 'retaken', providerEpoch: 2 };
  return stated;
}

test('state that A wrote is at B after the takeover, and what B wrote is at A after the handback', async () => {
  await takeOver();
  // a restart of B's room fills nothing again
  openRooms();
  expect(guests.isDue(contractId, volumes)).toBe(false);
  openAt(1);
  const stated = await handBack();
  expect(await guests.takeHome(contractId, volumes, 2)).toEqual(stated);
  expect(own.homeOf(contractId, 2)).toEqual({ state: 'waits' });
  away = true;
  await pass(3000);
  expect(own1()?.failed?.reason).toContain('away');
  away = false;
  await pass(3000);
  expect(own.homeOf(contractId, 2)).toMatchObject({ state: 'restored', volumes: stated });
  expect(files(path)).toEqual({ a: 'from A', b: 'from B' });
  expect(own1()?.kept).toMatchObject([{ path: `${path}.kept-2`, conflict: false }]);
  seen = { ...seen, phase: 'guarded' };
  await pass(3000);
  await pass(3000);
  expect(existsSync(`${path}.kept-2`)).toBe(false);
  expect(own1()?.kept).toEqual([]);
  expect(held()).toBe(2);
  expect(readFileSync(hooks, 'utf8').split('\n')).toEqual(['quiesce', 'stop', 'start', 'quiesce', '']);
  expect([objects.a.held.size, objects.b.held.size]).toEqual([1, 0]);
});

test('what A wrote after its last snapshot is kept beside, and said', async () => {
  await takeOver();
  writeFileSync(join(path, 'a'), 'later at A');
  await handBack();
  await pass(3000);
  expect(files(path)).toEqual({ a: 'from A', b: 'from B' });
  expect(files(`${path}.kept-2`)).toEqual({ a: 'later at A' });
  expect(own1()?.kept).toMatchObject([{ volume: 'state', conflict: true }]);
  seen = { ...seen, phase: 'guarded' };
  await pass(3000);
  expect(files(`${path}.kept-2`)).toEqual({ a: 'later at A' });
  rmSync(`${path}.kept-2`, { recursive: true });
  await pass(3000);
  expect(own1()?.kept).toEqual([]);
});

test('a crash between the two renames is gone on from', async () => {
  await takeOver();
  await handBack();
  // as if the process had ended after the first rename: the second one is not made
  const store = stores[0] as OrchestratorStore;
  const snapshot = guests.of(contractId)?.home?.snapshot as SignedSnapshot;
  await pass(3000);
  const after = own1();
  if (after === undefined) throw new TypeError('nothing is known');
  rmSync(path, { recursive: true });
  mkdirSync(`${path}.coming-2`);
  writeFileSync(join(`${path}.coming-2`, 'b'), 'from B');
  const { home: _undone, ...before } = after;
  store.volumes.put({ ...before, placing: { epoch: 2, snapshot, rules: { state: 'replace' } } });
  openRooms();
  await pass(3000);
  expect(files(path)).toEqual({ b: 'from B' });
  expect(own1()?.home?.outcome).toBe('restored');
});

test('B that could not open the state begins empty and says so; A keeps its own in place', async () => {
  writeFileSync(join(path, 'a'), 'from A');
  await pass(0);
  await pass(2000);
  guests.giveKey(contractId, 1, systemRandom.bytes(32));
  await guests.restore(contractId, volumes);
  expect(files(live())).toEqual({});
  expect(guests.of(contractId)?.unrestored).toMatchObject({ times: 1 });
  openAt(1);
  writeFileSync(join(live(), 'b'), 'from B');
  await handBack();
  await pass(3000);
  expect(files(path)).toEqual({ a: 'from A' });
  expect(files(`${path}.provider-2`)).toEqual({ b: 'from B' });
  expect(own1()?.kept).toMatchObject([{ conflict: true }]);
});

test('keys of later versions open the newest snapshot, others’ snapshots are refused, and serving nobody takes any', async () => {
  writeFileSync(join(path, 'a'), 'from A');
  seen = { ...seen, keyVersion: 3 };
  await pass(0);
  await pass(2000);
  const first = guests.of(contractId)?.held as SignedSnapshot;
  seen = { ...seen, keyVersion: 30 };
  await pass(3000);
  await pass(3000);
  openAt(30);
  await guests.restore(contractId, volumes);
  expect(files(live())).toEqual({ a: 'from A' });
  expect(guests.offer(customer.edgeId, volumes, { ...first, by: provider.edgeId }, false)).toBe(
    'unauthenticated',
  );
  expect(guests.offer(customer.edgeId, volumes, first, true)).toBe('serving');
  expect(guests.of(contractId)?.refused).toMatchObject({ times: 2, reason: 'serving' });
});

test('an opening that no epoch followed leaves nothing: the next one begins from the customer’s state', async () => {
  await takeOver();
  guests.stopFor(contractId, 0);
  expect(await guests.takeHome(contractId, volumes, 0)).toBeUndefined();
  guests.begin(contractId);
  expect(guests.isStopped(contractId)).toBe(false);
  expect(guests.isDue(contractId, volumes)).toBe(true);
  await guests.restore(contractId, volumes);
  expect(files(live())).toEqual({ a: 'from A' });
});

test('what B’s service wrote in a false alarm is gone before it serves, whatever was on its way meanwhile', async () => {
  await takeOver();
  guests.startAnew(contractId);
  expect(guests.isDue(contractId, volumes)).toBe(true);
  const filling = guests.restore(contractId, volumes);
  guests.startAnew(contractId);
  await filling;
  expect(guests.isDue(contractId, volumes)).toBe(true);
  await guests.restore(contractId, volumes);
  expect(files(live())).toEqual({ a: 'from A' });
});

test('a snapshot that comes in while B serves replaces nothing that B’s service wrote', async () => {
  await takeOver();
  const store = stores[1] as OrchestratorStore;
  const known = guests.of(contractId);
  const held1 = known?.held as SignedSnapshot;
  writeFileSync(join(path, 'a'), 'later at A');
  const bytes = { ...held1, body: { ...held1.body, seq: 2, cid: 'bafylate' } };
  copyFileSync(join(dir, 'objects', held1.body.cid), join(dir, 'objects', 'bafylate'));
  if (known === undefined) throw new TypeError('nothing is known');
  store.volumes.put({ ...known, coming: bytes });
  await guests.advance();
  expect(held()).toBe(1);
  expect(guests.isDue(contractId, volumes)).toBe(false);
  expect(guests.offer(customer.edgeId, volumes, held1, false)).toBe('serving');
  const stated = await handBack();
  await guests.advance();
  expect(held()).toBe(2);
  expect(guests.of(contractId)?.home?.snapshot?.body.cid).toBe(stated?.cid);
  await pass(3000);
  expect(files(path)).toMatchObject({ b: 'from B' });
});

test('a transfer of what the provider signed for is waited for as long as its size takes on a slow link', async () => {
  await takeOver();
  writeFileSync(join(live(), 'b'), systemRandom.bytes(1_000_000));
  await handBack();
  slow = true;
  for (let i = 0; i < 11; i++) await pass(60_000);
  await pass(30_000);
  expect(own.homeOf(contractId, 2)).toEqual({ state: 'waits' });
  slow = false;
  await pass(3000);
  expect(own.homeOf(contractId, 2)).toMatchObject({ state: 'restored' });
});

test('whatever fails, the customer’s bound is reached over restarts, and its service is started again', async () => {
  await takeOver();
  await handBack();
  const [store] = stores as [OrchestratorStore];
  const { away: _away, ...here } = own1() ?? { away: true };
  store.volumes.put(here as never);
  rmSync(hooks);
  mkdirSync(hooks); // no command can write there
  for (let i = 0; i < 9; i++) await pass(60_000);
  expect(own1()?.failed?.reason).toContain('stop');
  openRooms();
  for (let i = 0; i < 4; i++) await pass(60_000);
  rmSync(hooks, { recursive: true });
  await pass(60_000);
  expect(own.homeOf(contractId, 2)).toMatchObject({ state: 'refused' });
  expect(readFileSync(hooks, 'utf8')).toContain('start');
  expect(files(path)).toEqual({ a: 'from A' });
});

test('a provider that cannot store what it sealed says so in the end, and another attempt may succeed before', async () => {
  await takeOver();
  guests.stopFor(contractId, 2);
  full = true;
  const seal = () => guests.takeHome(contractId, volumes, 2);
  for (let i = 0; i < 10; i++) {
    await expect(seal()).rejects.toMatchObject({ code: 'storageFull' });
    now += 60_000;
    if (i !== 5) continue;
    openRooms();
    openAt(1);
  }
  now += 61_000;
  expect(await seal()).toBeUndefined();
  expect(guests.of(contractId)?.home).toMatchObject({ epoch: 2, none: expect.stringContaining('no space') });
});

test('snapshots that cannot be fetched make nothing grow', async () => {
  writeFileSync(join(path, 'a'), 'from A');
  await pass(0);
  await pass(2000);
  const { body } = guests.of(contractId)?.held as SignedSnapshot;
  const offer = (seq: number) => {
    const signed = signDocument(customer, VOLUME_SNAPSHOT_KIND, { ...body, seq, cid: `bafynone${seq}` });
    return guests.offer(customer.edgeId, volumes, { ...signed, kind: VOLUME_SNAPSHOT_KIND }, false);
  };
  await guests.advance();
  const said = Array.from({ length: 40 }, (_, i) => offer(i + 2));
  expect(said.slice(0, 9)).toEqual(Array(9).fill(undefined));
  expect(new Set(said.slice(9))).toEqual(new Set(['busy']));
  expect(guests.of(contractId)?.letGo).toHaveLength(8);
  await guests.advance();
  expect(guests.of(contractId)?.letGo).toEqual([]);
  expect(guests.of(contractId)?.refused?.reason).toContain('nobody has it');
  expect(offer(50)).toBeUndefined();
});
