import { z } from 'zod';
import { hasLogin } from '@antirio/host';
import { deviceProfile } from '@antirio/edgex-contracts';
import {
  devAddrsOf,
  downlinkContent,
  eu868,
  parseAppKey,
  parseDevAddr,
  parseDevEui,
  parseJoinEui,
  type DevAddr,
} from '@antirio/lorawan';
import { chirpStackSchema } from './chirpstack/options.ts';
import { loraEnvironmentSensor } from './profile.ts';

const hex = (bytes: number): z.ZodString =>
  z.string().regex(new RegExp(`^[0-9a-fA-F]{${bytes * 2}}$`), `${bytes} bytes in hex`);
const devEui = hex(8).transform(parseDevEui);
const devAddr = hex(4).transform(parseDevAddr);

const plainUrl = z.url().refine((url) => !hasLogin(url), 'no user name or password in it');
const address = z.union([z.strictObject({ url: plainUrl }), z.strictObject({ socket: z.string().min(1) })]);
const level = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[^/+#\0]+$/, 'no slash, + or #: it becomes a part of topics');

/** How a device listens after its uplinks. */
const receptionSchema = z.strictObject({
  rx1DelayS: z.int().min(1).max(15).default(eu868.receiveDefaults.rx1DelayS),
  rx1DrOffset: z.int().min(0).max(eu868.maxRx1DrOffset).default(eu868.receiveDefaults.rx1DrOffset),
  rx2: z
    .strictObject({
      frequency: z.int().min(1).default(eu868.receiveDefaults.rx2.frequency),
      dataRate: z.int().min(0).max(6).default(eu868.receiveDefaults.rx2.dataRate),
    })
    .prefault({}),
  /** Hz; besides the three that every device has. Those that join are told them. */
  channels: z.array(z.int().min(863_000_000).max(870_000_000)).max(5).default([]),
});

type Fault = readonly [path: string, message: string];
type Given = Readonly<Record<string, unknown>>;

function abpFaults({ devAddr: given, joinEui, rejoinCommand }: Given): Fault[] {
  const faults: Fault[] = [];
  if (given === undefined) faults.push(['devAddr', 'a device with `abp` has one']);
  if (joinEui !== undefined) faults.push(['joinEui', 'only devices with `otaa` join']);
  if (rejoinCommand !== undefined) faults.push(['rejoinCommand', 'only devices with `otaa` join']);
  return faults;
}

function otaaFaults({ devAddr: given, reception, mayReset }: Given): Fault[] {
  const faults: Fault[] = [];
  if (given !== undefined) faults.push(['devAddr', 'a device with `otaa` is given one']);
  if (reception !== undefined) faults.push(['reception', 'a device with `otaa` is told it']);
  if (mayReset === true) faults.push(['mayReset', 'a device with `otaa` joins in place of that']);
  return faults;
}

function networkFaults({ network, codec, rejoinCommand }: Given): Fault[] {
  if (network === 'own')
    return codec === 'chirpStack' ? [['codec', 'only devices of the network `chirpStack` have it']] : [];
  return rejoinCommand === undefined ? [] : [['rejoinCommand', 'ChirpStack has the keys of its devices']];
}

const deviceSchema = z
  .strictObject({
    devEui,
    name: z.string().min(1).max(128),
    /** `abp`: its session is in the secrets file. `otaa`: it joins with the root key that is there. */
    activation: z.enum(['abp', 'otaa']).default('abp'),
    /** Whose network it is in: `own` is this edge's; a device of `chirpStack` is told of by that, and never answered by us. */
    network: z.enum(['own', 'chirpStack']).default('own'),
    /** Of a device with `abp`; one that joins is given an address out of `devAddrRange`. */
    devAddr: devAddr.optional(),
    /** Joins that name another JoinEUI are refused; without it every one is taken. */
    joinEui: hex(8).transform(parseJoinEui).optional(),
    /** To one of class C downlinks go at once, on the settings of RX2, through the gateway that heard it best. */
    class: z.enum(['A', 'C']).default('A'),
    /** As `abp` devices were made; those that join are told the service's own `reception`. */
    reception: receptionSchema.optional(),
    macVersion: z.enum(['1.0.2', '1.0.3', '1.0.4']).default('1.0.3'),
    /** The device counts from zero again when it loses power: its readings are told apart by their MICs too. */
    mayReset: z.boolean().default(false),
    /** The downlink by which the device's application joins anew: sent when others have seen its keys. */
    rejoinCommand: downlinkContent.pick({ fPort: true, payload: true }).optional(),
    profileName: z.string().min(1).default(loraEnvironmentSensor.name),
    /** `raw` stores the payload as it is; `chirpStack` reads the object that the codec there made of it. */
    codec: z.enum(['cayenneLpp', 'raw', 'chirpStack']).default('cayenneLpp'),
  })
  .superRefine((device, context) => {
    const faults = [
      ...(device.activation === 'abp' ? abpFaults(device) : otaaFaults(device)),
      ...networkFaults(device),
    ];
    for (const [path, message] of faults) context.addIssue({ code: 'custom', path: [path], message });
  });

export type DeviceOptions = z.output<typeof deviceSchema>;

/** Addresses that joining devices may be given, both ends included. */
export interface AddressRange {
  readonly first: DevAddr;
  readonly last: DevAddr;
}

const optionsSchema = z.strictObject({
  serviceName: level.default('device-lora'),
  region: z.literal('eu868').default('eu868'),
  /** Where the service runs alone; inside an edge the host gives it its bus. */
  bus: z
    .union([
      z.strictObject({ url: z.url(), username: z.string().optional(), password: z.string().optional() }),
      z.strictObject({
        socket: z.string().min(1),
        username: z.string().optional(),
        password: z.string().optional(),
      }),
    ])
    .optional(),
  /** Before every topic: `contract/<id>/` for a service of another edge. */
  prefix: z
    .string()
    .max(160)
    .regex(/^(?:[^+#/\0]+\/)*$/, 'topic levels, each with its slash')
    .default(''),
  /** A level in the topics of control and status, where another version of the service stands beside this one. */
  instance: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,32}$/, 'letters, digits, _ and -')
    .optional(),
  /** Where the service runs alone; inside an edge the host knows its neighbours. */
  north: z.strictObject({ coreData: address, coreMetadata: address }).optional(),
  bind: z.string().min(1).default('127.0.0.1'),
  port: z.int().min(0).max(65_535).default(59_910),
  /** In place of `bind` and `port`. */
  listen: z
    .union([
      z.strictObject({ socket: z.string().min(1) }),
      z.strictObject({ port: z.int().min(0).max(65_535), bind: z.string().min(1).default('127.0.0.1') }),
    ])
    .optional(),
  /** The service keeps to `device-lora` in it. */
  dataDir: z.string().min(1),
  /** The ring of the gateway-bridge that is read. */
  ring: z.string().min(1).max(128).default('own'),
  /** Where that ring is acknowledged; only for the edge's own. */
  ringUrl: plainUrl.optional(),
  devices: z.array(deviceSchema).max(10_000).default([]),
  /** 24 bits in hex; those of type 0 need no `devAddrRange`. 000000 and 000001 are for everybody's experiments. */
  netId: hex(3)
    .transform((text) => Number.parseInt(text, 16))
    .default(0),
  /** The addresses that joining devices are given, both ends included; by default all of the NetID. */
  devAddrRange: z.strictObject({ first: devAddr, last: devAddr }).optional(),
  profiles: z.array(deviceProfile).max(1000).default([]),
  reception: receptionSchema.prefault({}),
  /** How long other gateways' receptions of one transmission are waited for; not waited where only one gateway is heard. */
  deduplicationMs: z.int().min(0).max(500).default(200),
  /** Semtech's rate adaptation, for devices that leave their data rate to the network. */
  adr: z
    .strictObject({
      enabled: z.boolean().default(true),
      /** dB kept above what the demodulator needs. */
      marginDb: z.number().min(0).max(40).default(10),
    })
    .prefault({}),
  /** Where it is named, ChirpStack is the network server of devices. */
  chirpStack: chirpStackSchema,
  classC: z
    .strictObject({
      /** A confirmed downlink without an acknowledgement goes again after this; the device has 8 s for it. */
      ackTimeoutMs: z.int().min(1000).max(600_000).default(10_000),
    })
    .prefault({}),
  /** How often a device is asked for its battery and margin; 0: never. */
  devStatusIntervalS: z.int().min(0).default(86_400),
  /** Session keys; without it the service waits for the message `activate`. */
  secretsFile: z.string().min(1).optional(),
  /** `forward` stores payloads as they came, even where the AppSKey is given. */
  confidentiality: z.enum(['forward', 'process']).default('process'),
  startState: z.enum(['reading', 'shadow']).default('reading'),
  /** Whether anything is sent at all. */
  sendDownlinks: z.boolean().default(true),
  /** Whether confirmed uplinks are acknowledged and ADR questions answered. */
  answerUplinks: z.boolean().default(true),
  reading: z
    .strictObject({
      /** Events on their way to core-data at once. */
      concurrency: z.int().min(1).max(64).default(16),
      /** Frames taken from the ring and not yet done with. */
      window: z.int().min(16).max(10_000).default(512),
      commitIntervalMs: z.int().min(0).max(5000).default(50),
      /** The same bytes within this time are a retransmission, later a replay; those of the newest frame for a quarter of an hour. */
      retransmissionMs: z.int().min(0).default(5000),
      /** How often the ring is asked for what may have been missed. */
      pollMs: z.int().min(50).default(2000),
      /** Refusals by core-data of one event before it is put aside, and kept. */
      refusalsBeforeParking: z.int().min(1).default(8),
      parkedRetryMs: z.int().min(100).default(60_000),
    })
    .prefault({}),
});

/** @returns where the configuration says of ChirpStack what cannot be */
function* chirpStackFaults({
  devices,
  chirpStack,
  prefix,
}: z.output<typeof optionsSchema>): Generator<Fault> {
  const named = devices.find(({ network }) => network === 'chirpStack');
  if (named !== undefined && chirpStack === undefined)
    yield ['chirpStack', `${named.name} is of ChirpStack's network, and nothing is said of that here`];
  if (chirpStack === undefined) return;
  if (prefix !== '') yield ['chirpStack', 'only of the service of an edge itself'];
  if (!chirpStack.http && chirpStack.mqtt === undefined) yield ['chirpStack', '`mqtt`, or `http`, or both'];
}

export const deviceLoraOptions = optionsSchema.superRefine((options, context) => {
  const { devAddrRange, netId, reception } = options;
  for (const [path, message] of chirpStackFaults(options))
    context.addIssue({ code: 'custom', path: [path], message });
  const wrong = (message: string): void =>
    context.addIssue({ code: 'custom', path: ['devAddrRange'], message });
  if (devAddrRange === undefined && netId >= 0x20_0000) wrong('needed with a NetID of another type than 0');
  if (reception.rx2.frequency !== eu868.receiveDefaults.rx2.frequency)
    context.addIssue({
      code: 'custom',
      path: ['reception', 'rx2', 'frequency'],
      message: 'no JoinAccept tells it',
    });
  if (devAddrRange !== undefined && devAddrRange.last < devAddrRange.first)
    wrong('its last address comes before its first');
});

export type DeviceLoraOptions = z.output<typeof deviceLoraOptions>;
export type DeviceLoraOptionsInput = z.input<typeof deviceLoraOptions>;

const key = hex(16).transform(parseAppKey);
const rootKey = z
  .object({ devEui, appKey: key.optional(), nwkKey: key.optional() })
  .transform(({ devEui: eui, appKey, nwkKey }, context) => {
    const [rootKey, second] = [appKey, nwkKey].filter((given) => given !== undefined);
    if (rootKey !== undefined && second === undefined) return { devEui: eui, key: rootKey };
    context.addIssue({ code: 'custom', message: 'an `appKey` or an `nwkKey`, and one of them only' });
    return z.NEVER;
  });

const nonce16 = z.int().min(0).max(0xffff);
const reservation = z.object({
  devEui,
  joinNonce: z.int().min(0).max(0xff_ffff),
  devNonces: z.discriminatedUnion('rule', [
    z.object({ rule: z.literal('counter'), last: nonce16.nullable() }),
    z.object({ rule: z.literal('random'), used: z.array(z.tuple([nonce16, nonce16])).max(4096) }),
  ]),
});

/** Session keys of one key version, and the root keys of devices that join. */
export const secretsSchema = z.object({
  keyVersion: z.int().min(0),
  sessions: z
    .array(z.object({ devEui, devAddr, nwkSKey: hex(16), appSKey: hex(16).optional() }))
    .max(10_000)
    .default([]),
  /** AppKeys; of a device of LoRaWAN 1.1 the NwkKey, which it uses as AppKey with a network of 1.0.x. */
  rootKeys: z.array(rootKey).max(10_000).default([]),
  /** What the devices' own edge has used up of their joins: of a service that stands in for it. */
  joins: z.array(reservation).max(10_000).default([]),
  /** How the devices listen and send, packed: of a service that takes over from another one. */
  mac: z
    .string()
    .max(16 << 20)
    .optional(),
});

export type Secrets = z.output<typeof secretsSchema>;

export function addressRange({ netId, devAddrRange }: DeviceLoraOptions): AddressRange {
  return devAddrRange ?? devAddrsOf(netId);
}

/**
 * The devices whose frames are read from rings, with our own keys. One of ChirpStack's that resets its counters is not: its readings
 * are told apart by what only the one who hears it knows, and would be doubled.
 */
export const readFromRings = ({ network, activation, mayReset }: DeviceOptions): boolean =>
  network === 'own' || (activation === 'abp' && !mayReset);

/** Devices that this edge itself sends to at once: to those of another network that would be under counters which are its. */
export const isSentToAtOnce = ({ network, class: deviceClass }: DeviceOptions): boolean =>
  network === 'own' && deviceClass === 'C';
