// The program that a benchmark of core-command runs in a process of its own: an MQTT broker, core-metadata and core-command.
import { coreCommandOptions, createCoreCommand } from '@antirio/core-command';
import { coreMetadataOptions, createCoreMetadata } from '@antirio/core-metadata';
import { httpPeer } from '@antirio/host';
import { startOwnBroker } from './own-broker.ts';

const [dataDir = ''] = process.argv.slice(2);
const { ports, mqtt } = await startOwnBroker();
const metadata = createCoreMetadata(
  coreMetadataOptions.parse({ dataDir, port: 0, deviceValidation: { enabled: false } }),
  ports,
);
await metadata.start();
const peers = { 'core-metadata': httpPeer({ url: `http://127.0.0.1:${metadata.port}` }) };
const command = createCoreCommand(coreCommandOptions.parse({ dataDir, port: 0 }), { ...ports, peers });
await command.start();
process.send?.({ metadata: metadata.port, command: command.port, mqtt });
