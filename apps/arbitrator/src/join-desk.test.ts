import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { silentLog } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { JOINS_OF_EACH, type ContractTerms, type PartyEvent } from '@antirio/service-contract';
import { openContractStore, type ContractStore } from './contract-store.ts';
import { contractId } from './escrow.fixture.ts';
import { createJoinDesk } from './join-desk.ts';
import { airedJoin, bytesOf, devEui, joinRequestOf, range, terms } from './joins.fixture.ts';

let folder = '';
let store: ContractStore;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'desk-'));
  store = openContractStore(join(folder, 'contracts.db'));
});
afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true });
});

const open = { state: 'open', epoch: 3, slot: 1, actFrom: 0, actUntil: 9 } as const;

function setUp(of: ContractTerms = terms) {
  const fence = open as typeof open | { state: 'shut' };
  const state = { phase: 'active', fence, full: false, now: 5 };
  const told: string[] = [];
  const driver = {
    terms: of,
    role: 'provider',
    phase: () => ({ at: state.phase, epoch: 3 }),
    desires: () => ({ fence: state.fence }),
    post: (event: PartyEvent) => void told.push(event.type),
  };
  const other = {
    ...driver,
    terms: { ...terms, contractId: 'other', set: { ...terms.set, setId: 'other' } },
  };
  const desk = createJoinDesk({
    bus: {
      publish: (_topic: string, text: string) => {
        told.push(text);
        return Promise.resolve();
      },
    } as never,
    store,
    drivers: new Map([
      [contractId, driver],
      ['other', other],
    ]) as never,
    addresses: ({ set }) => (set.setId === 'other' ? [{ devEui: 'x', devAddr: '0200aaaa' }] : []),
    cover: () => {
      told.push(`cover ${desk.joinsOf(contractId).length}`);
      return state.full ? Promise.reject(new AntirioError('storageFull', 'full')) : Promise.resolve();
    },
    clock: { now: () => state.now, monotonic: () => 5 },
    log: silentLog,
  });
  const answer = (): { refused?: string } => JSON.parse(told.at(-1) ?? '{}') as { refused?: string };
  const topic = `contract/${contractId}/antirio/join`;
  const ask = async (devNonce: number, of = devEui) => {
    await desk.onAsk(`${topic}/ask`, bytesOf({ requestId: 'r', devEui: of, devNonce }));
    return answer();
  };
  const keep = async (devNonce: number, more: object = {}) => {
    const { joinAccept } = airedJoin(devNonce);
    const devAddr = (0x0200_0000 + devNonce).toString(16).padStart(8, '0');
    const about = { devAddr, joinNonce: 15 + devNonce, joinAccept, joinRequest: joinRequestOf(devNonce) };
    await desk.onKeep(`${topic}/keep`, bytesOf({ requestId: 'r', ...about, ...more }));
    return answer();
  };
  return { desk, state, told, ask, keep };
}

test('a join is kept, then the ring takes its address, then it is answered', async () => {
  const { desk, told, ask, keep } = setUp();
  expect(await ask(1)).toEqual({ requestId: 'r', range, slot: 1, above: 0 });
  told.length = 0;
  expect(await keep(1)).toEqual({ requestId: 'r' });
  expect(told.slice(0, 2)).toEqual(['cover 1', 'tick']);
  expect(desk.joinsOf(contractId)).toMatchObject([
    { n: 1, epoch: 3, devEui, devNonce: 1, devAddr: '02000001' },
  ]);
  // whatever became of the guest meanwhile
  expect(await ask(2)).toMatchObject({ above: 16 });
  expect(await ask(1)).toMatchObject({ refused: 'its DevNonce was used' });
  expect(await keep(1)).toMatchObject({ refused: 'its DevNonce was used' });
  expect(desk.joinsOf(contractId)).toHaveLength(1);
});

