import { MAX_PACKET_BYTES } from '@antirio/bus';
import { z } from 'zod';

const port = z.int().min(0).max(65_535);

export const brokerOptions = z.strictObject({
  port: port.default(1883).describe('MQTT 3.1.1'),
  httpPort: port.default(59_709).describe('HTTP: readiness and counters'),
  bind: z.string().default('127.0.0.1').describe('address to listen on'),
  dataDir: z.string().min(1).describe("the edge's data folder; the room keeps to `broker` in it"),
  anonymous: z
    .enum(['loopback', 'all', 'none'])
    .default('loopback')
    .describe('from where clients may come without a login; foreign services always need one'),
  maxClients: z.int().min(1).max(10_000).default(256).describe('connections at once'),
  maxClientsPerContract: z
    .int()
    .min(1)
    .max(1000)
    .default(8)
    .describe('connections at once of one foreign service'),
  maxPacketBytes: z
    .int()
    .min(1024)
    .max(64 << 20)
    .default(MAX_PACKET_BYTES)
    .describe("largest MQTT packet; the default holds EdgeX's largest event"),
  maxForeignPacketBytes: z
    .int()
    .min(1024)
    .max(64 << 20)
    .default(1 << 20)
    .describe('largest MQTT packet of a foreign service'),
  slowClientMs: z
    .int()
    .min(100)
    .default(10_000)
    .describe('a client that takes nothing for so long is disconnected; until then its publishers wait'),
});

export type BrokerRoomOptions = z.output<typeof brokerOptions>;
