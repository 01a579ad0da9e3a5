// `node tools/bundle/src/main.ts [folder]`: bundles the product into the folder (default: dist).
import { readdirSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { bundle, workspaceRoot } from './bundle.ts';

const made = await bundle({ outDir: resolve(process.argv[2] ?? join(workspaceRoot, 'dist')) });
for (const [name, file] of Object.entries(made)) {
  const folder = dirname(file);
  const sizes = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => statSync(join(entry.parentPath, entry.name)).size);
  const kilobytes = Math.round(sizes.reduce((sum, size) => sum + size, 0) / 1024);
  process.stdout.write(`${name}  ${file}  ${kilobytes} KB in ${sizes.length} files\n`);
}
