import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  statfsSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { readIdentityFile, readTokens } from '@antirio/host';
import { describeError, type Clock } from '@antirio/kernel';
import { folderFault, spaceFault } from '../preflight.ts';
import { megabytes, ok, problem, warning, type Finding } from './finding.ts';

const LITTLE_BYTES = 512 << 20;
const FEW_INODES = 1000;
const SLOW_FSYNC_MS = 50;
const VERY_SLOW_FSYNC_MS = 500;

export interface DiskFacts {
  readonly folder: string;
  readonly freeBytes: number;
  /** Undefined where the file system makes them as needed. */
  readonly freeInodes: number | undefined;
  /** Of a small file, in the middle of some. */
  readonly fsyncMs: number;
}

/** What is left of a disk, and how fast it takes what must be durable: every acknowledgement waits for that. */
export function judgeDisk({ folder, freeBytes, freeInodes, fsyncMs }: DiskFacts): Finding[] {
  const full = spaceFault(folder, freeBytes);
  const room =
    full !== undefined
      ? problem('disk', full)
      : freeBytes < LITTLE_BYTES
        ? warning(
            'disk',
            `${folder} has ${megabytes(freeBytes)} left: free some, or let core-data keep less (retention)`,
          )
        : ok('disk', `${folder} has ${megabytes(freeBytes)} left`);
  const speed = `an fsync takes ${fsyncMs.toFixed(1)} ms`;
  return [
    room,
    ...(freeInodes !== undefined && freeInodes < FEW_INODES
      ? [
          problem(
            'disk',
            `${folder} has room for ${freeInodes} more files: remove small files there, or make the file system anew with more inodes`,
          ),
        ]
      : []),
    fsyncMs > VERY_SLOW_FSYNC_MS
      ? problem(
          'disk',
          `${speed}: nearly nothing would be acknowledged in time. The card is worn out or something else writes; move --data-dir to another disk`,
        )
      : fsyncMs > SLOW_FSYNC_MS
        ? warning('disk', `${speed}: acknowledgements wait for it. A better card or an SSD is faster`)
        : ok('disk', speed),
  ];
}

const SYNCS = 5;

function fsyncMs(folder: string, clock: Pick<Clock, 'monotonic'>): number {
  const path = join(folder, `.doctor-${process.pid}`);
  const fd = openSync(path, 'wx', 0o600);
  try {
    const took = Array.from({ length: SYNCS }, () => {
      const began = clock.monotonic();
      writeSync(fd, Buffer.alloc(4096));
      fsyncSync(fd);
      return clock.monotonic() - began;
    });
    return took.sort((a, b) => a - b)[Math.floor(SYNCS / 2)] ?? 0;
  } finally {
    closeSync(fd);
    rmSync(path);
  }
}

function checkDisk(folder: string, clock: Clock): Finding[] {
  const { bavail, bsize, files, ffree } = statfsSync(folder);
  const freeInodes = files === 0 ? undefined : ffree;
  return judgeDisk({ folder, freeBytes: bavail * bsize, freeInodes, fsyncMs: fsyncMs(folder, clock) });
}

const SQLITE = Buffer.from('SQLite format 3\0');

/** Why a store's file is none; an empty one is begun anew. */
function storeFault(path: string): string | undefined {
  const fd = openSync(path, 'r');
  try {
    const head = Buffer.alloc(SQLITE.length);
    const read = readSync(fd, head, 0, head.length, 0);
    return read === 0 || head.equals(SQLITE) ? undefined : 'is no store';
  } finally {
    closeSync(fd);
  }
}

const MOST_FILES = 5000;
/** Large trees of small files, which prove themselves by their names. */
const SKIPPED = new Set(['blocks', 'images', 'node_modules']);

export interface FolderFacts {
  /** Relative paths with their faults. */
  readonly damaged: readonly (readonly [path: string, why: string])[];
  /** What a write began that was cut off; harmless, the old file stands. */
  readonly halfWritten: readonly string[];
  readonly newestMs: number | undefined;
}

