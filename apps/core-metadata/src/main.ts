import { createMqttBus } from '@antirio/bus';
import { createLog, loadConfig, runAlone, systemClock, systemRandom } from '@antirio/host';
import { z } from 'zod';
import { coreMetadataOptions, createCoreMetadata } from './index.ts';

const NONE = 'none';
/** `broker`: `mqtt://host:port`, or `none` to run without a bus. */
const schema = coreMetadataOptions.extend({ broker: z.string().default('mqtt://127.0.0.1:1883') });

const env = { prefix: 'CORE_METADATA', values: process.env };
const { broker, ...options } = loadConfig(schema, { file: process.argv[2], env });
const log = createLog('core-metadata');
const bus = broker === NONE ? undefined : createMqttBus({ url: broker }, log);
const room = createCoreMetadata(options, { clock: systemClock, random: systemRandom, log, bus });
await runAlone(log, () => room);
log.info({ port: room.port }, 'listening');
