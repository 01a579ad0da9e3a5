// Puts together what the image holds, in a folder that is named: `app` (the bundle, its bill of materials, the health check) and
// `data`, empty. It runs in the build stage of docker/Dockerfile, on Node 24 and without anything installed.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, lutimesSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installOrThrow, told } from '../tools/setup.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');

/** Whether the bundle in dist/ was made of the sources that are here: all of them have the contents that they had. */
function fits() {
  const list = join(dist, 'hashes.json');
  if (!existsSync(list)) return false;
  const isSame = ([path, hash]) => {
    const file = join(root, path);
    return existsSync(file) && createHash('sha256').update(readFileSync(file)).digest('hex') === hash;
  };
  return Object.entries(JSON.parse(readFileSync(list, 'utf8'))).every(isSame);
}

/** The same bundle makes the same layer: no file has a time of its own. */
function withoutTimes(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) withoutTimes(path);
    lutimesSync(path, 0, 0);
  }
}

told(() => {
  const [out] = process.argv.slice(2);
  if (fits()) {
    process.stdout.write('the bundle in dist/ fits these sources\n');
  } else {
    process.stdout.write('there is no bundle of these sources in dist/: it is made\n');
    if (spawnSync('npm', ['--version']).error !== undefined) {
      process.stderr.write(
        'This base image has no npm to make it with: run `npm run edge-image`, or name a base that has npm.\n',
      );
      process.exit(1);
    }
    // Nothing of what only developers need, and nobody's scripts.
    installOrThrow(['--omit=dev', '--ignore-scripts']);
    const { status } = spawnSync(process.execPath, [join(root, 'tools/bundle/src/main.ts'), dist], {
      cwd: root,
      stdio: 'inherit',
    });
    if (status !== 0) process.exit(1);
  }
  mkdirSync(join(out, 'data'), { recursive: true });
  cpSync(join(dist, 'antirio'), join(out, 'app/antirio'), { recursive: true });
  for (const name of ['NOTICE', 'docker/healthcheck.mjs'])
    cpSync(join(root, name), join(out, 'app', name.split('/').at(-1)));
  withoutTimes(out);
});
