import { z } from 'zod';
import { createMqttBus } from '@antirio/bus';
import { createLog, httpPeer, loadConfig, runAlone, systemClock, systemRandom } from '@antirio/host';
import { createOrchestrator, orchestratorOptions } from './index.ts';

const local = (port: number) => z.url().default(`http://127.0.0.1:${port}`);
const schema = orchestratorOptions.extend({
  broker: z.string().default('mqtt://127.0.0.1:1883'),
  migrationUrl: local(59_701),
  dmuUrl: local(59_703),
  arbitratorUrl: local(59_704),
  coreDataUrl: local(59_880),
  coreMetadataUrl: local(59_881),
  edge2edgeUrl: local(59_706),
});

const log = createLog('orchestrator');
await runAlone(log, () => {
  const {
    broker,
    migrationUrl,
    dmuUrl,
    arbitratorUrl,
    coreDataUrl,
    coreMetadataUrl,
    edge2edgeUrl,
    ...options
  } = loadConfig(schema, {
    file: process.argv[2],
    env: { prefix: 'ANTIRIO_ORCHESTRATOR', values: process.env },
  });
  const peers = {
    migration: httpPeer({ url: migrationUrl }),
    dmu: httpPeer({ url: dmuUrl }),
    arbitrator: httpPeer({ url: arbitratorUrl }),
    coreData: httpPeer({ url: coreDataUrl }),
    coreMetadata: httpPeer({ url: coreMetadataUrl }),
    edge2edge: httpPeer({ url: edge2edgeUrl }),
  };
  const bus = createMqttBus({ url: broker }, log);
  return createOrchestrator(options, { clock: systemClock, random: systemRandom, log, bus, peers });
});
