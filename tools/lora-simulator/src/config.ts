import { z } from 'zod';
import { SimulatorError } from './errors.ts';

const ratio = z.number().min(0).max(1);
const uint32 = z.int().min(0).max(0xffff_ffff);
const lowerHex = (bytes: number): z.ZodType<string, string> =>
  z
    .string()
    .regex(new RegExp(`^[0-9a-fA-F]{${String(bytes * 2)}}$`), `${String(bytes)} bytes in hex`)
    .transform((text) => text.toLowerCase());

const metres = z.number().min(-1e7).max(1e7);
/** Metres east (`x`) and north (`y`) of an origin, or degrees. */
export const positionSchema = z.union([
  z.strictObject({ x: metres, y: metres }),
  z.strictObject({ lat: z.number().min(-90).max(90), lon: z.number().min(-180).max(180) }),
]);

const gatewaySchema = z.strictObject({
  /** Gateway EUI, 8 bytes in hex. */
  id: lowerHex(8),
  /** Name or IPv4 address of the network server's Semtech UDP port. */
  host: z.string().min(1).default('127.0.0.1'),
  port: z.int().min(1).max(65_535),
  /** Where it stands. With positions, distance decides who hears whom; each gateway has one, or none has. */
  position: positionSchema.optional(),
  /** Probability that an uplink on air is not heard here: 0.1, or 0 on top of what distance does. */
  loss: ratio.optional(),
  /** Probability that a downlink sent from here does not reach its mote. */
  downlinkLoss: ratio.default(0),
  /** Mean of the received signal strength where there are no positions, dBm. */
  rssi: z.number().min(-140).max(0).default(-85),
  /** Value of the concentrator's 32-bit microsecond counter at start; drawn from the seed where absent. */
  tmstStart: uint32.optional(),
  /** Error of the concentrator's clock, parts per million; drawn from the seed (+-20) where absent. */
  driftPpm: z.number().min(-200).max(200).optional(),
  keepaliveMs: z.int().min(100).max(3_600_000).default(2_000),
  statMs: z.int().min(1_000).max(3_600_000).default(30_000),
  /** Frames received within this time share one PUSH_DATA, at most 8 (the reference forwarder's fetch pause). */
  batchMs: z.int().min(0).max(1_000).default(10),
  /** How long an answer to a PUSH_DATA counts as its acknowledgement. */
  ackWindowMs: z.int().min(100).max(60_000).default(10_000),
  /** A downlink must arrive at least this long before its `tmst` (reference: start + margin + just-in-time delay). */
  txLeadUs: z.int().min(0).max(1_000_000).default(32_500),
  /** A downlink further ahead than this is refused as TOO_EARLY; 5 s, or 20 s where motes join or `mac` is `answered`. */
  txAdvanceMs: z.int().min(100).max(128_000).optional(),
});

const attackSchema = z.strictObject({
  /** Identical bytes again by the mote itself, 300..900 ms later. */
  retransmission: ratio.default(0.05),
  /** An older frame of the mote again, by an attacker. */
  replay: ratio.default(0.05),
  /** A copy with one bit changed, so that its MIC is wrong. */
  bitflip: ratio.default(0.05),
  /** A frame of a foreign mote that has the same DevAddr but its own keys. */
  foreign: ratio.default(0.05),
  /** A JoinRequest again by an attacker, 1 to 20 s later. */
  joinReplay: ratio.default(0),
});

const radioSchema = z.strictObject({
  /** Path loss at 1 km, dB, and how it grows with distance. */
  referenceLossDb: z.number().min(60).max(200).default(128.95),
  exponent: z.number().min(1.5).max(6).default(2.32),
  /** Standard deviation of the shadowing of a link, which never changes, dB. */
  shadowingDb: z.number().min(0).max(20).default(7.8),
  /** Largest deviation of one frame from its link, either way, dB. */
  fadingDb: z.number().min(0).max(30).default(3),
  /** Whether frames that overlap on one channel and spreading factor disturb each other. */
  collisions: z.boolean().default(false),
  /** A frame this much stronger than all that overlap it is received all the same, dB. */
  captureDb: z.number().min(0).max(30).default(6),
  /** Frames that a gateway can receive at a time; 0 for any number, 8 for a real SX1301. */
  demodulators: z.int().min(0).max(64).default(0),
  /** Whether a gateway hears nothing while it sends. */
  halfDuplex: z.boolean().default(false),
});

