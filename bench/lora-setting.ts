import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundle, nodeFlags } from '@antirio/bundle';
import {
  claimOffsets,
  createProcesses,
  portOf,
  startWarden,
  UDP_PORTS,
  type OwnProcess,
} from '@antirio/demo';
import { BenchError } from './benchmark.ts';
import type { Fleet } from './lora-motes.ts';
import { openPinning, type Cores } from './pinned.ts';
import { healthy, monotonic } from './setting.ts';

const ROOMS = ['broker', 'core-metadata', 'core-data', 'gateway-bridge', 'device-lora'] as const;
const HTTP = ['coreMetadata', 'coreData', 'gatewayBridge', 'deviceLora'] as const;

/** From the radio to the bus: all rooms that an uplink passes, bundled, in one process on one core. */
export interface RadioEdge {
  readonly process: OwnProcess;
  readonly coreData: string;
  readonly udpPort: number;
  readonly mqttPort: number;
  stop(): Promise<void>;
}

/** Where such processes run, one after the other; nothing of it outlives `close`. */
export interface RadioSetting {
  /** What runs on which core; undefined where nothing could be pinned. */
  readonly cores: Cores | undefined;
  /** Starts with an empty data folder, and resolves when all devices are registered. */
  start(fleet: Fleet, gatewayBridge?: Readonly<Record<string, unknown>>): Promise<RadioEdge>;
  close(): Promise<void>;
}

/** `moreFlags`: of Node, besides the product's, where a benchmark wants to look inside. */
export async function openRadioSetting(moreFlags: readonly string[] = []): Promise<RadioSetting> {
  const folder = mkdtempSync(join(tmpdir(), 'antirio-bench-lora-'));
  const { antirio } = await bundle({ outDir: join(folder, 'bundle'), only: ['antirio'] });
  if (antirio === undefined) throw new BenchError('the command could not be bundled');
  const claimed = await claimOffsets(1);
  const [offset = 0] = claimed.offsets;
  const logs = join(folder, 'logs');
  mkdirSync(logs);
  const processes = createProcesses(logs);
  const warden = await startWarden(processes, logs);
  const pinning = openPinning();
  const url = (room: (typeof HTTP)[number]): string => `http://127.0.0.1:${portOf(room, offset)}`;
  let edges = 0;
  return {
    cores: pinning.cores,
    async start({ devices, sessions }, gatewayBridge = {}) {
      edges += 1;
      const dataDir = join(folder, `edge-${edges}`);
      mkdirSync(dataDir);
      const secretsFile = join(dataDir, 'secrets.json');
      writeFileSync(secretsFile, JSON.stringify({ keyVersion: 1, sessions }), { mode: 0o600 });
      const config = { logLevel: 'warn', gatewayBridge, deviceLora: { secretsFile, devices } };
      writeFileSync(join(dataDir, 'antirio.jsonc'), JSON.stringify(config), { mode: 0o600 });
      const startedAt = monotonic();
      const where = ['--data-dir', dataDir, '--port-offset', String(offset), '--json'];
      const args = [...nodeFlags, ...moreFlags, antirio, 'serve', ...ROOMS, ...where];
      const own = await processes.start({ name: `edge-${edges}`, args });
      pinning.measure(own.pid);
      await healthy(HTTP.map(url), own, startedAt);
      return {
        process: own,
        coreData: url('coreData'),
        udpPort: UDP_PORTS.gateway + offset,
        mqttPort: portOf('broker', offset),
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
      pinning.release();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
