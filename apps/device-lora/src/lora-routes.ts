import { z } from 'zod';
import { API_VERSION } from '@antirio/edgex-contracts';
import { AntirioError } from '@antirio/kernel';
import type { HttpRim } from '@antirio/host';
import type { DevAddr } from '@antirio/lorawan';
import { gapState, type CounterGap } from '@antirio/service-contract';
import { directoryOf } from './directory.ts';
import { addDownlinkRoutes, type DownlinkRoutePorts } from './downlink/routes.ts';
import type { DownlinkStore } from './downlink/store.ts';
import { heardView, type HeardLast } from './last-heard.ts';
import type { KnownDevice } from './chirpstack/store.ts';
import type { MacLayer } from './mac/mac-layer.ts';
import type { Sealing } from './seal/sealing.ts';
import type { DeviceOptions } from './options.ts';
import type { Session } from './uplink/sessions.ts';
import type { ConflictStore } from './uplink/conflicts.ts';
import type { SessionBook } from './uplink/session-book.ts';

export interface LoraRoutePorts extends DownlinkRoutePorts {
  readonly devices: readonly DeviceOptions[];
  /** Undefined while there are no keys. */
  readonly sessions: () => SessionBook | undefined;
  readonly lastHeard: HeardLast;
  readonly mac: MacLayer;
  readonly downlinks: DownlinkStore;
  readonly conflicts: Pick<ConflictStore, 'count'>;
  /** How far downlink counters are above what a device surely heard. */
  readonly gapOf: (devAddr: DevAddr) => CounterGap | undefined;
  readonly sealing: Sealing | undefined;
  /** What another network server told of its device. */
  readonly ofNetworkServer: (device: DeviceOptions) => KnownDevice | undefined;
}

const sealedView = z.enum(['unprotected', 'sealed', 'unsealed']).nullable();

const deviceView = z.object({
  name: z.string(),
  devEui: z.string(),
  activation: z.enum(['abp', 'otaa']),
  network: z.enum(['own', 'chirpStack']),
  class: z.enum(['A', 'C']),
  profileName: z.string(),
  devAddr: z.string().nullable(),
  session: z.string().nullable(),
  /** Whether providers of contracts have its session, where a join made that. */
  sealed: sealedView,
  /** Whether others have seen its keys: a provider that served it. */
  disclosed: z.boolean().nullable(),
  /** Whether others have seen the key that it joins with: a join does not end that. */
  rootKeySeen: z.boolean().nullable(),
  fCntUp: z.int().nullable(),
  fCntDown: z.int().nullable(),
  /** The highest that the device surely heard; -1: none of this session yet. */
  fCntDownProven: z.int().nullable(),
  /** `near`: 4096 counters without a proof. `exhausted`: 8192, and nothing is sent any more. */
  downlinkCounters: z.enum(['well', 'wanted', 'near', 'exhausted']),
  heard: heardView.nullable(),
  /** 0 external power, 1 to 254 of its range, 255 unknown. */
  battery: z.int().nullable(),
  /** dB. */
  margin: z.int().nullable(),
  /** Downlinks that are not at their end. */
  downlinks: z.int(),
  /** Genuine frames that are kept because others are stored under their counters. */
  conflicts: z.int(),
});

const sessionView = z.object({
  session: z.string(),
  device: z.string(),
  devEui: z.string(),
  devAddr: z.string(),
  standing: z.enum(['given', 'offered', 'current', 'former']),
  /** Whether providers of contracts have it, where a join made it. */
  sealed: sealedView,
  /** Whether downlinks go by it. */
  inUse: z.boolean(),
  readsPayload: z.boolean(),
  fCntUp: z.int().nullable(),
  fCntDown: z.int().nullable(),
  /** The MAC layer as the network knows it; channels in Hz. */
  mac: z.object({
    dataRate: z.int(),
    txPower: z.int(),
    nbTrans: z.int(),
    rx1DelayS: z.int(),
    rx1DrOffset: z.int(),
    rx2: z.object({ frequency: z.int(), dataRate: z.int() }),
    channels: z.array(z.int()),
    adr: z.boolean(),
    pending: z.array(z.string()),
  }),
});

type DeviceView = z.output<typeof deviceView>;
type SessionView = z.output<typeof sessionView>;

const head = { apiVersion: z.literal(API_VERSION), statusCode: z.int() };
const page = z.object({
  offset: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(10_000).default(1000),
});
const params = z.object({ name: z.string().min(1) });

const orNull = <T>(value: T | undefined): T | null => value ?? null;

function sealedOf({ sealing }: LoraRoutePorts, session: Session | undefined): SessionView['sealed'] {
  if (session === undefined || session.standing === 'given') return null;
  return orNull(sealing?.stateOf(session.device.devEui, session.devAddr));
}

const countedBy = (told: KnownDevice | undefined): Partial<Pick<DeviceView, 'fCntUp'>> =>
  told?.fcnt === undefined ? {} : { fCntUp: told.fcnt };

function addressOf(
  device: DeviceOptions,
  session: Session | undefined,
  told: KnownDevice | undefined,
): DevAddr | null {
  return session?.devAddr ?? told?.devAddr ?? device.devAddr ?? null;
}

