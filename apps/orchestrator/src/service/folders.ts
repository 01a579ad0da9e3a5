import { spawn } from 'node:child_process';
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { syncDirectory, type Log } from '@antirio/host';
import { AntirioError, describeError, sha256Hex, toHex, utf8, type Random } from '@antirio/kernel';
import type { Runtime } from '@antirio/runtime';
import { copyData, type CopyLimits } from './data-handover.ts';

/** Where one service's things are on this host. */
export interface ServiceFolders {
  readonly runDir: string;
  readonly dataDir: string;
  readonly secretsDir: string;
}

export interface Folders {
  /** Only the names: nothing is made. */
  of(contractId: string): ServiceFolders;
  /** Makes what is not there, for the user that the service runs as. */
  make(contractId: string): ServiceFolders;
  /** Run folder and secrets, not the data. */
  removeRun(contractId: string): void;
  removeData(contractId: string): void;
  /** Copies the data of one service aside, for another. Neither may run. */
  copyData(from: string, to: string, limits: CopyLimits): Promise<DataCopy>;
  /** Removes everything that lies outside of the room's own folder. */
  close(): void;
  /** Whether what is put into a `secretsDir` never touches a disk. */
  readonly secretsOnTmpfs: boolean;
}

/** Data that are to take the place of a service's own: all at once, or not at all. */
export interface DataCopy {
  /** Durable when it returns. */
  putInPlace(): void;
  drop(): void;
}

export interface FolderOptions {
  /** The room's own folder. */
  readonly dataDir: string;
  /** In place of tmpfs or the folder for temporary files. */
  readonly runRoot?: string | undefined;
  readonly user: Runtime['user'];
  readonly random: Random;
  readonly log: Log;
}

const SHARED_MEMORY = '/dev/shm';
const TMPFS_MAGIC = 0x01021994;
const RAMFS_MAGIC = 0x858458f6;
/** sun_path of Linux has 108 bytes, one of them for the end. */
const MAX_SOCKET_PATH = 107;
const LONGEST_SOCKET_NAME = 'http.sock'.length + 1;

/** No service has such an id. */
const COPY = '.copy-';

/** Copies that nobody came to put in their place. */
function removeCopies(services: string): void {
  if (!existsSync(services)) return;
  for (const name of readdirSync(services))
    if (name.startsWith(COPY)) rmSync(join(services, name), { recursive: true, force: true });
}

async function copyAside(services: string, from: string, to: string, limits: CopyLimits): Promise<DataCopy> {
  const [source, copy, target] = [join(services, from), join(services, `${COPY}${to}`), join(services, to)];
  const drop = (): void => rmSync(copy, { recursive: true, force: true });
  drop();
  try {
    // One that never ran has left nothing
    if (existsSync(source)) await copyData(source, copy, limits);
    else mkdirSync(copy, { recursive: true, mode: 0o700 });
  } catch (error) {
    drop();
    throw error;
  }
  return {
    drop,
    putInPlace() {
      rmSync(target, { recursive: true, force: true });
      renameSync(copy, target);
      syncDirectory(services);
    },
  };
}

const short = (text: string): string => sha256Hex(utf8(text)).slice(0, 10);

