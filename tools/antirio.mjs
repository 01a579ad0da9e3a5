#!/usr/bin/env node
// The `antirio` command inside the workspace: sets up where needed, then runs the edge's command line on the
// workspace's own Node, in the caller's folder, so that relative paths in arguments mean what they say.
import { join } from 'node:path';
import { become, ensureInstalled, told, workspaceRoot } from './setup.mjs';

told(() => {
  ensureInstalled();
  become('node', [join(workspaceRoot, 'apps/edge/src/main.ts'), ...process.argv.slice(2)]);
});
