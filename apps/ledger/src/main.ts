import { createLog, loadConfig, runAlone, systemClock } from '@antirio/host';
import { createLedger, ledgerOptions } from './index.ts';

const log = createLog('ledger');
await runAlone(log, () => {
  const options = loadConfig(ledgerOptions, {
    file: process.argv[2],
    env: { prefix: 'ANTIRIO_LEDGER', values: process.env },
  });
  return createLedger(options, { clock: systemClock, log });
});
