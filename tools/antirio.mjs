#!/usr/bin/env node
// The `antirio` command inside the workspace, in the caller's folder, so that relative paths in arguments mean what
// they say. It runs the bundle where there is one that is as new as the sources, else the sources, for which it sets
// the workspace up; in both cases on the workspace's own Node.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { nodeEnvironment, nodeFlags } from './bundle/src/node-flags.mjs';
import { become, ensureInstalled, environment, taskNode, told, workspaceRoot } from './setup.mjs';

/** The bundled command, unless one of its sources has changed since. */
function freshBundle() {
  const main = join(workspaceRoot, 'dist/antirio/antirio.mjs');
  const stamp = join(workspaceRoot, 'dist/sources.json');
  if (!existsSync(main) || !existsSync(stamp)) return undefined;
  const times = Object.entries(JSON.parse(readFileSync(stamp, 'utf8')));
  // Where there are no sources at all, the bundle was brought here alone.
  const isChanged = ([path, time]) => {
    const stats = statSync(join(workspaceRoot, path), { throwIfNoEntry: false });
    return stats === undefined ? existsSync(join(workspaceRoot, 'apps')) : Math.round(stats.mtimeMs) !== time;
  };
  return times.some(isChanged) ? undefined : main;
}

told(() => {
  const args = process.argv.slice(2);
  const bundled = freshBundle();
  const env = { ...nodeEnvironment, ...environment() };
  if (bundled !== undefined && taskNode() !== undefined) {
    become('node', [...nodeFlags, bundled, ...args], { env });
    return;
  }
  ensureInstalled();
  become('node', [...nodeFlags, join(workspaceRoot, 'apps/edge/src/main.ts'), ...args], { env });
});
