import { createMqttBus } from '@antirio/bus';
import { createLog, loadConfig, runAlone, systemClock, systemRandom } from '@antirio/host';
import { z } from 'zod';
import { coreDataOptions, createCoreData } from './index.ts';

const NONE = 'none';
/** `broker`: `mqtt://host:port`, or `none` to run without a bus. */
const schema = coreDataOptions.extend({ broker: z.string().default('mqtt://127.0.0.1:1883') });

const env = { prefix: 'CORE_DATA', values: process.env };
const { broker, ...options } = loadConfig(schema, { file: process.argv[2], env });
const log = createLog('core-data');
const bus = broker === NONE ? undefined : createMqttBus({ url: broker }, log);
const room = createCoreData(options, { clock: systemClock, random: systemRandom, log, bus });
await runAlone(log, () => room);
log.info({ port: room.port }, 'listening');
