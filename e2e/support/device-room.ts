import path from 'node:path';
import { startProgram, type CoreServices, type Program } from '@antirio/core-services';
import { freePort } from '@antirio/testing';
import { GO_SOURCES } from './go-programs.ts';

/** How a device service learns what is common to all: from files, or from core-keeper. */
export type Configured = 'by files' | 'by keeper';

export interface DeviceRoom {
  readonly url: string;
  start(configured: Configured): void;
  end(signal?: NodeJS.Signals): Promise<void>;
  isRunning(): boolean;
  lastWords(): string;
}

/** device-room of tools/edgex-go, for these services. */
export async function createDeviceRoom(binary: string, core: CoreServices): Promise<DeviceRoom> {
  const port = await freePort();
  let program: Program | undefined;
  const flags: Record<Configured, string[]> = {
    'by files': ['-cc', '../res/common.json'],
    'by keeper': [`-cp=keeper.http://127.0.0.1:${core.portOf('core-keeper')}`, '-r', '-o'],
  };
  return {
    url: `http://localhost:${port}`,
    start(configured) {
      program = startProgram({
        command: binary,
        args: [...flags[configured], '-cd', './res'],
        cwd: path.join(GO_SOURCES, 'device'),
        log: path.join(core.folder, 'device-room.log'),
        env: {
          EDGEX_SECURITY_SECRET_STORE: 'false',
          EDGEX_STARTUP_DURATION: '60',
          SERVICE_PORT: String(port),
          MESSAGEBUS_PORT: String(core.mqttPort),
          CLIENTS_CORE_METADATA_PORT: String(core.portOf('core-metadata')),
        },
      });
    },
    async end(signal) {
      await program?.end(signal);
    },
    isRunning: () => program?.isRunning() === true,
    lastWords: () => program?.lastWords() ?? '',
  };
}
