import { execFileSync } from 'node:child_process';
import { readFileSync, realpathSync } from 'node:fs';

/** One file of an image: its path in there, without a slash before it. */
export interface ImageFile {
  readonly name: string;
  readonly mode: number;
  readonly content: Uint8Array;
}

/** What an image needs for `node` to run in it: this machine's Node with its shared libraries, and nothing else. */
export function localNodeFiles(): ImageFile[] {
  const node = realpathSync(process.execPath);
  const listed = execFileSync('ldd', [node], { encoding: 'utf8' });
  const libraries = new Set([...listed.matchAll(/(?:=>\s*)?(\/\S+)\s+\(0x/g)].map(([, path]) => path ?? ''));
  const file = (name: string, source: string): ImageFile => ({
    name,
    mode: 0o755,
    content: readFileSync(source),
  });
  return [file('usr/local/bin/node', node), ...[...libraries].map((path) => file(path.slice(1), path))];
}
