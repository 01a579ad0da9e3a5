import { createMqttBus } from '@antirio/bus';
import { loadServiceConfig } from '@antirio/edgex-service';
import { createLog, httpPeer, runAlone, systemClock, systemRandom, type HttpPeer } from '@antirio/host';
import { z } from 'zod';
import { coreKeeperOptions, createCoreKeeper } from './index.ts';

const NONE = 'none';
/** `broker`: `mqtt://host:port`, or `none` to run without a bus. `coreKeeper`: itself, unless `none`. */
const schema = coreKeeperOptions.extend({
  broker: z.string().default('mqtt://127.0.0.1:1883'),
  coreKeeper: z.string().optional(),
});

const { broker, coreKeeper, ...options } = loadServiceConfig(schema, 'CORE_KEEPER');
const log = createLog('core-keeper');
const bus = broker === NONE ? undefined : createMqttBus({ url: broker }, log);
const own = coreKeeper ?? `http://127.0.0.1:${options.port}`;
const peers: Record<string, HttpPeer> = own === NONE ? {} : { 'core-keeper': httpPeer({ url: own }) };
const room = createCoreKeeper(options, { clock: systemClock, random: systemRandom, log, bus, peers });
await runAlone(log, () => room);
log.info({ port: room.port }, 'listening');