function onTmpfs(path: string): boolean {
  try {
    return [TMPFS_MAGIC, RAMFS_MAGIC].includes(statfsSync(path).type) && statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** A folder that nobody else can enter, in a place where others may write. @throws AntirioError forbidden */
function makePrivate(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const stat = lstatSync(path);
  const mine = process.getuid === undefined || stat.uid === process.getuid();
  if (!stat.isDirectory() || !mine || (stat.mode & 0o077) !== 0)
    throw new AntirioError('forbidden', `${path} belongs to somebody else or is open to others`, { path });
}

/** What earlier runs left: their processes are gone, and their secrets must be given again by who may. */
function removeEarlier(root: string, name: string, log: Log): void {
  for (const left of readdirSync(root).filter((entry) => entry.startsWith(`${name}-`)))
    try {
      rmSync(join(root, left), { recursive: true, force: true });
    } catch (error) {
      log.warn({ folder: join(root, left), error: describeError(error) }, 'not ours to remove');
    }
}

/**
 * A shell that waits for the end of this process, however it comes, and removes the folders then: secrets do not stay in memory
 * behind an edge that was killed.
 */
function removeWithUs(folders: readonly string[], log: Log): { end(): void } {
  const script = 'read -r _; rm -rf -- "$@"';
  const watcher = spawn('/bin/sh', ['-c', script, 'sh', ...folders], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  watcher.on('error', (error) =>
    log.warn({ error: error.message }, 'nobody removes secrets if this edge is killed'),
  );
  watcher.stdin.on('error', () => undefined);
  watcher.unref();
  // A pipe to a child is a socket, which must not keep this process alive
  (watcher.stdin as unknown as { unref(): void }).unref();
  return {
    end() {
      watcher.stdin.end();
    },
  };
}

interface Places {
  readonly run: string;
  readonly secrets: string;
  /** Whether secrets never touch a disk there. */
  readonly inMemory: boolean;
}

/** Names for this run, short and never used before. @throws AntirioError badConfig when sockets there would have too long paths. */
function choosePlaces({ dataDir, runRoot, random, log }: FolderOptions): Places {
  const shared = onTmpfs(SHARED_MEMORY) ? SHARED_MEMORY : undefined;
  const root = runRoot ?? shared ?? tmpdir();
  mkdirSync(root, { recursive: true });
  const name = `antirio-${short(dataDir)}`;
  const unique = `${name}-${toHex(random.bytes(3))}`;
  const run = join(root, unique);
  if (join(run, short('')).length + LONGEST_SOCKET_NAME > MAX_SOCKET_PATH)
    throw new AntirioError('badConfig', `runRoot is too long a path for unix sockets: ${root}`, { root });
  const rootInMemory = onTmpfs(root);
  const secretsRoot = rootInMemory ? root : (shared ?? root);
  for (const place of new Set([root, secretsRoot])) removeEarlier(place, name, log);
  const secrets = secretsRoot === root ? run : join(secretsRoot, unique);
  return { run, secrets, inMemory: rootInMemory || shared !== undefined };
}

/**
 * Opens the folders of foreign services. Those for sockets and secrets lie on tmpfs where there is one, below a name that is
 * short and this run's own; they come with the first service and go with this process.
 */
export function openFolders(options: FolderOptions): Folders {
  const { user } = options;
  const services = join(options.dataDir, 'services');
  removeCopies(services);
  const places = choosePlaces(options);
  let watcher: { end(): void } | undefined;

  const makePlaces = (): void => {
    if (watcher !== undefined) return;
    for (const place of [places.run, places.secrets]) makePrivate(place);
    watcher = removeWithUs([places.run, places.secrets], options.log);
  };
  const of = (contractId: string): ServiceFolders => {
    const runDir = join(places.run, short(contractId));
    const apart = places.secrets !== places.run;
    const secretsDir = apart ? join(places.secrets, short(contractId)) : join(runDir, 'secrets');
    return { runDir, secretsDir, dataDir: join(services, contractId) };
  };
  return {
    of,
    secretsOnTmpfs: places.inMemory,
    make(contractId) {
      makePlaces();
      const folders = of(contractId);
      for (const folder of [folders.runDir, folders.dataDir, folders.secretsDir]) {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        if (user !== undefined) chownSync(folder, user.uid, user.gid);
      }
      return folders;
    },
    removeRun(contractId) {
      const { runDir, secretsDir } = of(contractId);
      for (const folder of [secretsDir, runDir]) rmSync(folder, { recursive: true, force: true });
    },
    removeData(contractId) {
      rmSync(of(contractId).dataDir, { recursive: true, force: true });
    },
    copyData: (from, to, limits) => copyAside(services, from, to, limits),
    close() {
      for (const place of [places.run, places.secrets]) rmSync(place, { recursive: true, force: true });
      watcher?.end();
      watcher = undefined;
    },
  };
}
