import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { HttpCall, HttpPeer, Log } from '@antirio/host';
import { AntirioError, toBase64 } from '@antirio/kernel';
import { parseAppKey } from '@antirio/lorawan';
import { JOINS_IN_ALL } from '@antirio/service-contract';
import { openContractStore, type ContractStore } from './contract-store.ts';
import { contractId } from './escrow.fixture.ts';
import { createJoinHome, joinsHomeOf } from './join-home.ts';
import { withJoins, type AiredJoin } from './join-records.ts';
import { airedJoin, devEui, joinRequestOf, rootKey, terms } from './joins.fixture.ts';

let folder = '';
let store: ContractStore;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'home-'));
  store = openContractStore(join(folder, 'contracts.db'));
});
afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true });
});

function setUp(answered: { joins: readonly AiredJoin[]; total?: number }) {
  const given: number[] = [];
  const state = { fails: false, now: 0, asked: 0 };
  const room = (answer: (call: HttpCall) => unknown): HttpPeer => ({
    call: (call) => {
      const json = answer(call);
      return Promise.resolve({ status: 200, headers: {}, body: new Uint8Array(1), json: () => json });
    },
    close: () => undefined,
  });
  const edge2edge = room(({ path }) => {
    state.asked += 1;
    const after = Number(new URLSearchParams(path.split('?')[1]).get('after'));
    const joins = answered.joins.filter(({ n }) => n > after).slice(0, 200);
    return { total: answered.total ?? answered.joins.at(-1)?.n ?? 0, joins };
  });
  const deviceLora = room(({ json }) => {
    if (state.fails) throw new AntirioError('unavailable', 'the service has no keys yet');
    const { joins } = json as { joins: object[] };
    given.push(joins.length);
    return { taken: joins.length, known: 0 };
  });
  const clock = { monotonic: () => state.now };
  const warned: string[] = [];
  const quiet = (): void => undefined;
  const warn = (_: unknown, text: string): void => void warned.push(text);
  const log = { info: quiet, debug: quiet, warn } as unknown as Log;
  const home = createJoinHome({ peers: { edge2edge, deviceLora }, store, clock, log });
  return { home, given, state, warned };
}

test('joins come home page by page, each once, and the ring waits until the device service has them', async () => {
  const answered = { joins: Array.from({ length: 250 }, (_, i) => airedJoin(i + 1)) };
  const { home, given, state } = setUp(answered);
  state.fails = true;
  home.told(terms, 250);
  await expect(home.bring(terms)).rejects.toThrow('no keys yet');
  expect([home.known(contractId), home.joinsOf(contractId)]).toEqual([0, []]);
  state.fails = false;
  await home.bring(terms);
  expect([given, home.known(contractId)]).toEqual([[200, 50], 250]);
  await home.bring(terms);
  expect(given).toEqual([200, 50]);
  // after a start
  const again = setUp(answered);
  expect([again.home.known(contractId), again.home.joinsOf(contractId).length]).toEqual([250, 250]);
  expect(joinsHomeOf(store, contractId)).toEqual({ through: 250, counts: { taken: 250, known: 0 } });
  again.home.leave(contractId);
  expect(setUp(answered).home.joinsOf(contractId)).toEqual([]);
});

test('a provider that tells of joins and gives none is asked no more than once a second', async () => {
  const { home, given, state } = setUp({ joins: [airedJoin(1)], total: 9 });
  await home.bring(terms);
  expect([given, home.known(contractId)]).toEqual([[1], 1]);
  const { asked } = state;
  for (let i = 0; i < 5; i++) home.told(terms, 9);
  expect(state.asked).toBe(asked);
  state.now = 1000;
  home.told(terms, 9);
  await home.bring(terms);
  expect(state.asked).toBe(asked + 1);
  state.fails = true;
  home.told(terms, 9);
  await home.stop();
  home.told(terms, 9);
  expect(home.counts()).toEqual({ taken: 1, known: 0 });
});

