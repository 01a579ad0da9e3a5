import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { httpPeer, silentLog, sleep, systemClock, systemRandom, type HttpPeer } from '@antirio/host';
import { createLedgerClient, resultOf, type LedgerClient } from '@antirio/ledger-http';
import { generateIdentity, openIdentity } from '@antirio/kernel';
import { invariantProblems, keys, MemoryState, type LedgerEvent } from '@antirio/ledger-machine';
import { freePort } from '@antirio/testing';
import { createLedger, ledgerOptions, type LedgerRoom } from './index.ts';

const central = openIdentity(generateIdentity());
const ada = openIdentity(generateIdentity());
const ben = openIdentity(generateIdentity());
const genesis = { arbitrator: central.edgeId, balances: { [ada.edgeId]: 1000, [ben.edgeId]: 1000 } };

let dir: string;
let cleanUp: (() => Promise<void> | void)[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ledger-room-'));
  cleanUp = [];
});

afterEach(async () => {
  for (const clean of cleanUp.reverse()) await clean();
  rmSync(dir, { recursive: true });
});

function connect(port: number): { peer: HttpPeer; client: LedgerClient } {
  const peer = httpPeer({ url: `http://127.0.0.1:${port}` });
  cleanUp.push(() => peer.close());
  return {
    peer,
    client: createLedgerClient({ peer, prefix: '', identity: ada, random: systemRandom, log: silentLog }),
  };
}

async function startRoom(): Promise<LedgerRoom> {
  const room = createLedger(ledgerOptions.parse({ port: 0, dataDir: dir, genesis }), {
    clock: systemClock,
    log: silentLog,
    identity: central,
  });
  await room.start();
  cleanUp.push(() => room.stop());
  return room;
}

const registration = {
  type: 'identity/register',
  name: 'ada',
  sealKey: ada.sealKey,
  addresses: { url: 'http://127.0.0.1:1', udp: { host: '127.0.0.1', port: 1 } },
} as const;

describe('the ledger room', () => {
  test('takes transactions, answers state, ranges in pages, head and events', async () => {
    const { client, peer } = connect((await startRoom()).port);
    expect(await client.read(keys.identity(ada.edgeId))).toBeUndefined();
    const events: LedgerEvent[] = [];
    const following = client.onEvent(undefined, (event) => void events.push(event));
    cleanUp.push(() => following.close());
    expect(resultOf(await client.submit(await client.prepare(registration)))).toEqual({ balance: 1000 });
    expect(await client.read(keys.identity(ada.edgeId))).toMatchObject({ name: 'ada', sealKey: ada.sealKey });
    const all = await client.range('account/');
    expect(all.map(([, value]) => value)).toEqual([{ balance: 1000 }, { balance: 1000 }]);
    const page = (await peer.call({ path: '/ledger/v1/range?prefix=account/&limit=1' })).json();
    expect(page).toEqual({ entries: all.slice(0, 1), next: all[0]?.[0] });
    expect((await client.head()).height).toBe(1n);
    while (events.length === 0) await sleep(5);
    expect(events).toMatchObject([{ type: 'identity/registered', height: 1 }]);
  });

  test('refuses what is malformed with a clear error and goes on', async () => {
    const { client, peer } = connect((await startRoom()).port);
    const post = (body: string, type = 'application/json') =>
      peer.call({
        method: 'POST',
        path: '/ledger/v1/tx',
        body: Buffer.from(body),
        headers: { 'content-type': type },
      });
    expect((await post('{"kind":')).status).toBe(400);
    expect((await post('{"kind":"x"}')).status).toBe(400);
    expect((await post(JSON.stringify({ kind: 'x'.repeat(2 << 20) }))).status).toBe(413);
    expect((await peer.call({ path: '/ledger/v1/range?prefix=account' })).status).toBe(400);
    expect((await peer.call({ path: '/ledger/v1/events?from=yesterday' })).status).toBe(400);
    expect((await peer.call({ path: '/ledger/v1/events?from=999999999999-000000' })).status).toBe(409);
    expect((await peer.call({ path: '/ledger/v1/state/account/nobody' })).status).toBe(404);
    const tx = await client.prepare(registration);
    const forged = { ...tx, by: ben.edgeId };
    expect(await client.submit(forged)).toMatchObject({ ok: false, code: 'unauthenticated' });
    const ready = await peer.call({ path: '/api/v3/ready' });
    expect(ready.status).toBe(200);
  });

  test('stops while somebody waits for events', async () => {
    const room = await startRoom();
    const { client } = connect(room.port);
    const waiting = client.events(undefined, 20_000);
    await sleep(50);
    await room.stop();
    expect(await waiting).toEqual([]);
  });
});

async function startProcess(port: number): Promise<ChildProcess> {
  const main = join(import.meta.dirname, 'main.ts');
  const child = spawn('node', [main], {
    stdio: 'ignore',
    env: {
      PATH: process.env['PATH'],
      ANTIRIO_LEDGER_PORT: String(port),
      ANTIRIO_LEDGER_DATA_DIR: dir,
      ANTIRIO_LEDGER_GENESIS: JSON.stringify(genesis),
    },
  });
  cleanUp.push(() => void child.kill('SIGKILL'));
  const { peer } = connect(port);
  for (;;) {
    const answer = await peer.call({ path: '/api/v3/ready' }).catch(() => undefined);
    if (answer?.status === 200) return child;
    await sleep(20);
  }
}

async function killed(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}

test('a ledger that is killed in the middle of its work has all that it acknowledged, and only whole transactions', async () => {
  const port = await freePort();
  let child = await startProcess(port);
  const { client } = connect(port);
  await client.submit(await client.prepare(registration));
  let acknowledged = 0;
  let sent = 0;
  for (const afterMs of [30, 80, 15]) {
    const { height } = await client.head();
    let alive = true;
    const pay = async (): Promise<void> => {
      while (alive) {
        const tx = await client
          .prepare({ type: 'account/transfer', to: ben.edgeId, amount: 1 })
          .catch(() => undefined);
        if (tx === undefined) return;
        sent += 1;
        const receipt = await client.submit(tx).catch(() => undefined);
        if (receipt?.ok === true) acknowledged += 1;
      }
    };
    const paying = Promise.all([pay(), pay(), pay(), pay()]);
    await sleep(afterMs);
    await killed(child);
    alive = false;
    await paying;
    child = await startProcess(port);
    expect((await client.head()).height >= height).toBe(true);
    const balance = (await client.read(keys.account(ben.edgeId)))?.balance ?? 0;
    expect(balance - 1000).toBeGreaterThanOrEqual(acknowledged);
    expect(balance - 1000).toBeLessThanOrEqual(sent);
  }
  const state = new MemoryState();
  const genesisRecord = await client.query('genesis');
  state.apply([['genesis', genesisRecord], ...(await client.range('account/'))]);
  expect(invariantProblems(state)).toEqual([]);
  await killed(child);
});
