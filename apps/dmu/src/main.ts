import { z } from 'zod';
import {
  createLog,
  httpPeer,
  loadConfig,
  readIdentityFile,
  runAlone,
  systemClock,
  systemRandom,
} from '@antirio/host';
import { createDmu, dmuOptions } from './index.ts';

const ROOMS = {
  marketplace: 'http://127.0.0.1:59705',
  edge2edge: 'http://127.0.0.1:59706',
  gatewayBridge: 'http://127.0.0.1:59708',
  arbitrator: 'http://127.0.0.1:59704',
  filecoinInterface: 'http://127.0.0.1:59702',
  deviceLora: 'http://127.0.0.1:59910',
};

const schema = dmuOptions.extend({
  identityFile: z.string(),
  rooms: z
    .record(z.string(), z.url())
    .default({})
    .describe('the other rooms of this edge by name in camel case'),
});

const log = createLog('dmu');
await runAlone(log, () => {
  const { identityFile, rooms, ...options } = loadConfig(schema, {
    file: process.argv[2],
    env: { prefix: 'ANTIRIO_DMU', values: process.env },
  });
  const identity = readIdentityFile(identityFile);
  const peers = Object.fromEntries(
    Object.entries({ ...ROOMS, ...rooms }).map(([name, url]) => [name, httpPeer({ url })]),
  );
  return createDmu(options, { clock: systemClock, random: systemRandom, log, identity, peers });
});
