import { z } from 'zod';
import { createLog, httpPeer, loadConfig, runAlone, systemClock, systemRandom } from '@antirio/host';
import { createMigration, migrationOptions } from './index.ts';

const local = (port: number) => z.url().default(`http://127.0.0.1:${port}`);
const schema = migrationOptions.extend({
  filecoinInterfaceUrl: local(59_702),
  orchestratorUrl: local(59_700),
  edge2edgeUrl: local(59_706),
});

const log = createLog('migration');
await runAlone(log, () => {
  const env = { prefix: 'ANTIRIO_MIGRATION', values: process.env };
  const { filecoinInterfaceUrl, orchestratorUrl, edge2edgeUrl, ...options } = loadConfig(schema, {
    file: process.argv[2],
    env,
  });
  const peers = {
    filecoinInterface: httpPeer({ url: filecoinInterfaceUrl }),
    orchestrator: httpPeer({ url: orchestratorUrl }),
    edge2edge: httpPeer({ url: edge2edgeUrl }),
  };
  return createMigration(options, { clock: systemClock, random: systemRandom, log, peers });
});
