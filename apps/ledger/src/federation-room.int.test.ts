import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { httpPeer, silentLog, systemClock, systemRandom, waitFor, type HttpPeer } from '@antirio/host';
import { writeFederation } from '@antirio/ledger-cometbft/federation';
import { createLedgerClient, resultOf } from '@antirio/ledger-http';
import { generateIdentity, openIdentity } from '@antirio/kernel';
import { genesis, keys, type LedgerEvent } from '@antirio/ledger-machine';
import { cometbftTest, findCometbft, freePort } from '@antirio/testing';
import {
  createLedger,
  createLedgerApp,
  ledgerAppOptions,
  ledgerOptions,
  type LedgerAppRoom,
  type LedgerRoom,
} from './index.ts';

const central = openIdentity(generateIdentity());
const ada = openIdentity(generateIdentity());
const start = genesis.parse({ arbitrator: central.edgeId, balances: { [ada.edgeId]: 1000 } });
const ports = { clock: systemClock, log: silentLog };

let dir: string;
let cleanUp: (() => Promise<void> | void)[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ledger-federation-'));
  cleanUp = [];
});

afterEach(async () => {
  for (const clean of cleanUp.reverse()) await clean();
  rmSync(dir, { recursive: true });
});

async function startApp(options: object = {}): Promise<LedgerAppRoom> {
  const room = createLedgerApp(
    ledgerAppOptions.parse({ port: 0, abciPort: 0, dataDir: dir, ...options }),
    ports,
  );
  cleanUp.push(() => room.stop());
  await room.start();
  return room;
}

async function startNode(abciPort: number): Promise<string> {
  const [p2p, rpc] = [await freePort(), await freePort()];
  const home = join(dir, 'node');
  const addresses = { dialled: `127.0.0.1:${p2p}`, p2pLaddr: `tcp://127.0.0.1:${p2p}` };
  const proxyApp = `tcp://127.0.0.1:${abciPort}`;
  writeFederation({
    nodes: { alone: { home, ...addresses, rpcLaddr: `tcp://127.0.0.1:${rpc}`, proxyApp } },
    chainId: 'antirio-room',
    genesisTime: new Date(systemClock.now()).toISOString(),
    ledger: start,
  });
  const child: ChildProcess = spawn(findCometbft() ?? '', ['start', '--home', home], { stdio: 'ignore' });
  const gone = new Promise((resolve) => child.once('exit', resolve));
  cleanUp.push(async () => {
    child.kill('SIGKILL');
    await gone;
  });
  return `http://127.0.0.1:${rpc}`;
}

function connect(port: number): HttpPeer {
  const peer = httpPeer({ url: `http://127.0.0.1:${port}` });
  cleanUp.push(() => peer.close());
  return peer;
}

async function startLedger(rpcUrl: string): Promise<LedgerRoom> {
  const engine = { kind: 'cometbft', rpcUrls: [rpcUrl] };
  const room = createLedger(ledgerOptions.parse({ port: 0, dataDir: dir, engine }), ports);
  cleanUp.push(() => room.stop());
  await room.start();
  return room;
}

cometbftTest(
  'the ledger room speaks for a federation as for its own log: transactions, state, events and whose word it is',
  async () => {
    const app = await startApp();
    const room = await startLedger(await startNode(app.abciPort));
    const peer = connect(room.port);
    const isReady = async () => (await peer.call({ path: '/api/v3/ready' })).status === 200 || undefined;
    expect(await waitFor(systemClock, 60_000, isReady)).toBe(true);
    const client = createLedgerClient({
      peer,
      prefix: '',
      identity: ada,
      random: systemRandom,
      log: silentLog,
    });
    const events: LedgerEvent[] = [];
    const following = client.onEvent(undefined, (event) => void events.push(event));
    cleanUp.push(() => following.close());
    const addresses = { url: 'http://127.0.0.1:1', udp: { host: '127.0.0.1', port: 1 } };
    const { sealKey } = ada;
    const tx = await client.prepare({ type: 'identity/register', name: 'ada', sealKey, addresses });
    const receipt = await client.submit(tx);
    expect(resultOf(receipt)).toEqual({ balance: 1000 });
    expect(await client.submit(tx)).toEqual(receipt);
    expect(await client.read(keys.identity(ada.edgeId))).toMatchObject({ name: 'ada' });
    expect(await client.range('account/')).toHaveLength(1);
    expect((await peer.call({ path: '/ledger/v1/head' })).json()).toMatchObject({ finality: 'bft' });
    expect(await client.stateHashAt(receipt.height)).toBe((await client.head()).stateHash);
    await waitFor(systemClock, 60_000, () => events.length > 0 || undefined);
    expect(events).toMatchObject([{ type: 'identity/registered', height: receipt.height }]);
    const health = (await connect(app.port).call({ path: '/api/v3/ready' })).json();
    expect(JSON.stringify(health)).toMatch(/at block \d+/);
  },
);

test('a ledger whose federation does not answer says so, and refuses what it is asked', async () => {
  const room = await startLedger(`http://127.0.0.1:${await freePort()}`);
  const peer = connect(room.port);
  const ready = await peer.call({ path: '/api/v3/ready' });
  expect(ready.status).toBe(503);
  expect(JSON.stringify(ready.json())).toMatch(/no CometBFT node answers/);
  expect((await peer.call({ path: '/ledger/v1/head' })).status).toBe(503);
});

test('an application that would listen beyond this host is refused where nobody has said that it may', async () => {
  await expect(startApp({ abciBind: '0.0.0.0' })).rejects.toMatchObject({ code: 'badConfig' });
  expect((await startApp({ abciBind: '0.0.0.0', abciInsecureBind: true })).abciPort).toBeGreaterThan(0);
});
