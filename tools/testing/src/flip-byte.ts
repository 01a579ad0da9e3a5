import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** Flips one bit of a file of a folder, in the first place where these bytes stand: what a failing disk does. */
export function flipByteOnDisk(folder: string, bytes: Uint8Array): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const at = readFileSync(path).indexOf(bytes);
    if (at < 0) continue;
    const file = openSync(path, 'r+');
    writeSync(file, Uint8Array.of((bytes[0] ?? 0) ^ 1), 0, 1, at);
    closeSync(file);
    return;
  }
  throw new Error(`no file of ${folder} has these bytes`);
}
