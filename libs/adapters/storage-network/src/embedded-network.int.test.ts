import { join } from 'node:path';
import { test } from '@jest/globals';
import { createGateway, openBlockStore, urlProvider, type BlockStore } from '@antirio/content-store';
import { createHttpRim, silentLog, systemClock, systemRandom } from '@antirio/host';
import { embeddedNetwork } from './embedded-network.ts';
import { storageNetworkCompliance, type OpenedNetwork } from './storage-network-compliance.ts';
import type { Dag, StorageRef } from './storage-network.ts';
import { openTestWay } from './test-way.ts';

/** Two edges: the network's store, and another edge that gives its blocks over the way. */
async function open(folder: string): Promise<OpenedNetwork & { theirs: BlockStore }> {
  const store = await openBlockStore({ folder: join(folder, 'ours'), clock: systemClock });
  const theirs = await openBlockStore({ folder: join(folder, 'theirs'), clock: systemClock });
  const rim = createHttpRim({
    serviceKey: 'gateway',
    version: '0',
    config: () => ({}),
    health: () => ({}),
    log: silentLog,
    clock: systemClock,
  });
  rim.app.use('/ipfs', createGateway(theirs));
  const way = await openTestWay(`http://127.0.0.1:${await rim.listen(0, '127.0.0.1')}`);
  const network = embeddedNetwork({
    store,
    self: '/p2p/ours',
    random: systemRandom,
    open: (names) => {
      const providers = names.map((name) => urlProvider(name, name));
      return { providers, close: () => providers.forEach((each) => each.close()) };
    },
    blockTimeoutMs: 1000,
  });
  const hold = async (name: string, dag: Dag): Promise<StorageRef> => {
    for await (const block of dag.blocks()) await theirs.put(block);
    await theirs.pin(name, dag.root);
    return { cid: dag.root, bytes: dag.bytes, providers: [way.url] };
  };
  return {
    network,
    way,
    theirs,
    hold,
    collect: async () => {
      await store.collect();
    },
    async close() {
      await network.close();
      await way.close();
      await rim.close();
      await store.close();
      await theirs.close();
    },
  };
}

storageNetworkCompliance({
  name: 'embedded',
  open,
  test,
  available: true,
  putFaults: [],
  getFaults: ['lie', 'stall', 'redirect', 'endless', 'error', 'reset', 'down'],
  held: 'stored',
  leavesOut: false,
});
