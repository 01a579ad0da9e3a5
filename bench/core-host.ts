// The program that a benchmark of core-data runs in a process of its own: an MQTT broker and core-data, on the bus inside the process.
import { createBroker, createLocalBus } from '@antirio/bus';
import { coreDataOptions, createCoreData } from '@antirio/core-data';
import { createLog, systemClock, systemRandom } from '@antirio/host';

const [dataDir = ''] = process.argv.slice(2);
const log = createLog('core', 'warn');
const broker = createBroker(
  {
    secret: systemRandom.bytes(32),
    listeners: [{ port: 0, bind: '127.0.0.1', anonymous: 'loopback' }],
  },
  log,
);
await broker.start();
const bus = createLocalBus(broker, log);
const coreData = createCoreData(coreDataOptions.parse({ dataDir, port: 0 }), {
  clock: systemClock,
  random: systemRandom,
  log,
  bus,
});
await coreData.start();
// Whoever started it may be killed: nothing stays behind.
process.on('disconnect', () => process.exit(0));
process.send?.({ http: coreData.port, mqtt: broker.ports[0] ?? 0 });
