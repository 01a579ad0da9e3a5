// Core-data with a broker in a process that a test kills; tells its ports to whoever started it, and ends with it.
import { createBroker, createLocalBus } from '@antirio/bus';
import { createLog, systemClock, systemRandom } from '@antirio/host';
import { coreDataOptions, createCoreData } from './index.ts';

const [dataDir = ''] = process.argv.slice(2);
const log = createLog('core-data', 'fatal');
const broker = createBroker(
  { secret: systemRandom.bytes(32), listeners: [{ port: 0, bind: '127.0.0.1', anonymous: 'loopback' }] },
  log,
);
await broker.start();
const bus = createLocalBus(broker, log);
const ports = { clock: systemClock, random: systemRandom, log, bus };
const room = createCoreData(
  coreDataOptions.parse({ dataDir, port: 0, forwardingHosts: ['127.0.0.1'] }),
  ports,
);
await room.start();
process.on('disconnect', () => process.exit(0));
process.send?.({ http: room.port, mqtt: broker.ports[0] ?? 0 });
