import { join } from 'node:path';
import { test } from '@jest/globals';
import { findKubo, kuboTest, startKubo } from '@antirio/testing';
import { systemClock, systemRandom } from '@antirio/host';
import { kuboNetwork } from './kubo-network.ts';
import {
  storageNetworkCompliance,
  type NetworkCandidate,
  type OpenedNetwork,
} from './storage-network-compliance.ts';
import { TestKubo } from './test-kubo.ts';
import { openTestWay } from './test-way.ts';

const program = findKubo();

interface Node {
  readonly url: string;
  collect(): Promise<void>;
  close(): Promise<void>;
}

async function realKubo(folder: string): Promise<Node> {
  const kubo = await startKubo(String(program), folder);
  const collect = async (): Promise<void> => {
    kubo.ipfs('repo', 'gc', '--quiet');
  };
  return { url: kubo.url, collect, close: () => kubo.stop() };
}

async function open(folder: string, start: (folder: string) => Promise<Node>): Promise<OpenedNetwork> {
  const node = await start(join(folder, 'kubo'));
  const full = {
    status: 500,
    body: '{"Message":"write /blocks/X3/put-1: no space left on device","Code":0,"Type":"error"}',
  };
  const way = await openTestWay(node.url, { full });
  const network = kuboNetwork({
    apiUrls: [way.url],
    folder: join(folder, 'names'),
    owner: 'edge-a',
    clock: systemClock,
    random: systemRandom,
    idleMs: 8000,
  });
  return {
    network,
    way,
    collect: () => node.collect(),
    async close() {
      await network.close();
      await way.close();
      await node.close();
    },
  };
}

const traits: Pick<NetworkCandidate, 'putFaults' | 'getFaults' | 'held' | 'leavesOut'> = {
  putFaults: ['stall', 'redirect', 'endless', 'full', 'error', 'reset', 'down'],
  getFaults: ['lie', 'stall', 'redirect', 'endless', 'error', 'reset', 'down'],
  held: 'replicated',
  leavesOut: true,
};

storageNetworkCompliance({
  ...traits,
  name: 'kubo',
  open: (folder) => open(folder, realKubo),
  test: kuboTest,
  available: program !== undefined,
});

storageNetworkCompliance({
  ...traits,
  name: 'kubo, by the recorded shapes of its RPC',
  open: (folder) => open(folder, (inside) => TestKubo.open(inside)),
  test,
  available: true,
  largeBytes: 5_000_000,
  flatBytes: 60_000_000,
});
