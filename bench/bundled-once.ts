import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const made = new Map<string, Promise<string>>();

/** What is bundled for one benchmark serves the next ones too: `make` bundles it into a folder, which goes with this process. */
export function bundledOnce(name: string, make: (folder: string) => Promise<string>): Promise<string> {
  const known = made.get(name);
  if (known !== undefined) return known;
  const folder = mkdtempSync(join(tmpdir(), 'antirio-bench-bundle-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const program = make(folder);
  made.set(name, program);
  return program;
}
