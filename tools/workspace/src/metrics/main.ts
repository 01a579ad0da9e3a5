// `node tools/workspace/src/metrics/main.ts` writes docs/metrics.md.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { workspaceRoot } from '../root.ts';
import { metricsPage } from './document.ts';
import { registeredMetrics } from './services.ts';

writeFileSync(join(workspaceRoot, 'docs/metrics.md'), metricsPage(await registeredMetrics()));
