import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fixedChunker, importFile, openBlockStore, type BlockStore } from '@antirio/content-store';
import { silentLog, systemClock, systemRandom, type Log } from '@antirio/host';
import { dagOf, type Dag } from '@antirio/storage-network';
import {
  openFilecoinNetwork,
  type FilecoinNetwork,
  type FilecoinNetworkOptions,
} from './filecoin-network.ts';
import { TestChain } from './test-chain.ts';
import { TestProvider } from './test-provider.ts';

/** Short where something is waited for, long where a busy machine could be late. */
export const testTimes = { callMs: 10_000, idleMs: 10_000, pollMs: 10, confirmMs: 10_000 };

/** A chain, providers, and edges with a key of one payer. */
export class TestSetting {
  readonly folder = mkdtempSync(join(tmpdir(), 'antirio-filecoin-'));
  readonly keyFile = join(this.folder, 'key');
  readonly key = randomBytes(32).toString('hex');
  readonly providers: TestProvider[] = [];
  readonly #networks: FilecoinNetwork[] = [];
  chain!: TestChain;
  store!: BlockStore;

  static async open(providers = 1): Promise<TestSetting> {
    const setting = new TestSetting();
    writeFileSync(setting.keyFile, `${setting.key}\n`);
    setting.chain = await TestChain.open();
    setting.store = await openBlockStore({ folder: join(setting.folder, 'blocks'), clock: systemClock });
    for (let i = 0; i < providers; i++)
      setting.providers.push(await TestProvider.open(setting.chain, join(setting.folder, `provider-${i}`)));
    return setting;
  }

  get provider(): TestProvider {
    return this.providers[0] as TestProvider;
  }

  /** The same edge again where the name is the same. */
  async network(
    name = 'edge',
    settings: Record<string, unknown> = {},
    more: Partial<FilecoinNetworkOptions> & { log?: Log } = {},
  ): Promise<FilecoinNetwork> {
    const { chain, keyFile } = this;
    const network = await openFilecoinNetwork({
      settings: { chain: 'calibration', rpcUrl: chain.url, keyFile, ...settings },
      folder: join(this.folder, name),
      random: systemRandom,
      log: silentLog,
      times: testTimes,
      removeEveryMs: 50,
      ...more,
    });
    this.#networks.push(network);
    return network;
  }

  async dag(size = 200_000): Promise<Dag> {
    const bytes = randomBytes(size);
    async function* parts(): AsyncGenerator<Uint8Array> {
      yield bytes;
    }
    const { cid } = await importFile(this.store, parts(), { chunker: fixedChunker(20_000) });
    return dagOf(this.store, cid);
  }

  async close(): Promise<void> {
    for (const network of this.#networks) await network.close();
    for (const provider of this.providers) await provider.close();
    await this.chain.close();
    await this.store.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
