import { existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { syncDirectory } from '@antirio/host';
import type { HomeRule } from '@antirio/service-contract';
import type { KeptFolder } from './volume-records.ts';

/** One volume of the own service, and what of the provider's is to come there. */
export interface Placing {
  readonly volume: string;
  readonly path: string;
  readonly epoch: number;
  readonly rule: HomeRule;
}

export const comingPath = (path: string, epoch: number): string => `${path}.coming-${epoch}`;

/** A name beside the volume that nothing has. */
function freePath(path: string): string {
  if (!existsSync(path)) return path;
  for (let i = 2; ; i++) if (!existsSync(`${path}-${i}`)) return `${path}-${i}`;
}

/** An empty folder, beside the volume's own: on the same file system. */
export function makeComing(path: string, epoch: number): string {
  const coming = comingPath(path, epoch);
  rmSync(coming, { recursive: true, force: true });
  mkdirSync(coming, { recursive: true, mode: 0o700 });
  return coming;
}

/** Whose the volume is, where that is not this process. */
export function ownerOf(path: string): { readonly uid: number; readonly gid: number } | undefined {
  const is = statSync(path, { throwIfNoEntry: false });
  if (is === undefined || (is.uid === process.getuid?.() && is.gid === process.getgid?.())) return undefined;
  return { uid: is.uid, gid: is.gid };
}

/**
 * Puts what has come into its place by renaming; may be done again after a crash at any moment: what has been renamed is not touched again.
 * @returns what is kept beside
 */
export function placeOne({ volume, path, epoch, rule }: Placing): KeptFolder[] {
  const [coming, kept, theirs] = [
    comingPath(path, epoch),
    `${path}.kept-${epoch}`,
    `${path}.provider-${epoch}`,
  ];
  const found: KeptFolder[] = [];
  if (rule === 'beside') {
    if (existsSync(coming)) renameSync(coming, freePath(theirs));
    if (existsSync(theirs)) found.push({ volume, path: theirs, conflict: true });
  } else {
    if (existsSync(coming)) {
      if (existsSync(path)) renameSync(path, freePath(kept));
      renameSync(coming, path);
    }
    if (existsSync(kept)) found.push({ volume, path: kept, conflict: rule === 'replaceKeepingOwn' });
  }
  syncDirectory(dirname(path));
  return found;
}

/**
 * After a homecoming that was given up: the own content back in its place where it had gone aside, and all that lies beside it as something to
 * look at.
 * @param isWhole what has come is the provider's content, and no half of it
 */
export function leftBeside(volume: string, path: string, epoch: number, isWhole: boolean): KeptFolder[] {
  const [coming, kept] = [comingPath(path, epoch), `${path}.kept-${epoch}`];
  if (!isWhole) {
    rmSync(coming, { recursive: true, force: true });
    return [];
  }
  if (!existsSync(path) && existsSync(kept)) renameSync(kept, path);
  const beside = [coming, kept, `${path}.provider-${epoch}`].filter((one) => existsSync(one));
  return beside.map((one) => ({ volume, path: one, conflict: true }));
}
