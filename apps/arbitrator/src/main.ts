import { z } from 'zod';
import { createMqttBus } from '@antirio/bus';
import {
  createLog,
  httpPeer,
  loadConfig,
  readIdentityFile,
  runAlone,
  systemClock,
  systemRandom,
} from '@antirio/host';
import { arbitratorOptions, createArbitrator } from './index.ts';

const ROOMS = {
  edge2edge: 'http://127.0.0.1:59706',
  ledger: 'http://127.0.0.1:59707',
  orchestrator: 'http://127.0.0.1:59700',
  migration: 'http://127.0.0.1:59701',
  gatewayBridge: 'http://127.0.0.1:59708',
  dmu: 'http://127.0.0.1:59703',
};

const schema = arbitratorOptions.extend({
  identityFile: z.string(),
  broker: z.url().default('mqtt://127.0.0.1:1883'),
  rooms: z
    .record(z.string(), z.url())
    .default({})
    .describe('the other rooms of this edge by name in camel case'),
});

const log = createLog('arbitrator');
await runAlone(log, () => {
  const { identityFile, broker, rooms, ...options } = loadConfig(schema, {
    file: process.argv[2],
    env: { prefix: 'ANTIRIO_ARBITRATOR', values: process.env },
  });
  const peers = Object.fromEntries(
    Object.entries({ ...ROOMS, ...rooms }).map(([name, url]) => [name, httpPeer({ url })]),
  );
  return createArbitrator(options, {
    clock: systemClock,
    random: systemRandom,
    log,
    bus: createMqttBus({ url: broker }, log),
    identity: readIdentityFile(identityFile),
    peers,
  });
});