function describeDevice(ports: LoraRoutePorts, device: DeviceOptions): DeviceView {
  const { name, devEui, activation, network, class: deviceClass, profileName } = device;
  const session = ports.sessions()?.currentOf(devEui);
  const told = ports.ofNetworkServer(device);
  const devAddr = addressOf(device, session, told);
  return {
    ...{ name, devEui, activation, network, class: deviceClass, profileName, devAddr },
    ...describeUse(ports, session),
    ...countedBy(told),
    sealed: sealedOf(ports, session),
    disclosed: devAddr === null ? null : orNull(ports.sealing?.isDisclosed(devEui, devAddr)),
    rootKeySeen: device.activation === 'otaa' ? orNull(ports.sealing?.isRootKeySeen(devEui)) : null,
    fCntDown: devAddr === null ? null : orNull(ports.downlinks.highestUsed(devAddr)),
    ...describeGap(devAddr === null ? undefined : ports.gapOf(devAddr)),
    heard: orNull(ports.lastHeard.get(devEui)),
    downlinks: ports.downlinks.open(devEui).length,
    conflicts: ports.conflicts.count(devEui),
  };
}

function describeGap(gap: CounterGap | undefined): Pick<DeviceView, 'fCntDownProven' | 'downlinkCounters'> {
  if (gap === undefined) return { fCntDownProven: null, downlinkCounters: 'well' };
  return { fCntDownProven: gap.proven, downlinkCounters: gapState(gap) };
}

function describeUse(
  { mac }: LoraRoutePorts,
  session: Session | undefined,
): Pick<DeviceView, 'session' | 'fCntUp' | 'battery' | 'margin'> {
  if (session === undefined) return { session: null, fCntUp: null, battery: null, margin: null };
  const { battery = null, margin = null } = mac.stateOf(session).devStatus ?? {};
  return { session: session.id, fCntUp: orNull(session.seen.highest), battery, margin };
}

function describeSession(ports: LoraRoutePorts, session: Session, inUse: boolean): SessionView {
  const { id, device, devAddr, standing, cipher, seen } = session;
  const { dataRate, txPower, nbTrans, rx1DelayS, rx1DrOffset, rx2, ...state } = ports.mac.stateOf(session);
  return {
    ...{ session: id, device: device.name, devEui: device.devEui, devAddr, standing, inUse },
    readsPayload: cipher.readsPayload,
    sealed: sealedOf(ports, session),
    fCntUp: orNull(seen.highest),
    fCntDown: orNull(ports.downlinks.highestUsed(devAddr)),
    mac: {
      ...{ dataRate, txPower, nbTrans, rx1DelayS, rx1DrOffset, rx2 },
      channels: state.channels.flatMap((channel) => (channel?.enabled === true ? channel.frequency : [])),
      adr: state.adr.enabled,
      pending: state.pending.map(({ command }) => command.type),
    },
  };
}

function sessionsOf({ sessions, devices }: LoraRoutePorts): { session: Session; inUse: boolean }[] {
  const book = sessions();
  if (book === undefined) return [];
  return devices.flatMap(({ devEui }) => {
    const current = book.currentOf(devEui);
    return book.sessionsOf(devEui).map((session) => ({ session, inUse: session === current }));
  });
}

/** What EdgeX has no words for: sessions, radio, and any downlink. Keys are never shown. */
export function addLoraRoutes(rim: HttpRim, ports: LoraRoutePorts): void {
  const { byName } = directoryOf(ports.devices);
  const find = (name: string): DeviceOptions => {
    const found = byName.get(name);
    if (found === undefined) throw new AntirioError('notFound', `no device ${name}`);
    return found;
  };
  const ok = { apiVersion: API_VERSION, statusCode: 200 };

  const devices = z.object({ ...head, totalCount: z.int(), devices: z.array(deviceView) });
  const listing = { summary: 'devices with their sessions, counters and last reception', query: page };
  rim.route('get', '/api/v3/lora/device', { ...listing, answer: devices }, ({ query }) => {
    const some = ports.devices.slice(query.offset, query.offset + query.limit);
    const shown = some.map((device) => describeDevice(ports, device));
    return { ...ok, totalCount: ports.devices.length, devices: shown };
  });
  const device = z.object({ ...head, device: deviceView });
  const one = { summary: 'one device', params, answer: device };
  rim.route('get', '/api/v3/lora/device/:name', one, (input) => ({
    ...ok,
    device: describeDevice(ports, find(input.params.name)),
  }));
  const sessions = z.object({ ...head, totalCount: z.int(), sessions: z.array(sessionView) });
  const known = { summary: 'sessions, without their keys', query: page, answer: sessions };
  rim.route('get', '/api/v3/lora/session', known, ({ query }) => {
    const all = sessionsOf(ports);
    const some = all.slice(query.offset, query.offset + query.limit);
    const shown = some.map(({ session, inUse }) => describeSession(ports, session, inUse));
    return { ...ok, totalCount: all.length, sessions: shown };
  });
  addDownlinkRoutes(rim, ports, find);
}