const configSchema = z.strictObject({
  /** Everything random follows from it. */
  seed: z
    .union([z.string().min(1), z.number()])
    .transform(String)
    .default('1'),
  motes: z.int().min(1).max(10_000).default(20),
  gateways: z.array(gatewaySchema).min(1).max(16),
  /** Mean time between two uplinks of a mote, ms. */
  periodMs: z.int().min(1_000).max(86_400_000).default(2_000),
  /** Largest deviation of one interval, as a part of `periodMs`. No interval is ever below one second. */
  jitter: z.number().min(0).max(0.5).default(0.2),
  /** First FCntUp (32 bits): one for all motes, or a list handed out in turn. */
  fcntUpStart: z.union([uint32, z.array(uint32).min(1)]).default(0),
  /** The first FCntDown that a mote still accepts (32 bits). */
  fcntDownStart: uint32.default(0),
  /** Part of the uplinks sent as confirmed data. */
  confirmedUplinks: ratio.default(0),
  /** Part of the motes that set the ADR bit. */
  adr: ratio.default(0.5),
  spreadingFactors: z.array(z.int().min(7).max(12)).min(1).default([7, 8, 9]),
  fPort: z.int().min(1).max(223).default(2),
  /** DevAddrs are spread over the 2^24 addresses that begin with this byte. */
  devAddrPrefix: lowerHex(1).default('01'),
  /** Positions of the first motes; the others are spread at random over a disc around the gateways. */
  motePositions: z.array(positionSchema).max(10_000).default([]),
  areaRadiusM: z.number().min(1).max(100_000).default(3_000),
  radio: radioSchema.prefault({}),
  attack: attackSchema.prefault({}),
  /** Part of the motes that join over the air, spread evenly over the fleet; the others are ABP. */
  otaa: ratio.default(0),
  /** JoinEUI (AppEUI) of the motes that join. */
  joinEui: lowerHex(8).default('0200000000000001'),
  /** DevNonces count up, as LoRaWAN 1.0.4 wants it, or are drawn at random, as in 1.0.3. */
  devNonce: z.enum(['counter', 'random']).default('counter'),
  /** A mote that joins joins anew when its application is sent something on this port. */
  rejoinPort: z.int().min(1).max(223).optional(),
  /** First DevNonce of a mote that counts. */
  devNonceStart: z.int().min(0).max(0xffff).default(0),
  /** How often a confirmed uplink goes on air at most until it is acknowledged; 1 is a mote that does not care. */
  confirmedAttempts: z.int().min(1).max(15).default(1),
  /** `answered`: the motes obey MAC commands, do ADR, and send at once where FPending is set; else they do nothing. */
  mac: z.enum(['recorded', 'answered']).default('recorded'),
  /** Where the two differ, in a mote that answers MAC commands. */
  macVersion: z.enum(['1.0.3', '1.0.4']).default('1.0.4'),
  /** ADR_ACK_LIMIT and ADR_ACK_DELAY of a mote that answers MAC commands, uplinks. */
  adrAckLimit: z.int().min(1).max(32_768).default(64),
  adrAckDelay: z.int().min(1).max(32_768).default(32),
  /** Whether the motes keep the duty cycle of each band, as the law has it; an uplink that may not be sent yet waits. */
  dutyCycle: z.boolean().default(false),
  /** Frames kept per mote for replays, besides 4 drawn from all older ones. */
  replayDepth: z.int().min(1).max(1_000).default(24),
});

type Parsed = z.output<typeof configSchema>;

/** A complete configuration: every default filled in. */
export interface SimulatorConfig extends Parsed {
  readonly gateways: (Parsed['gateways'][number] & { readonly txAdvanceMs: number; readonly loss: number })[];
}
/** What a user writes: only `gateways` is required. */
export type SimulatorConfigInput = z.input<typeof configSchema>;
/** One gateway of a complete configuration. */
export type GatewayConfig = SimulatorConfig['gateways'][number];

function checkPositions({ gateways, motePositions }: Parsed): void {
  const given = gateways.flatMap(({ position }) => (position === undefined ? [] : [position]));
  if (given.length > 0 && given.length < gateways.length) {
    throw new SimulatorError('badConfig', 'gateways: some have a position and some have none');
  }
  if (given.length === 0 && motePositions.length > 0) {
    throw new SimulatorError('badConfig', 'motePositions: no gateway has a position');
  }
  const kinds = new Set([...given, ...motePositions].map((position) => 'lat' in position));
  if (kinds.size > 1) {
    throw new SimulatorError('badConfig', 'positions: some are in metres and some in degrees');
  }
}

/** Checks a configuration and fills in its defaults. Throws `badConfig` with the path of each wrong key. */
export function parseConfig(input: unknown): SimulatorConfig {
  const parsed = configSchema.safeParse(input);
  if (!parsed.success) {
    throw new SimulatorError('badConfig', z.prettifyError(parsed.error), { cause: parsed.error });
  }
  const { data } = parsed;
  const ids = new Set(data.gateways.map((gateway) => gateway.id));
  if (ids.size !== data.gateways.length) {
    throw new SimulatorError('badConfig', 'gateways: two of them have the same id');
  }
  checkPositions(data);
  // A server answers a JoinRequest as soon as it has one, up to six seconds ahead; RxDelay may be 15 s.
  const txAdvanceMs = data.otaa > 0 || data.mac === 'answered' ? 20_000 : 5_000;
  const complete = (gateway: Parsed['gateways'][number]): SimulatorConfig['gateways'][number] => ({
    txAdvanceMs,
    loss: gateway.position === undefined ? 0.1 : 0,
    ...gateway,
  });
  return { ...data, gateways: data.gateways.map(complete) };
}
