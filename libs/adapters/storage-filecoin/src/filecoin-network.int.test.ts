import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from '@jest/globals';
import { silentLog, systemRandom } from '@antirio/host';
import { storageNetworkCompliance, type OpenedNetwork } from '@antirio/storage-network/compliance';
import { openTestWay } from '@antirio/storage-network/testing';
import { openFilecoinNetwork } from './filecoin-network.ts';
import { TestChain } from './test-chain.ts';
import { TestProvider } from './test-provider.ts';

const times = { callMs: 5000, idleMs: 20_000, pollMs: 20, confirmMs: 20_000 };

/** One provider behind the way, and a chain. */
async function open(folder: string): Promise<OpenedNetwork> {
  const chain = await TestChain.open();
  let way: Awaited<ReturnType<typeof openTestWay>> | undefined;
  const provider = await TestProvider.open(chain, join(folder, 'provider'), async (url) => {
    way = await openTestWay(url);
    return way.url;
  });
  const keyFile = join(folder, 'key');
  writeFileSync(keyFile, randomBytes(32).toString('hex'));
  const network = await openFilecoinNetwork({
    settings: { chain: 'calibration', rpcUrl: chain.url, keyFile },
    folder: join(folder, 'state'),
    random: systemRandom,
    log: silentLog,
    times,
  });
  return {
    network,
    ...(way === undefined ? {} : { way }),
    collect: () => provider.collect(),
    async close() {
      await network.close();
      await way?.close();
      await provider.close();
      await chain.close();
    },
  };
}

storageNetworkCompliance({
  name: 'filecoin',
  open,
  test,
  available: true,
  putFaults: ['stall', 'redirect', 'full', 'error', 'reset', 'down'],
  getFaults: ['lie', 'stall', 'redirect', 'endless', 'error', 'reset', 'down'],
  held: 'replicated',
  leavesOut: true,
  largeBytes: 6_000_000,
  flatBytes: 65_000_000,
});