const MUST_HOLD = new Set(['identity.json', 'secret', 'local.token', 'tokens.json']);

/** Why a file of an edge cannot be what it is to be. */
function faultOf(path: string, name: string, size: number): string | undefined {
  if (size === 0 && MUST_HOLD.has(name)) return 'is empty';
  return name.endsWith('.db') ? storeFault(path) : undefined;
}

/** Paths of the files below a folder, at most so many. */
function* filesIn(folder: string, below = '', left = { files: MOST_FILES }): Generator<string> {
  for (const entry of readdirSync(join(folder, below), { withFileTypes: true })) {
    const path = join(below, entry.name);
    if (entry.isDirectory() && !SKIPPED.has(entry.name)) yield* filesIn(folder, path, left);
    if (entry.isFile() && (left.files -= 1) >= 0) yield path;
  }
}

/** Walks through what an edge keeps. */
export function lookInto(folder: string): FolderFacts {
  const damaged: [string, string][] = [];
  const halfWritten: string[] = [];
  let newestMs: number | undefined;
  for (const path of filesIn(folder)) {
    const whole = join(folder, path);
    // what a running edge has removed meanwhile
    const stats = statSync(whole, { throwIfNoEntry: false });
    if (stats === undefined) continue;
    newestMs = Math.max(newestMs ?? 0, stats.mtimeMs);
    if (path.endsWith('.new')) halfWritten.push(path);
    const fault = faultOf(whole, basename(path), stats.size);
    if (fault !== undefined) damaged.push([path, fault]);
  }
  return { damaged, halfWritten, newestMs };
}

export function judgeFolder(folder: string, { damaged, halfWritten }: FolderFacts): Finding[] {
  const broken = damaged.map(([path, why]) =>
    problem(
      'data',
      `${join(folder, path)} ${why}: a write was cut off, or the disk is damaged. Put back its copy from a backup; without one move it away, and what was in it is lost`,
    ),
  );
  const left =
    halfWritten.length === 0
      ? []
      : [
          ok(
            'data',
            `${halfWritten.length} writes were cut off (${halfWritten[0]}): the files that they were to replace are whole`,
          ),
        ];
  return broken.length === 0 ? [...left, ok('data', `${folder} is whole`)] : [...broken, ...left];
}

function checkKeys(dataDir: string, identityFile: string | undefined): Finding[] {
  const identity = identityFile ?? join(dataDir, 'identity.json');
  const findings: Finding[] = [];
  const tell = (read: () => unknown): void => {
    try {
      read();
    } catch (error) {
      findings.push(problem('keys', describeError(error)));
    }
  };
  if (existsSync(identity)) tell(() => readIdentityFile(identity));
  else
    findings.push(
      warning(
        'keys',
        `there is no identity ${identity} yet: antirio init makes one, as does the first start`,
      ),
    );
  tell(() => readTokens(join(dataDir, 'access', 'tokens.json')));
  return findings.length === 0 ? [ok('keys', 'identity and tokens can be read')] : findings;
}

export interface FolderCheck {
  readonly findings: Finding[];
  readonly newestMs: number | undefined;
}

/** The data folder, its disk and its keys; changes nothing but a file of its own that goes again. */
export function checkFolder(dataDir: string, identityFile: string | undefined, clock: Clock): FolderCheck {
  if (!existsSync(dataDir))
    return {
      findings: [warning('data', `there is no data folder ${dataDir} yet: antirio init makes one`)],
      newestMs: undefined,
    };
  try {
    accessSync(dataDir, constants.R_OK | constants.W_OK | constants.X_OK);
    const facts = lookInto(dataDir);
    const findings = [
      ...checkDisk(dataDir, clock),
      ...judgeFolder(dataDir, facts),
      ...checkKeys(dataDir, identityFile),
    ];
    return { findings, newestMs: facts.newestMs };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const who = { uid: process.getuid?.() ?? 0, owner: statSync(dataDir).uid };
    return { findings: [problem('data', folderFault(dataDir, code, who))], newestMs: undefined };
  }
}
