// The program that a benchmark of core-command runs in a process of its own: an MQTT broker, core-metadata and core-command.
import { createBroker, createLocalBus } from '@antirio/bus';
import { coreCommandOptions, createCoreCommand } from '@antirio/core-command';
import { coreMetadataOptions, createCoreMetadata } from '@antirio/core-metadata';
import { createLog, httpPeer, systemClock, systemRandom } from '@antirio/host';

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
const common = { clock: systemClock, random: systemRandom, log, bus: createLocalBus(broker, log) };
const metadata = createCoreMetadata(
  coreMetadataOptions.parse({ dataDir, port: 0, deviceValidation: { enabled: false } }),
  common,
);
await metadata.start();
const peers = { 'core-metadata': httpPeer({ url: `http://127.0.0.1:${metadata.port}` }) };
const command = createCoreCommand(coreCommandOptions.parse({ dataDir, port: 0 }), { ...common, peers });
await command.start();
// Whoever started it may be killed: nothing stays behind.
process.on('disconnect', () => process.exit(0));
process.send?.({ metadata: metadata.port, command: command.port, mqtt: broker.ports[0] ?? 0 });
