import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Check, Log } from '@antirio/host';
import { serveAbci, type AbciAddress } from './abci-server.ts';
import { LedgerApplication } from './application.ts';
import { Snapshots } from './snapshots.ts';
import { StateStore, type AppHead } from './state-store.ts';

export interface OpenApplicationOptions {
  /** What it keeps is below it. */
  readonly folder: string;
  readonly address: AbciAddress;
  /** How many of the newest events can be read again. */
  readonly eventsKept: number;
  /** Blocks from one snapshot to the next; 0: none are taken. */
  readonly snapshotEvery: number;
  readonly log: Log;
}

/** The application, at a socket where a CometBFT node finds it. */
export interface OpenApplication {
  readonly port: number;
  readonly head: AppHead;
  health(): Check;
  close(): Promise<void>;
}

/** @throws AntirioError corrupt where the folder does not hold the state that it says; unavailable */
export async function openApplication(options: OpenApplicationOptions): Promise<OpenApplication> {
  const { folder, address, eventsKept, snapshotEvery: every, log } = options;
  mkdirSync(folder, { recursive: true });
  const store = new StateStore(join(folder, 'ledger.db'), eventsKept);
  const snapshots = new Snapshots({ folder: join(folder, 'snapshots'), every, log });
  const application = new LedgerApplication({ store, snapshots, log });
  const closeStore = async (): Promise<void> => {
    await snapshots.close();
    store.close();
  };
  try {
    const server = await serveAbci(application, address, log);
    return {
      port: server.port,
      get head() {
        return application.head;
      },
      health: () =>
        application.halted === undefined ? { ok: true } : { ok: false, detail: application.halted.message },
      async close() {
        await server.close();
        await closeStore();
      },
    };
  } catch (error) {
    await closeStore();
    throw error;
  }
}
