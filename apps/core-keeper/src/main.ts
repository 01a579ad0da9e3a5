import { createMqttBus } from '@antirio/bus';
import { createLog, loadConfig, runAlone, systemClock, systemRandom } from '@antirio/host';
import { z } from 'zod';
import { coreKeeperOptions, createCoreKeeper } from './index.ts';

const NONE = 'none';
/** `broker`: `mqtt://host:port`, or `none` to run without a bus. */
const schema = coreKeeperOptions.extend({ broker: z.string().default('mqtt://127.0.0.1:1883') });

const env = { prefix: 'CORE_KEEPER', values: process.env };
const { broker, ...options } = loadConfig(schema, { file: process.argv[2], env });
const log = createLog('core-keeper');
const bus = broker === NONE ? undefined : createMqttBus({ url: broker }, log);
const room = createCoreKeeper(options, { clock: systemClock, random: systemRandom, log, bus });
await runAlone(log, () => room);
log.info({ port: room.port }, 'listening');
