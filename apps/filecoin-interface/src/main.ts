import { z } from 'zod';
import { createLog, httpPeer, loadConfig, runAlone, systemClock, systemRandom } from '@antirio/host';
import { createFilecoinInterface, filecoinInterfaceOptions } from './index.ts';

const schema = filecoinInterfaceOptions.extend({
  orchestratorUrl: z.url().default('http://127.0.0.1:59700'),
  edge2edgeUrl: z.url().default('http://127.0.0.1:59706'),
});

const log = createLog('filecoin-interface');
await runAlone(log, () => {
  const env = { prefix: 'ANTIRIO_FILECOIN_INTERFACE', values: process.env };
  const { orchestratorUrl, edge2edgeUrl, ...options } = loadConfig(schema, { file: process.argv[2], env });
  const peers = {
    orchestrator: httpPeer({ url: orchestratorUrl }),
    edge2edge: httpPeer({ url: edge2edgeUrl }),
  };
  return createFilecoinInterface(options, { clock: systemClock, random: systemRandom, log, peers });
});
