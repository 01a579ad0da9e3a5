import { lstatSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { AntirioError } from '@antirio/kernel';

function isSocket(path: string): boolean | undefined {
  try {
    return lstatSync(path).isSocket();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new AntirioError('badConfig', `cannot look at ${path}`, { path }, error);
  }
}

const isAnswered = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ path });
    const end = (answered: boolean): void => {
      socket.destroy();
      resolve(answered);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });

/**
 * Removes a unix socket that a killed process left, so that it can be listened on again.
 * @throws AntirioError badConfig where something else has that name, unavailable where somebody answers there.
 */
export async function removeStaleSocket(path: string): Promise<void> {
  const is = isSocket(path);
  if (is === undefined) return;
  if (!is) throw new AntirioError('badConfig', `${path} is there and is no socket`, { path });
  if (await isAnswered(path))
    throw new AntirioError('unavailable', `another process listens on ${path}`, { path });
  rmSync(path, { force: true });
}
