import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SimulatorConfigInput } from './config.ts';
import type { Device } from './devices.ts';
import type { NetworkServer } from './network-server.test-support.ts';
import type { Truth } from './read-truth.ts';
import type { Simulator } from './simulator.ts';
import { isOtaa } from './devices.ts';
import { openNetworkServer } from './network-server.test-support.ts';
import { readTruth } from './read-truth.ts';
import { createSimulator } from './simulator.ts';
import { openTruthLog } from './truth.ts';

export const GATEWAY_A = '00000000aabbccdd';
export const GATEWAY_B = '00000000aabbccee';
export const noAttack = { retransmission: 0, replay: 0, bitflip: 0, foreign: 0 };

/** A simulator, a network server, and a folder for the truth. */
export interface Surroundings {
  readonly server: NetworkServer;
  /** One gateway without loss, four motes each second, unless told otherwise. */
  open(config: Partial<SimulatorConfigInput>): Promise<Simulator>;
  /** Closes the simulator and reads what it did. */
  truthOf(running: Simulator): Promise<Truth>;
  close(): void;
}

export async function openSurroundings(): Promise<Surroundings> {
  const folder = mkdtempSync(path.join(tmpdir(), 'simulator-'));
  const logFile = path.join(folder, 'truth.jsonl');
  const server = await openNetworkServer();
  let simulator: Simulator | undefined;
  return {
    server,
    async open(config) {
      const gateways = [{ id: GATEWAY_A, port: server.port, loss: 0 }];
      simulator = await createSimulator(
        { seed: 'int', motes: 4, periodMs: 1_000, gateways, ...config },
        { truth: openTruthLog(logFile) },
      );
      return simulator;
    },
    async truthOf(running) {
      running.close();
      return readTruth(logFile);
    },
    close() {
      simulator?.close();
      server.close();
      rmSync(folder, { recursive: true });
    },
  };
}

export const abpOf = (running: Simulator): Device[] =>
  running.devices.flatMap((device) => (isOtaa(device) ? [] : [device]));

export const isUplinks =
  ({ datagrams }: NetworkServer, count: number): (() => boolean) =>
  () =>
    datagrams.flatMap(({ body }) => body.rxpk ?? []).length >= count;

/** Waits half a minute at most. */
export async function poll(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new TypeError('what was waited for did not come');
    await sleep(10);
  }
}
