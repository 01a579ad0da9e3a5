import { join } from 'node:path';
import { findKubo, NO_KUBO, startKubo, testWhen } from '@antirio/testing';
import { systemClock, systemRandom } from '@antirio/host';
import { kuboNetwork } from './kubo-network.ts';
import { storageNetworkCompliance, type OpenedNetwork } from './storage-network-compliance.ts';
import { openTestWay } from './test-way.ts';

const program = findKubo();

async function open(folder: string): Promise<OpenedNetwork> {
  const kubo = await startKubo(String(program), join(folder, 'kubo'));
  const full = {
    status: 500,
    body: '{"Message":"write /blocks/X3/put-1: no space left on device","Code":0,"Type":"error"}',
  };
  const way = await openTestWay(kubo.url, { full });
  const network = kuboNetwork({
    apiUrls: [way.url],
    folder: join(folder, 'names'),
    owner: 'edge-a',
    clock: systemClock,
    random: systemRandom,
    idleMs: 1500,
  });
  return {
    network,
    way,
    collect: async () => {
      kubo.ipfs('repo', 'gc', '--quiet');
    },
    async close() {
      await network.close();
      await way.close();
      await kubo.stop();
    },
  };
}

storageNetworkCompliance({
  name: 'kubo',
  open,
  test: testWhen(program !== undefined, NO_KUBO),
  available: program !== undefined,
  putFaults: ['stall', 'redirect', 'endless', 'full', 'error', 'reset', 'down'],
  getFaults: ['lie', 'stall', 'redirect', 'endless', 'error', 'reset', 'down'],
  held: 'replicated',
  leavesOut: true,
});
