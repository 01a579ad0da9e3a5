import { createMqttBus } from '@antirio/bus';
import { loadServiceConfig } from '@antirio/edgex-service';
import { createLog, httpPeer, runAlone, systemClock, systemRandom } from '@antirio/host';
import { z } from 'zod';
import { coreCommandOptions, createCoreCommand } from './index.ts';

const NONE = 'none';
/** `broker`: `mqtt://host:port`, or `none` to run without a bus; `coreKeeper` likewise. */
const schema = coreCommandOptions.extend({
  broker: z.string().default('mqtt://127.0.0.1:1883'),
  coreMetadata: z.url().default('http://127.0.0.1:59881'),
  coreKeeper: z.string().default(NONE),
});

const { broker, coreMetadata, coreKeeper, ...options } = loadServiceConfig(schema, 'CORE_COMMAND', {
  integers: { SERVICE_MAXRESULTCOUNT: 'maxResultCount' },
  hasMetadata: true,
});
const log = createLog('core-command');
const bus = broker === NONE ? undefined : createMqttBus({ url: broker }, log);
const peers = {
  'core-metadata': httpPeer({ url: coreMetadata }),
  ...(coreKeeper === NONE ? {} : { 'core-keeper': httpPeer({ url: coreKeeper }) }),
};
const room = createCoreCommand(options, { clock: systemClock, random: systemRandom, log, bus, peers });
await runAlone(log, () => room);
log.info({ port: room.port }, 'listening');
