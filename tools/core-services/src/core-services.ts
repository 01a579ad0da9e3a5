import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { claimOffsets, portOf } from '@antirio/demo';
import { startProgram, type Program } from './program.ts';

const workspaceRoot = join(import.meta.dirname, '../../..');
const PATIENCE_MS = 60_000;

const ROOMS = {
  'core-keeper': 'coreKeeper',
  'core-metadata': 'coreMetadata',
  'core-data': 'coreData',
  'core-command': 'coreCommand',
} as const;
export type CoreService = keyof typeof ROOMS;
export const CORE_SERVICES = Object.keys(ROOMS) as CoreService[];

export interface CoreServices {
  /** For logs and whatever goes with them; `end` removes it where all went well. */
  readonly folder: string;
  readonly mqttPort: number;
  portOf(service: CoreService): number;
  /** `http://127.0.0.1:<port>` */
  urlOf(service: CoreService): string;
  /** Until each of them says that it is ready. */
  start(): Promise<void>;
  /** SIGKILL; what is on the disk stays. */
  kill(): Promise<void>;
  isRunning(): boolean;
  lastWords(): string;
  end(wentWell: boolean): Promise<void>;
}

/** EdgeX's four core services and the message broker in a process of their own, on free ports, in a new folder. */
export async function createCoreServices(env: Readonly<Record<string, string>> = {}): Promise<CoreServices> {
  const claimed = await claimOffsets(1);
  const [offset = 0] = claimed.offsets;
  const folder = mkdtempSync(join(tmpdir(), 'antirio-core-'));
  mkdirSync(join(folder, 'data'));
  let program: Program | undefined;
  const urlOf = (service: CoreService): string => `http://127.0.0.1:${portOf(ROOMS[service], offset)}`;
  const isRunning = (): boolean => program?.isRunning() === true;
  const lastWords = (): string => program?.lastWords() ?? '';

  const isReady = async (service: CoreService): Promise<boolean> => {
    try {
      const answer = await fetch(`${urlOf(service)}/api/v3/ready`, { signal: AbortSignal.timeout(2000) });
      await answer.body?.cancel();
      return answer.ok;
    } catch {
      return false;
    }
  };
  return {
    folder,
    mqttPort: portOf('broker', offset),
    portOf: (service) => portOf(ROOMS[service], offset),
    urlOf,
    isRunning,
    lastWords,
    async start() {
      program = startProgram({
        command: 'node',
        args: [
          join(workspaceRoot, 'apps/edge/src/main.ts'),
          ...['serve', 'broker', ...CORE_SERVICES],
          ...['--data-dir', join(folder, 'data'), '--port-offset', String(offset), '--log-level', 'warn'],
        ],
        log: join(folder, 'core.log'),
        env,
      });
      const end = performance.now() + PATIENCE_MS;
      while (!(await Promise.all(CORE_SERVICES.map(isReady))).every(Boolean)) {
        if (!isRunning() || performance.now() > end) throw new Error(`not ready: ${lastWords()}`);
        await sleep(50);
      }
    },
    async kill() {
      await program?.end('SIGKILL');
    },
    async end(wentWell) {
      await program?.end();
      claimed.release();
      if (wentWell) rmSync(folder, { recursive: true, force: true });
    },
  };
}
