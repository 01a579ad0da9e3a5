import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { portOf, UDP_PORTS, type OwnProcess } from '@antirio/demo';
import { configure, openBundled } from './bundled.ts';
import type { Fleet } from './lora-motes.ts';
import { openPinning, type Cores } from './pinned.ts';

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
  const bundled = await openBundled(1);
  const pinning = openPinning();
  let edges = 0;
  return {
    cores: pinning.cores,
    async start({ devices, sessions }, gatewayBridge = {}) {
      edges += 1;
      const place = bundled.place(`edge-${edges}`, 0);
      const secretsFile = join(place.folder, 'secrets.json');
      writeFileSync(secretsFile, JSON.stringify({ keyVersion: 1, sessions }), { mode: 0o600 });
      configure(place, { logLevel: 'warn', gatewayBridge, deviceLora: { secretsFile, devices } });
      const started = bundled.start(place, ['serve', ...ROOMS], HTTP, moreFlags);
      const { process, url, stop } = await started;
      pinning.measure(process.pid);
      return {
        process,
        coreData: url('coreData'),
        udpPort: UDP_PORTS.gateway + place.offset,
        mqttPort: portOf('broker', place.offset),
        stop,
      };
    },
    async close() {
      await bundled.close();
      pinning.release();
    },
  };
}
