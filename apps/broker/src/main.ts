import { createLog, loadConfig, runAlone, systemClock, systemRandom } from '@antirio/host';
import { brokerOptions, createBroker } from './index.ts';

const log = createLog('broker');
await runAlone(log, () => {
  const options = loadConfig(brokerOptions, {
    file: process.argv[2],
    env: { prefix: 'ANTIRIO_BROKER', values: process.env },
  });
  return createBroker(options, { clock: systemClock, random: systemRandom, log });
});
