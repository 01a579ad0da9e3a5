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
import { createMarketplace, marketplaceOptions } from './index.ts';

const schema = marketplaceOptions.extend({
  identityFile: z.string(),
  edge2edge: z.string().default('http://127.0.0.1:59706'),
  ledger: z.string().default('http://127.0.0.1:59707').describe('at the centre'),
});

const log = createLog('marketplace');
await runAlone(log, () => {
  const { identityFile, edge2edge, ledger, ...options } = loadConfig(schema, {
    file: process.argv[2],
    env: { prefix: 'ANTIRIO_MARKETPLACE', values: process.env },
  });
  const identity = readIdentityFile(identityFile);
  const peers = { edge2edge: httpPeer({ url: edge2edge }), ledger: httpPeer({ url: ledger }) };
  return createMarketplace(options, { clock: systemClock, random: systemRandom, log, identity, peers });
});
