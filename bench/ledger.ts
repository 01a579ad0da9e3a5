import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemRandom } from '@antirio/host';
import { generateIdentity, openIdentity, type Identity } from '@antirio/kernel';
import type { CometLedger } from '@antirio/ledger-cometbft';
import { startFederation, type Member } from '@antirio/ledger-cometbft/testing';
import { genesis, signTx, type SignedTx } from '@antirio/ledger-machine';
import { findCometbft } from '@antirio/testing/cometbft-program';
import { freePort } from '@antirio/testing/free-port';
import { BenchError, type Benchmark, type BenchPorts } from './benchmark.ts';
import { monotonic } from './clock.ts';
import { figureOf, type Figure } from './figure.ts';

const MEMBERS = 4;
const FAR_AHEAD = 50_000;

const [arbitrator, payer] = [openIdentity(generateIdentity()), openIdentity(generateIdentity())];

const start = genesis.parse({
  arbitrator: arbitrator.edgeId,
  balances: { [arbitrator.edgeId]: 1000, [payer.edgeId]: 1_000_000 },
});

function registration(edge: Identity): SignedTx {
  const addresses = { url: 'http://127.0.0.1:1', udp: { host: '127.0.0.1', port: 1 } };
  const { sealKey } = edge;
  return signTx(edge, systemRandom, FAR_AHEAD, {
    type: 'identity/register',
    name: 'edge',
    sealKey,
    addresses,
  });
}

const transfer = (): SignedTx =>
  signTx(payer, systemRandom, FAR_AHEAD, { type: 'account/transfer', to: arbitrator.edgeId, amount: 1 });

async function commit(ledger: CometLedger, tx: SignedTx): Promise<number> {
  const from = monotonic();
  const receipt = await ledger.submit(tx);
  if (!receipt.ok) throw new BenchError(`refused: ${receipt.message}`);
  return monotonic() - from;
}

async function* measured(ledger: CometLedger, { options, signal }: BenchPorts): AsyncIterable<Figure> {
  const context = { members: MEMBERS, timeoutCommitMs: 100 };
  for (const edge of [arbitrator, payer]) await commit(ledger, registration(edge));
  const values: number[] = [];
  for (let i = 0; i < (options.quick ? 10 : 100) && !signal.aborted; i++)
    values.push(await commit(ledger, transfer()));
  yield figureOf({ figure: 'ledger.federation.commit', unit: 'ms', values, context });
  const rates: number[] = [];
  for (let run = 0; run < (options.quick ? 1 : 5) && !signal.aborted; run++) {
    const txs = Array.from({ length: options.quick ? 50 : 500 }, transfer);
    const from = monotonic();
    await Promise.all(txs.map((tx) => commit(ledger, tx)));
    rates.push((txs.length * 1000) / (monotonic() - from));
  }
  yield figureOf({
    figure: 'ledger.federation.rate',
    unit: 'transactions/s',
    values: rates,
    better: 'more',
    context,
  });
}

/** A federation on this machine. Nothing where no CometBFT was built. */
export const ledger: Benchmark = {
  name: 'ledger.federation',
  about: 'what a transaction takes that four CometBFT nodes agree on (needs tools/cometbft/build)',
  withinS: () => 240,
  async *run(ports) {
    const program = findCometbft();
    if (program === undefined) {
      ports.say('no CometBFT: run tools/cometbft/build');
      return;
    }
    const folder = mkdtempSync(join(tmpdir(), 'bench-ledger-'));
    let members: readonly Member[] = [];
    try {
      const addresses = [];
      for (let i = 0; i < MEMBERS; i++) addresses.push({ p2p: await freePort(), rpc: await freePort() });
      members = await startFederation(program, folder, start, addresses);
      const client = members[0]?.connect();
      if (client === undefined) throw new BenchError('there is no federation');
      yield* measured(client, ports);
      client.close();
    } finally {
      await Promise.all(members.map((member) => member.kill()));
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
