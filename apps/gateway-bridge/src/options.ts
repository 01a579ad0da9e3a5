import { isIP } from 'node:net';
import { z } from 'zod';

const port = z.int().min(0).max(65_535);
const eui = z
  .string()
  .regex(/^[0-9a-fA-F]{16}$/, 'an EUI-64: 16 hex digits')
  .transform((text) => text.toLowerCase());

const cidr = z.string().refine((text) => {
  const [address = '', bits] = text.split('/');
  const family = isIP(address);
  return (
    family !== 0 && bits !== undefined && /^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128)
  );
}, 'a network such as 192.168.1.0/24');

/** 10 s at 50 uplinks/s, each a datagram that the kernel accounts with up to 4 KiB. */
const TEN_SECONDS_OF_DATAGRAMS = 500 * 4096;

export const gatewayBridgeOptions = z.strictObject({
  bind: z.string().min(1).default('127.0.0.1'),
  /** HTTP; 0 takes a free one. */
  port: port.default(59_708),
  /** The edge's data folder; the room keeps to `gateway-bridge` in it. */
  dataDir: z.string().min(1),
  region: z.literal('eu868').default('eu868'),
  udp: z
    .strictObject({
      bind: z.string().min(1).default('127.0.0.1'),
      /** Semtech UDP; 0 takes a free one. */
      port: port.default(1700),
      /** Wanted of the kernel, which counts its own overhead too and may give less (net.core.rmem_max). */
      recvBufferBytes: z
        .int()
        .min(65_536)
        .max(1 << 28)
        .default(TEN_SECONDS_OF_DATAGRAMS),
      /** Gateways that are listened to. */
      gateways: z.union([z.literal('any'), z.array(eui).max(10_000)]).default('any'),
      /** Networks that datagrams are taken from. */
      sourceNetworks: z.array(cidr).min(1).default(['127.0.0.0/8', '::1/128']),
      /**
       * `guarded`: another host that sends PULL_DATA under a gateway's id gets its downlinks only once the gateway itself is
       * silent; `newest`: at once.
       */
      addressChange: z.enum(['guarded', 'newest']).default('guarded'),
      /** Frames taken in that are not on the disk yet; datagrams beyond them are not acknowledged. */
      maxFramesUnderWay: z.int().min(1).max(100_000).default(8192),
      /** A gateway that has not asked for downlinks for this long is not sent any. */
      addressMaxAgeMs: z.int().min(1000).default(120_000),
      /** How long a TX_ACK is waited for. */
      txAckTimeoutMs: z.int().min(50).max(10_000).default(1500),
    })
    .prefault({}),
  rings: z
    .strictObject({
      /** Of all rings together; a ring that does not fit is refused. */
      totalBudgetBytes: z
        .int()
        .min(1 << 16)
        .default(1 << 30),
      /** Of the ring that keeps what matches no other, so that a new ring begins with its motes' past. */
      neighbourhoodBytes: z
        .int()
        .min(1 << 16)
        .max(1 << 28)
        .default(8 << 20),
      segmentBytes: z
        .int()
        .min(4096)
        .max(1 << 28)
        .default(1 << 20),
      /** How long acknowledged frames of the ring `own` stay, as far as its budget has room. */
      ownRetainS: z.int().min(0).default(3600),
      /** How long acknowledged frames of other rings stay, as far as their budget has room: statements are made from them. */
      retainS: z
        .int()
        .min(0)
        .default(7 * 86_400),
      /** Rings of contracts that are over, which the provider keeps for a while; of more, the oldest go. */
      keptMost: z.int().min(0).max(1000).default(32),
      /** New frames of one mote; the region's own where absent. */
      framesPerSecond: z.number().positive().optional(),
      /** New frames of one mote that may come at once. */
      burst: z.int().min(1).default(30),
    })
    .prefault({}),
  /** JoinRequests that are delivered; what comes faster is counted and dropped. */
  joins: z
    .strictObject({
      /** Of one device, as one gateway hears it: for long, and at once. */
      perDevicePerSecond: z.number().positive().default(0.5),
      perDeviceBurst: z.int().min(1).default(8),
      /** Of all devices and gateways together. */
      perSecond: z.number().positive().default(50),
      burst: z.int().min(1).default(200),
    })
    .prefault({}),
  downlinks: z
    .strictObject({
      /** Whether each gateway's time on air is kept within what the region allows in each band and hour. */
      dutyCycle: z.boolean().default(true),
    })
    .prefault({}),
  gapFilling: z
    .strictObject({
      intervalMs: z.int().min(10).default(300),
      /** Between attempts that fail, at most. */
      maxIntervalMs: z.int().min(10).default(3000),
      pageFrames: z.int().min(1).max(500).default(200),
      /** Where so many frames follow, and most of those before them were lacking, they are read as one stream. */
      streamFrames: z.int().min(1).default(2000),
      timeoutMs: z.int().min(100).default(3000),
    })
    .prefault({}),
});

export type GatewayBridgeOptions = z.output<typeof gatewayBridgeOptions>;
export type GatewayBridgeOptionsInput = z.input<typeof gatewayBridgeOptions>;
