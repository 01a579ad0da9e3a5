import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundle, nodeFlags } from '@antirio/bundle';
import { claimOffsets, createProcesses, portOf, startWarden, type OwnProcess } from '@antirio/demo';
import { BenchError } from './benchmark.ts';
import { healthy } from './bundled.ts';
import { monotonic } from './clock.ts';

const SERVICES = ['core-keeper', 'core-metadata', 'core-data', 'core-command'] as const;
const KEYS = {
  'core-keeper': 'coreKeeper',
  'core-metadata': 'coreMetadata',
  'core-data': 'coreData',
  'core-command': 'coreCommand',
} as const;
type Service = (typeof SERVICES)[number];

/** The four EdgeX core services and the broker, bundled, in one process. */
export interface CoreServices {
  readonly process: OwnProcess;
  url(service: Service): string;
  stop(): Promise<void>;
}

/** Where they run, one time after the other; nothing of it outlives `close`. */
export interface CoreSetting {
  /** A new, empty data folder. */
  newFolder(): string;
  start(dataDir: string): Promise<CoreServices>;
  close(): Promise<void>;
}

export async function openCoreSetting(): Promise<CoreSetting> {
  const folder = mkdtempSync(join(tmpdir(), 'antirio-bench-core-'));
  const { antirio } = await bundle({ outDir: join(folder, 'bundle'), only: ['antirio'] });
  if (antirio === undefined) throw new BenchError('the command could not be bundled');
  const claimed = await claimOffsets(1);
  const [offset = 0] = claimed.offsets;
  const logs = join(folder, 'logs');
  mkdirSync(logs);
  const processes = createProcesses(logs);
  const warden = await startWarden(processes, logs);
  const url = (service: Service): string => `http://127.0.0.1:${portOf(KEYS[service], offset)}`;
  let folders = 0;
  return {
    newFolder() {
      folders += 1;
      return join(folder, `data-${folders}`);
    },
    async start(dataDir) {
      const startedAt = monotonic();
      const where = ['--data-dir', dataDir, '--port-offset', String(offset), '--json'];
      const args = [...nodeFlags, antirio, 'serve', 'broker', ...SERVICES, ...where];
      const own = await processes.start({ name: `core-${folders}`, args });
      await healthy(SERVICES.map(url), own, startedAt);
      return {
        process: own,
        url,
        async stop() {
          own.signal('SIGTERM');
          await own.ended;
        },
      };
    },
    async close() {
      await processes.stopAll();
      warden.dismiss();
      claimed.release();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
