import { chownSync, lstatSync, mkdirSync, readdirSync, rmSync, statfsSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AntirioError, sha256Hex, utf8 } from '@antirio/kernel';
import type { Runtime } from '@antirio/runtime';

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
  /** Removes everything that lies outside of the room's own folder. */
  close(): void;
  /** Whether what is put into a `secretsDir` never touches a disk. */
  readonly secretsOnTmpfs: boolean;
}

export interface FolderOptions {
  /** The room's own folder. */
  readonly dataDir: string;
  /** In place of tmpfs or the folder for temporary files. */
  readonly runRoot?: string | undefined;
  readonly user: Runtime['user'];
}

const SHARED_MEMORY = '/dev/shm';
const TMPFS_MAGIC = 0x01021994;
const RAMFS_MAGIC = 0x858458f6;
/** sun_path of Linux has 108 bytes, one of them for the end. */
const MAX_SOCKET_PATH = 107;
const LONGEST_SOCKET_NAME = 'http.sock'.length + 1;

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

/**
 * Opens the folders of foreign services. Those for sockets and secrets lie on tmpfs where there is one, below a name that is
 * short and this edge's own; what an earlier run left there is removed: its processes are gone, and its secrets must be given
 * again by who may.
 *
 * @throws AntirioError badConfig when unix sockets there would have too long paths, forbidden when the place is somebody else's.
 */
export function openFolders(options: FolderOptions): Folders {
  const { user } = options;
  const shared = onTmpfs(SHARED_MEMORY) ? SHARED_MEMORY : undefined;
  const name = `antirio-${short(options.dataDir)}`;
  const runBase = join(options.runRoot ?? shared ?? tmpdir(), name);
  if (join(runBase, short('')).length + LONGEST_SOCKET_NAME > MAX_SOCKET_PATH)
    throw new AntirioError('badConfig', `runRoot is too long a path for unix sockets: ${runBase}`, {
      runBase,
    });
  makePrivate(runBase);
  const runIsTmpfs = onTmpfs(runBase);
  const secretsBase = runIsTmpfs || shared === undefined ? runBase : join(shared, `${name}-secrets`);
  makePrivate(secretsBase);
  for (const base of [runBase, secretsBase])
    for (const left of readdirSync(base)) rmSync(join(base, left), { recursive: true, force: true });

  const of = (contractId: string): ServiceFolders => {
    const runDir = join(runBase, short(contractId));
    const secretsDir =
      secretsBase === runBase ? join(runDir, 'secrets') : join(secretsBase, short(contractId));
    return { runDir, secretsDir, dataDir: join(options.dataDir, 'services', contractId) };
  };
  return {
    of,
    secretsOnTmpfs: runIsTmpfs || shared !== undefined,
    make(contractId) {
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
    close() {
      for (const base of [runBase, secretsBase]) rmSync(base, { recursive: true, force: true });
    },
  };
}
