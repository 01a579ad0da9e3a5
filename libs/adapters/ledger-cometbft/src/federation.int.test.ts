import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { callJson, httpPeer, systemRandom } from '@antirio/host';
import { fromBase64, fromUtf8, generateIdentity, openIdentity } from '@antirio/kernel';
import { complianceGenesis, ledgerCompliance } from '@antirio/ledger-local/compliance';
import {
  EMPTY_STATE_HASH,
  MemoryState,
  genesisWrites,
  keys,
  nextStateHash,
  runBlock,
  signTx,
  signedTx,
  type SignedTx,
} from '@antirio/ledger-machine';
import { cometbftTest, findCometbft, freePort } from '@antirio/testing';
import { writeFederation, type FederationNode } from './federation-files.ts';
import type { CometLedger } from './index.ts';
import { reached, startFederation, type Member } from './federation.fixture.ts';

const LONG_MS = 240_000;
const ada = openIdentity(generateIdentity());
const ben = openIdentity(generateIdentity());

let folder: string;
let members: Member[] = [];
let ledgers: CometLedger[] = [];

beforeAll(async () => {
  const program = findCometbft();
  if (program === undefined) return;
  folder = mkdtempSync(join(tmpdir(), 'comet-'));
  const ports = [];
  for (let i = 0; i < 4; i++) ports.push({ p2p: await freePort(), rpc: await freePort() });
  members = await startFederation(program, folder, complianceGenesis, ports);
  ledgers = members.map((member) => member.connect());
}, LONG_MS);

afterAll(async () => {
  for (const ledger of ledgers) ledger.close();
  await Promise.all(members.map((member) => member.kill()));
  if (members.length > 0) rmSync(folder, { recursive: true });
});

const one = (): CometLedger => ledgers[0] as CometLedger;
const member = (i: number): Member => members[i] as Member;

if (findCometbft() === undefined) cometbftTest('a federation of four as a ledger', () => undefined);
else
  ledgerCompliance('a federation of four', () =>
    Promise.resolve({ ledger: one(), close: () => Promise.resolve() }),
  );

async function transfer(amount: number): Promise<SignedTx> {
  const { height } = await one().head();
  const request = { type: 'account/transfer', to: ben.edgeId, amount } as const;
  return signTx(ada, systemRandom, Number(height) + 1000, request);
}

async function register(): Promise<void> {
  for (const edge of [ada, ben]) {
    const addresses = { url: 'http://127.0.0.1:1', udp: { host: '127.0.0.1', port: 1 } };
    const { sealKey } = edge;
    const request = { type: 'identity/register', name: 'edge', sealKey, addresses } as const;
    await one().submit(signTx(edge, systemRandom, 1000, request));
  }
}

const bens = async (ledger: CometLedger): Promise<number | undefined> =>
  (await ledger.query<{ balance: number }>(keys.account(ben.edgeId)))?.balance;

/** The state hash of every member at a height that all have. */
async function hashesAt(height: number): Promise<(string | undefined)[]> {
  await Promise.all(members.map((each) => reached(each, height)));
  return Promise.all(ledgers.map((ledger) => ledger.stateHashAt(height)));
}

const blockSchema = z.object({
  result: z.object({
    block: z.object({
      header: z.object({ time: z.string() }),
      data: z.object({ txs: z.array(z.string()).nullable() }),
    }),
  }),
});

/** CometBFT's own log, applied without it. */
async function replayed(upTo: number): Promise<string> {
  const peer = httpPeer({ url: member(0).rpcUrl });
  const state = new MemoryState();
  const writes = genesisWrites(state, complianceGenesis);
  state.apply(writes);
  let hash = nextStateHash(EMPTY_STATE_HASH, writes);
  for (let height = 1; height <= upTo; height++) {
    const { block } = blockSchema.parse(await callJson(peer, { path: `/block?height=${height}` })).result;
    const txs = (block.data.txs ?? []).map((tx) => signedTx.parse(JSON.parse(fromUtf8(fromBase64(tx)))));
    const run = runBlock(state, txs, { now: Date.parse(block.header.time), height }, hash);
    state.apply(run.writes);
    hash = run.stateHash;
  }
  peer.close();
  return hash;
}

describe('a federation of four', () => {
  cometbftTest(
    'has one state hash at every member, which is that of the same log without a federation',
    async () => {
      await register();
      const { height } = await one().submit(await transfer(1));
      const hashes = await hashesAt(height);
      expect(new Set(hashes).size).toBe(1);
      expect(hashes[0]).toBe(await replayed(height));
    },
    LONG_MS,
  );

  cometbftTest(
    'goes on without one whose application is killed, which then catches up',
    async () => {
      const before = await bens(one());
      const txs = await Promise.all([1, 2, 3].map(transfer));
      // It dies in the middle of a block, or between two.
      const receipts = Promise.all(txs.map((tx) => one().submit(tx)));
      await member(3).killApplication();
      expect((await receipts).map(({ ok }) => ok)).toEqual([true, true, true]);
      await member(3).start();
      const { height } = await one().submit(await transfer(4));
      expect(new Set(await hashesAt(height)).size).toBe(1);
      expect(await bens(ledgers[3] as CometLedger)).toBe((before ?? 0) + 10);
    },
    LONG_MS,
  );

  cometbftTest(
    'halts without a receipt where two of four are killed, one with all that its application had, and goes on when they are back',
    async () => {
      const before = (await bens(one())) ?? 0;
      await Promise.all([member(2).killNode(), member(3).kill()]);
      rmSync(join(member(3).home, 'application'), { recursive: true });
      const hasty = member(0).connect(1500);
      const tx = await transfer(100);
      await expect(hasty.submit(tx)).rejects.toMatchObject({ code: 'timeout' });
      hasty.close();
      const { height } = await one().head();
      expect(await bens(one())).toBe(before);
      member(2).startNode();
      await member(3).start();
      const receipt = await one().submit(tx);
      expect(receipt).toMatchObject({ ok: true });
      expect(BigInt(receipt.height)).toBeGreaterThan(height);
      expect(new Set(await hashesAt(receipt.height)).size).toBe(1);
      expect(await bens(one())).toBe(before + 100);
    },
    LONG_MS,
  );
});

test('every node of a new federation has keys of its own, which nobody else on the machine may read', () => {
  const home = mkdtempSync(join(tmpdir(), 'comet-homes-'));
  const nodes = Object.fromEntries(
    ['a', 'b', 'c', 'd'].map((name, i): [string, FederationNode] => [
      name,
      {
        home: join(home, name),
        dialled: `127.0.0.1:${i}`,
        p2pLaddr: 'tcp://127.0.0.1:0',
        rpcLaddr: 'tcp://127.0.0.1:0',
        proxyApp: `unix://${home}/${name}.sock`,
      },
    ]),
  );
  writeFederation({ nodes, chainId: 'x', genesisTime: '2026-01-01T00:00:00Z', ledger: complianceGenesis });
  const secrets = ['config/node_key.json', 'config/priv_validator_key.json'].flatMap((name) =>
    Object.values(nodes).map((node) => join(node.home, name)),
  );
  expect(new Set(secrets.map((file) => readFileSync(file, 'utf8'))).size).toBe(8);
  for (const file of secrets) expect(statSync(file).mode & 0o777).toBe(0o600);
  rmSync(home, { recursive: true });
});