test('that they do not come is said once, and once more after they came', async () => {
  const { home, state, warned } = setUp({ joins: [airedJoin(1)] });
  const askFor = async (seconds: number): Promise<void> => {
    for (let i = 0; i < seconds; i++, state.now += 1000) {
      home.told(terms, 2);
      await new Promise(setImmediate);
    }
  };
  state.fails = true;
  await askFor(5);
  expect([state.asked, warned.length]).toEqual([5, 1]);
  state.fails = false;
  await askFor(2);
  expect(home.known(contractId)).toBe(1);
  await askFor(2);
  expect(warned).toHaveLength(1);
});

test('joins come home by their numbers, whatever is between these, and those that go back are none', async () => {
  const numbered = (...all: number[]) => all.map((n, i) => ({ ...airedJoin(i + 1), n }));
  const answered = { joins: numbered(7, 8) };
  const { home, given, state } = setUp(answered);
  await home.bring(terms);
  // the provider's disk came back old: as many as before, and others
  answered.joins = numbered(70, 80);
  home.told(terms, 80);
  await home.bring(terms);
  expect([given, home.known(contractId), home.joinsOf(contractId).length]).toEqual([[2, 2], 80, 4]);
  answered.joins = numbered(90, 10, 11, 90, 95);
  state.now = 1000;
  await home.bring(terms);
  expect([given.at(-1), home.known(contractId)]).toEqual([2, 95]);
});

test('what is no join keeps none beside it from coming home', async () => {
  const joins = [
    { ...airedJoin(1), joinAccept: '!!!' },
    { ...airedJoin(2), joinRequest: 'A'.repeat(999) },
    airedJoin(3),
  ];
  const { home, given } = setUp({ joins });
  await home.bring(terms);
  expect([given, home.known(contractId)]).toEqual([[3], 3]);
});

test('of a provider that tells of more joins than there can be, the rest keeps no frame from being read', async () => {
  const joins = Array.from({ length: JOINS_IN_ALL + 500 }, (_, i) => ({ ...airedJoin(1), n: i + 1 }));
  const { home, given } = setUp({ joins });
  await home.bring(terms);
  expect(given.reduce((sum, one) => sum + one, 0)).toBe(JOINS_IN_ALL);
  expect(home.known(contractId)).toBe(Number.MAX_SAFE_INTEGER);
});

test('both sides derive the same sessions of the same bytes, and none of what does not verify', () => {
  const secrets = { keyVersion: 1, sessions: [], rootKeys: [rootKey] };
  const wrongMic = { ...airedJoin(3), joinRequest: joinRequestOf(3, parseAppKey('11'.repeat(16))) };
  const wrongAccept = { ...airedJoin(4), joinAccept: toBase64(new Uint8Array(17).fill(0x20)) };
  const elsewhere = airedJoin(5, 0x0300_0000);
  // as it may stand on disks of old
  const noBytes = { ...airedJoin(6), joinAccept: '!!!' };
  const noRequest = { ...airedJoin(7), joinRequest: '!!!' };
  const joins = [noBytes, noRequest, airedJoin(1), airedJoin(2), wrongMic, wrongAccept, elsewhere];
  const { sessions } = withJoins(terms, secrets, joins);
  expect(sessions.map(({ devAddr }) => devAddr)).toEqual(['02000001', '02000002']);
  expect(sessions.every((one) => one.devEui === devEui)).toBe(true);
  // sealed by the customer since
  const upper = sessions.map((one) => ({ ...one, nwkSKey: one.nwkSKey.toUpperCase() }));
  expect(withJoins(terms, { ...secrets, sessions: upper }, joins).sessions).toEqual(upper);
  expect(withJoins(terms, { ...secrets, rootKeys: [] }, joins).sessions).toEqual([]);
  const { rootKeys: _none, ...without } = terms;
  expect(withJoins(without, secrets, joins)).toBe(secrets);
});
