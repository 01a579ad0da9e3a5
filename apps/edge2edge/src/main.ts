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
import { createEdge2Edge, edge2edgeOptions } from './index.ts';

const schema = edge2edgeOptions.extend({
  broker: z.string().default('mqtt://127.0.0.1:1883'),
  identityFile: z.string(),
  rooms: z
    .record(z.string(), z.url())
    .default({})
    .describe('the other rooms of this edge by name in camel case'),
});

const log = createLog('edge2edge');
await runAlone(log, () => {
  const { broker, identityFile, rooms, ...options } = loadConfig(schema, {
    file: process.argv[2],
    env: { prefix: 'ANTIRIO_EDGE2EDGE', values: process.env },
  });
  const identity = readIdentityFile(identityFile);
  const bus = createMqttBus({ url: broker }, log);
  const peers = Object.fromEntries(Object.entries(rooms).map(([name, url]) => [name, httpPeer({ url })]));
  return createEdge2Edge(options, { clock: systemClock, random: systemRandom, log, bus, identity, peers });
});
