import { z } from 'zod';
import { createLog, httpPeer, loadConfig, runAlone, systemClock } from '@antirio/host';
import { createFleet, fleetOptions } from './index.ts';

const schema = fleetOptions.extend({ migration: z.string().default('http://127.0.0.1:59701') });

const log = createLog('fleet');
await runAlone(log, () => {
  const { migration, ...options } = loadConfig(schema, {
    file: process.argv[2],
    env: { prefix: 'ANTIRIO_FLEET', values: process.env },
  });
  return createFleet(options, {
    clock: systemClock,
    log,
    peers: { migration: httpPeer({ url: migration }) },
  });
});
