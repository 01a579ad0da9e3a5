import { createHash } from 'node:crypto';
import { mkdirSync, realpathSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { AntirioError } from '@antirio/kernel';

export interface InstanceLock {
  release(): Promise<void>;
}

/**
 * Keeps two processes from working on one data folder: both would write the same files. An abstract socket (Linux) is free again when
 * its process is gone, however it went; elsewhere the rooms' ports must do.
 * @throws AntirioError conflict
 */
export async function lockRoom(dataDir: string, room: string): Promise<InstanceLock> {
  mkdirSync(dataDir, { recursive: true });
  if (process.platform !== 'linux') return { release: () => Promise.resolve() };
  const name = createHash('sha256').update(realpathSync(dataDir)).update(`\0${room}`).digest('hex');
  const server: Server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', () => {
      const why = `another process runs ${room} on the data folder ${dataDir}: stop it or choose another --data-dir`;
      reject(new AntirioError('conflict', why));
    });
    server.listen(`\0antirio-${name}`, resolve);
  });
  server.unref();
  return { release: () => new Promise((resolve) => server.close(() => resolve())) };
}
