import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { workspaceRoot } from '../root.ts';
import { metricsPage } from './document.ts';
import { registeredMetrics } from './services.ts';

test('docs/metrics.md is what the services have registered (node tools/workspace/src/metrics/main.ts writes it)', async () => {
  const page = readFileSync(join(workspaceRoot, 'docs/metrics.md'), 'utf8');
  expect(page).toBe(metricsPage(await registeredMetrics()));
});