test('what is kept is so after a start', async () => {
  const { keep } = setUp();
  await keep(1);
  await keep(2);
  const { desk, ask } = setUp();
  expect(desk.joinsOf(contractId).map(({ n, devNonce }) => [n, devNonce])).toEqual([
    [1, 1],
    [2, 2],
  ]);
  expect(await ask(2)).toMatchObject({ refused: 'its DevNonce was used' });
  desk.leave(contractId);
  expect(setUp().desk.joinsOf(contractId)).toEqual([]);
});

test('after the return of an old disk no join is numbered as another one was', async () => {
  const lost = setUp();
  lost.state.now = 1_800_000_000_000;
  for (const devNonce of [1, 2]) await lost.keep(devNonce);
  const known = lost.desk.last(contractId);
  expect(lost.desk.joinsOf(contractId).map(({ n }) => n)).toEqual([known - 1, known]);
  for (const { n } of lost.desk.joinsOf(contractId))
    store.forgetDocument(contractId, `join/${String(n).padStart(8, '0')}`);
  const { desk, state, keep } = setUp();
  expect(desk.last(contractId)).toBe(0);
  state.now = 1_800_000_010_000;
  for (const devNonce of [7, 8]) await keep(devNonce);
  expect(desk.joinsOf(contractId)).toHaveLength(2);
  expect(desk.joinsOf(contractId).every(({ n }) => n > known)).toBe(true);
  // by a clock that went back, too
  state.now = 5;
  await keep(9);
  expect(
    setUp()
      .desk.joinsOf(contractId)
      .map(({ devNonce }) => devNonce),
  ).toEqual([7, 8, 9]);
});

test('who does not act answers none, nor who was given no root keys', async () => {
  const { state, ask, keep, desk } = setUp();
  state.fence = { state: 'shut' };
  expect(await ask(1)).toMatchObject({ refused: expect.stringMatching(/does not act/) });
  expect(await keep(1)).toMatchObject({ refused: expect.stringMatching(/does not act/) });
  state.fence = open;
  state.phase = 'released';
  expect(await ask(1)).toMatchObject({ refused: expect.stringMatching(/does not act/) });
  state.phase = 'active';
  expect(await ask(1, '00000000000000bb')).toMatchObject({ refused: 'no device of the set' });
  expect(desk.joinsOf(contractId)).toEqual([]);
  const { rootKeys: _none, ...without } = terms;
  expect(await setUp(without).ask(1)).toMatchObject({ refused: 'the contract gives no root keys' });
});

test('an address that the contract does not name, or that another set has, is none', async () => {
  const { desk, keep } = setUp();
  for (const devAddr of ['02010000', '01ffffff', '0200aaaa'])
    expect(await keep(1, { devAddr })).toHaveProperty('refused');
  expect(desk.joinsOf(contractId)).toEqual([]);
});

test('where the ring takes no address the device is not answered, and no DevNonce is free again', async () => {
  const { state, keep } = setUp();
  state.full = true;
  expect(await keep(1)).toMatchObject({ refused: 'it could not be kept' });
  state.full = false;
  expect(await keep(1)).toMatchObject({ refused: 'its DevNonce was used' });
});

test('of one device no more are answered under an epoch than are kept at home', async () => {
  const { state, ask, keep } = setUp();
  for (let devNonce = 1; devNonce <= JOINS_OF_EACH; devNonce++)
    expect(await keep(devNonce)).toEqual({ requestId: 'r' });
  expect(await ask(1000)).toMatchObject({ refused: 'too many joins' });
  state.fence = { ...open, epoch: 5 as 3 };
  expect(await ask(1000)).not.toHaveProperty('refused');
});

test('what is no question is no crash', async () => {
  const { desk, keep } = setUp();
  await expect(desk.onAsk('contract/x', Uint8Array.of(1))).rejects.toThrow();
  expect(await keep(1, { joinRequest: 'AAAA' })).toMatchObject({ refused: 'it could not be kept' });
  // kept, it would stand in the way of every statement
  for (const joinAccept of ['!!!', '', 'AAAA'])
    expect(await keep(1, { joinAccept })).toMatchObject({ refused: 'no JoinAccept' });
  expect(desk.joinsOf(contractId)).toEqual([]);
});
