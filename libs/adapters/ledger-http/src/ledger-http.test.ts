import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import {
  createHttpRim,
  httpPeer,
  silentLog,
  systemClock,
  systemRandom,
  waitFor,
  type HttpPeer,
  type HttpRim,
} from '@antirio/host';
import { generateIdentity, openIdentity } from '@antirio/kernel';
import { openLocalLedger, type LocalLedger } from '@antirio/ledger-local';
import { genesis, keys } from '@antirio/ledger-machine';
import { addLedgerRoutes, createLedgerClient, resultOf, type LedgerClient } from './index.ts';

const ada = openIdentity(generateIdentity());
const ben = openIdentity(generateIdentity());
const others = Array.from({ length: 520 }, () => openIdentity(generateIdentity()).edgeId);

let folder: string;
let ledger: LocalLedger;
let rim: HttpRim;
let port: number;
let peer: HttpPeer;
let client: LedgerClient;

function serve(): HttpRim {
  const common = { version: '0', config: () => ({}), health: () => ({}), log: silentLog, clock: systemClock };
  const served = createHttpRim({ serviceKey: 'ledger', ...common });
  addLedgerRoutes(served, () => ledger, { followers: 2, stopped: new AbortController().signal });
  return served;
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ledger-http-'));
  const balances = Object.fromEntries([ada.edgeId, ben.edgeId, ...others].map((edge) => [edge, 10]));
  ledger = await openLocalLedger({
    path: join(folder, 'ledger.log'),
    genesis: genesis.parse({ arbitrator: ben.edgeId, balances }),
    clock: systemClock,
    log: silentLog,
  });
  rim = serve();
  port = await rim.listen(0, '127.0.0.1');
  peer = httpPeer({ url: `http://127.0.0.1:${port}` });
  client = createLedgerClient({ peer, prefix: '', identity: ada, random: systemRandom, log: silentLog });
});

afterEach(async () => {
  peer.close();
  await rim.close();
  await ledger.close();
  rmSync(folder, { recursive: true });
});

async function register(name: string): Promise<void> {
  const addresses = { url: 'http://127.0.0.1:1', udp: { host: '127.0.0.1', port: 1 } };
  const { sealKey } = ada;
  resultOf(
    await client.submit(await client.prepare({ type: 'identity/register', name, sealKey, addresses })),
  );
}

test('a range is read to its end, page by page', async () => {
  const accounts = await client.range('account/');
  expect(accounts).toHaveLength(522);
  expect(accounts.map(([key]) => key)).toEqual([...accounts.map(([key]) => key)].sort());
});

test('a follower goes on behind what it had, over a server that went away and a handler that failed', async () => {
  const seen: string[] = [];
  let failing = true;
  const following = client.onEvent(undefined, ({ data }) => {
    if (data['name'] === 'two' && failing) {
      failing = false;
      throw new TypeError('not now');
    }
    seen.push(String(data['name']));
  });
  await register('one');
  await register('two');
  await waitFor(systemClock, 10_000, () => seen.length === 2 || undefined);
  await rim.close();
  rim = serve();
  await rim.listen(port, '127.0.0.1');
  await register('three');
  await waitFor(systemClock, 10_000, () => seen.length === 3 || undefined);
  following.close();
  expect(seen).toEqual(['one', 'two', 'three']);
});

test('a transaction that was prepared may be sent again after a crash', async () => {
  await register('ada');
  const tx = await client.prepare({ type: 'account/transfer', to: ben.edgeId, amount: 3 });
  const receipt = await client.submit(tx);
  expect(await client.submit(tx)).toEqual(receipt);
  expect(await client.read(keys.account(ben.edgeId))).toEqual({ balance: 13 });
});

test('a refusal has the machine’s code, a request of the wrong shape is never sent', async () => {
  const refused = await client.submit(
    await client.prepare({ type: 'account/transfer', to: ben.edgeId, amount: 3 }),
  );
  expect(() => resultOf(refused)).toThrow(expect.objectContaining({ code: 'unauthenticated' }));
  const wrong = client.prepare({ type: 'account/transfer', to: ben.edgeId, amount: -3 });
  await expect(wrong).rejects.toMatchObject({ code: 'invalidInput' });
});

test('only so many may wait for events at once', async () => {
  const waiting = [1, 2].map(() => client.events(undefined, 300));
  await waitFor(systemClock, 5000, async () => {
    const { status } = await peer.call({ path: '/ledger/v1/events?waitMs=1' });
    return status === 429 || undefined;
  });
  expect(await Promise.all(waiting)).toEqual([[], []]);
});

test('says of every block which state it led to, so that whoever saw one can tell whether it is in the log', async () => {
  const before = await client.head();
  await register('an edge');
  const after = await client.head();
  expect(after.height).toBe(before.height + 1n);
  expect(await client.stateHashAt(Number(before.height))).toBe(before.stateHash);
  expect(await client.stateHashAt(Number(after.height))).toBe(after.stateHash);
  expect(await client.stateHashAt(Number(after.height) + 1)).toBeUndefined();
  await ledger.close();
  ledger = await openLocalLedger({
    path: join(folder, 'ledger.log'),
    genesis: genesis.parse(await ledger.query(keys.genesis())),
    clock: systemClock,
    log: silentLog,
  });
  expect(await client.stateHashAt(Number(after.height))).toBe(after.stateHash);
});
