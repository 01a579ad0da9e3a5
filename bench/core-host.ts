// The program that a benchmark of core-data runs in a process of its own: an MQTT broker and core-data, on the bus inside the process.
import { coreDataOptions, createCoreData } from '@antirio/core-data';
import { startOwnBroker } from './own-broker.ts';

const [dataDir = ''] = process.argv.slice(2);
const { ports, mqtt } = await startOwnBroker();
const coreData = createCoreData(coreDataOptions.parse({ dataDir, port: 0 }), ports);
await coreData.start();
process.send?.({ http: coreData.port, mqtt });
