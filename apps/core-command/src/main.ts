import { createMqttBus } from '@antirio/bus';
import { createLog, httpPeer, loadConfig, runAlone, systemClock, systemRandom } from '@antirio/host';
import { z } from 'zod';
import { coreCommandOptions, createCoreCommand } from './index.ts';

const NONE = 'none';
/** `broker`: `mqtt://host:port`, or `none` to run without a bus. */
const schema = coreCommandOptions.extend({
  broker: z.string().default('mqtt://127.0.0.1:1883'),
  coreMetadata: z.url().default('http://127.0.0.1:59881'),
});

const env = { prefix: 'CORE_COMMAND', values: process.env };
const { broker, coreMetadata, ...options } = loadConfig(schema, { file: process.argv[2], env });
const log = createLog('core-command');
const bus = broker === NONE ? undefined : createMqttBus({ url: broker }, log);
const peers = { 'core-metadata': httpPeer({ url: coreMetadata }) };
const room = createCoreCommand(options, { clock: systemClock, random: systemRandom, log, bus, peers });
await runAlone(log, () => room);
log.info({ port: room.port }, 'listening');
