// What the doors of the lab do not take in: dropped by the kernel, in the network namespace of each, as a bad way between them would.
import { readFileSync } from 'node:fs';
import { DemoError } from '@antirio/demo';
import { docker, ImageError, run } from '@antirio/edge-image';

/** The container by which a party is reached by the others. */
export interface Door {
  readonly container: string;
  /** In the network between the edges. */
  readonly address: string;
}

const NEEDED = 'a way that is cut in the lab is a matter of its kernel: it needs root, nsenter and iptables';

/** The process in the door's namespace; undefined while the container does not run, which takes nothing in anyhow. */
async function processOf({ container, address }: Door): Promise<number | undefined> {
  const pid = Number(await docker(['inspect', '--format', '{{.State.Pid}}', container]));
  if (pid === 0) return undefined;
  let routes: string;
  try {
    routes = readFileSync(`/proc/${pid}/net/fib_trie`, 'utf8');
  } catch {
    routes = '';
  }
  // of an engine on another machine, the number is somebody else's here
  if (!routes.split('\n').some((line) => line.endsWith(` ${address}`)))
    throw new DemoError('unavailable', `${NEEDED}, on the machine of the container engine`);
  return pid;
}

async function filter(door: Door, ...args: readonly string[]): Promise<void> {
  const pid = await processOf(door);
  if (pid === undefined) return;
  const enter = [`--net=/proc/${pid}/ns/net`, 'iptables', '--wait', '10'];
  try {
    const { code, err } = await run('nsenter', [...enter, ...args]);
    if (code !== 0) throw new DemoError('unavailable', `${NEEDED}: ${err.trim()}`);
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    throw new DemoError('unavailable', `${NEEDED}: ${error.message}`, { cause: error });
  }
}

/** From now on the door drops what comes from another one: all of it, or a share by chance (0 to 1), of datagrams and streams alike. */
export async function dropFrom(door: Door, other: Door, share = 1): Promise<void> {
  const chance = ['--match', 'statistic', '--mode', 'random', '--probability', String(share)];
  const some = share < 1 ? chance : [];
  await filter(door, '--append', 'INPUT', '--source', other.address, ...some, '--jump', 'DROP');
}

/** The door takes everything in again. */
export async function takeAll(door: Door): Promise<void> {
  await filter(door, '--flush', 'INPUT');
}
