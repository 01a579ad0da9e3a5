import { z } from 'zod';
import { parseInput, sleep, systemClock, systemRandom } from '@antirio/host';
import { AntirioError, isAntirioError, uuidV4 } from '@antirio/kernel';
import type { EdgeConfig } from '../config.ts';
import { textTable } from '../text-table.ts';
import { askRoom, print } from './ask-room.ts';
import { sendEncrypted, type EncryptedWay } from './encrypted-downlink.ts';

const deviceView = z.looseObject({
  name: z.string(),
  devEui: z.string(),
  activation: z.string(),
  network: z.string().default('own'),
  devAddr: z.string().nullable(),
  sealed: z.string().nullish(),
  disclosed: z.boolean().nullish(),
  rootKeySeen: z.boolean().nullish(),
  fCntUp: z.number().nullable(),
  fCntDown: z.number().nullable(),
  downlinkCounters: z.string().default('well'),
  battery: z.number().nullable(),
  downlinks: z.number(),
  conflicts: z.number().default(0),
  heard: z
    .looseObject({
      at: z.number(),
      gatewayId: z.string(),
      rssi: z.number(),
      snr: z.number(),
      dataRate: z.string(),
    })
    .nullable(),
});

/** With what keeps it from being used on. */
function counterOf({
  fCntDown,
  downlinkCounters,
}: Pick<z.output<typeof deviceView>, 'fCntDown' | 'downlinkCounters'>): string {
  const isWorthTelling = downlinkCounters === 'near' || downlinkCounters === 'exhausted';
  return isWorthTelling ? `${text(fCntDown)} (${downlinkCounters})` : text(fCntDown);
}

/** Whether others have seen them, the root key first: that outlasts every join. */
function keysOf({
  disclosed,
  rootKeySeen,
  sealed,
}: Pick<z.output<typeof deviceView>, 'disclosed' | 'rootKeySeen' | 'sealed'>): string {
  if (rootKeySeen === true) return 'root key seen';
  return disclosed === true ? 'disclosed' : text(sealed);
}

const sessionView = z.looseObject({
  session: z.string(),
  device: z.string(),
  devAddr: z.string(),
  standing: z.string(),
  inUse: z.boolean(),
  fCntUp: z.number().nullable(),
  fCntDown: z.number().nullable(),
  mac: z.looseObject({
    dataRate: z.number(),
    txPower: z.number(),
    nbTrans: z.number(),
    rx1DelayS: z.number(),
    pending: z.array(z.string()),
  }),
});

const downlinkView = z.looseObject({
  id: z.number(),
  resource: z.string(),
  state: z.string(),
  fPort: z.number(),
  payload: z.string(),
  confirmed: z.boolean(),
  attempts: z.number(),
  fCntDown: z.number().optional(),
  updatedAt: z.number(),
  error: z.string().optional(),
  waitingFor: z.string().optional(),
});

const conflictView = z.looseObject({
  id: z.number(),
  session: z.string(),
  fCnt: z.number(),
  at: z.number(),
  gatewayId: z.string(),
  payload: z.string().nullable(),
  phyPayload: z.string(),
});

const BASE = '/api/v3/lora';
const PAGE = 1000;

const text = (value: number | string | null | undefined): string => String(value ?? '');
const time = (wallMs: number): string => new Date(wallMs).toISOString();

const listView = z.looseObject({
  totalCount: z.number(),
  devices: z.array(z.unknown()).default([]),
  sessions: z.array(z.unknown()).default([]),
});

/** All pages of a list. */
async function all(config: EdgeConfig, name: 'device' | 'session'): Promise<unknown[]> {
  const found: unknown[] = [];
  for (;;) {
    const path = `${BASE}/${name}?offset=${found.length}&limit=${PAGE}`;
    const page = parseInput(listView, await askRoom('deviceLora', config, { path }));
    const some = page[`${name}s`];
    found.push(...some);
    if (some.length === 0 || found.length >= page.totalCount) return found;
  }
}

function show(header: readonly string[], rows: readonly (readonly string[])[], none: string): void {
  print(rows.length === 0 ? none : textTable([header, ...rows]));
}

function battery(level: number | null): string {
  if (level === null || level === 255) return '';
  return level === 0 ? 'mains' : `${Math.round((level / 254) * 100)} %`;
}

/** How it got its session, where that is ours to know. */
const byOf = ({
  activation,
  network,
}: Pick<z.output<typeof deviceView>, 'activation' | 'network'>): string =>
  network === 'own' ? activation : network.toLowerCase();

/** The LoRaWAN devices of this edge. */
export async function listLoraDevices(config: EdgeConfig, json: boolean): Promise<void> {
  const found = await all(config, 'device');
  if (json) {
    print(JSON.stringify(found));
    return;
  }
  const header = [
    'DEVICE',
    'DEVEUI',
    'BY',
    'DEVADDR',
    'UP',
    'DOWN',
    'HEARD',
    'GATEWAY',
    'RSSI',
    'SNR',
    'RATE',
  ];
  const rows = parseInput(z.array(deviceView), found).map(({ heard, ...device }) => [
    ...[device.name, device.devEui, byOf(device), text(device.devAddr)],
    ...[text(device.fCntUp), counterOf(device), heard === null ? 'never' : time(heard.at)],
    ...[text(heard?.gatewayId), text(heard?.rssi), text(heard?.snr), text(heard?.dataRate)],
    ...[battery(device.battery), device.downlinks === 0 ? '' : text(device.downlinks)],
    ...[device.conflicts === 0 ? '' : text(device.conflicts), keysOf(device)],
  ]);
  show([...header, 'BATTERY', 'QUEUED', 'CONFLICTS', 'KEYS'], rows, 'no LoRaWAN devices');
}

/** The sessions of these devices, without their keys. */
export async function listLoraSessions(config: EdgeConfig, json: boolean): Promise<void> {
  const found = await all(config, 'session');
  if (json) {
    print(JSON.stringify(found));
    return;
  }
  const header = [
    'DEVICE',
    'SESSION',
    'DEVADDR',
    'IS',
    'IN USE',
    'UP',
    'DOWN',
    'DR',
    'POWER',
    'TRANS',
    'RX1',
  ];
  const rows = parseInput(z.array(sessionView), found).map(({ mac, ...session }) => [
    ...[session.device, session.session, session.devAddr, session.standing, session.inUse ? 'yes' : ''],
    ...[text(session.fCntUp), text(session.fCntDown), text(mac.dataRate), text(mac.txPower)],
    ...[text(mac.nbTrans), `${mac.rx1DelayS} s`, mac.pending.join(' ')],
  ]);
  show([...header, 'ASKED'], rows, 'no sessions');
}

export interface DownlinkFlags {
  readonly port: number;
  readonly confirmed?: boolean;
  /** It goes by the provider of this contract, which serves the device. */
  readonly contract?: string;
  /** Where the device's AppSKey is, if not at this edge's device-lora. */
  readonly keys?: string;
  /** Seconds. */
  readonly wait?: number;
  readonly json?: boolean;
}

const messageView = z.looseObject({ id: z.number(), at: z.number(), message: z.string() });

export interface ConflictFlags {
  /** Those that are shown alarm nobody any more. */
  readonly seen?: boolean;
  readonly json?: boolean;
}

/** Of what a service lists, newest first, no more than was shown is seen: another one may have come meanwhile. */
async function seeConflicts(
  config: EdgeConfig,
  path: string,
  [newest]: readonly { readonly id: number }[],
): Promise<void> {
  if (newest !== undefined)
    await askRoom('deviceLora', config, { method: 'POST', path, json: { seenUpTo: newest.id } });
}

/** Genuine frames of a device that became no readings; of one of ChirpStack's also what that told. */
export async function listLoraConflicts(
  config: EdgeConfig,
  device: string,
  { seen = false, json = false }: ConflictFlags,
): Promise<void> {
  const name = encodeURIComponent(device);
  const ask = async (path: string) => await askRoom('deviceLora', config, { path });
  const known = parseInput(z.looseObject({ device: deviceView }), await ask(`${BASE}/device/${name}`));
  const [path, elsewhere] = [`${BASE}/device/${name}/conflict`, `${BASE}/chirpstack/conflict/${name}`];
  const { conflicts } = parseInput(z.looseObject({ conflicts: z.array(conflictView) }), await ask(path));
  const told = known.device.network === 'chirpStack' ? await ask(elsewhere) : { conflicts: [] };
  const messages = parseInput(z.looseObject({ conflicts: z.array(messageView) }), told).conflicts;
  if (json) print(JSON.stringify([...conflicts, ...messages]));
  else {
    if (messages.length === 0 || conflicts.length > 0) showConflicts(device, conflicts);
    if (messages.length > 0)
      print(
        textTable([['TOLD', 'BY CHIRPSTACK'], ...messages.map(({ at, message }) => [time(at), message])]),
      );
  }
  if (!seen) return;
  await seeConflicts(config, path, conflicts);
  await seeConflicts(config, elsewhere, messages);
}

function showConflicts(device: string, conflicts: readonly z.output<typeof conflictView>[]): void {
  const rows = conflicts.map((one) => [
    ...[time(one.at), text(one.fCnt), one.session, one.gatewayId, one.payload ?? one.phyPayload],
    one.payload === null ? 'whole frame' : '',
  ]);
  show(['HEARD', 'FCNT', 'SESSION', 'GATEWAY', 'PAYLOAD', ''], rows, 'no conflicts');
  if (rows.length > 0)
    print(
      `Other readings are stored under these counters. Either ${device} lost its count (set mayReset), or its keys are used twice.`,
    );
}

const whyOf = ({ error, waitingFor }: z.output<typeof downlinkView>): string =>
  [error, waitingFor === undefined ? undefined : `waits for ${waitingFor}`].filter(Boolean).join('; ');

const contractView = z.looseObject({
  provider: z.string().optional(),
  terms: z.looseObject({ provider: z.string() }).optional(),
});

/** The routes of a contract's provider for downlinks that are encrypted here, by this edge's contract or as who speaks for its customer. */
async function routesOf(config: EdgeConfig, contractId: string): Promise<string> {
  const id = encodeURIComponent(contractId);
  const look = async (way: string): Promise<string> => {
    const path = `/arbitrator/v1/${way}/${id}`;
    const { terms, provider = terms?.provider ?? '' } = parseInput(
      contractView,
      await askRoom('arbitrator', config, { path }),
    );
    return `/edge2edge/peer/${provider}/arbitrator${path}/downlink`;
  };
  try {
    return await look('contract');
  } catch (error) {
    // a customer's arbitrator away from its edges knows the contracts that it follows
    if (!isAntirioError(error, 'notFound')) throw error;
    return look('speaker');
  }
}

type Holder = Pick<EncryptedWay, 'devEui' | 'encrypt'> & { readonly close: () => void };

/** By a file of keys the device is its DevEUI. */
async function holderOf(config: EdgeConfig, device: string, keys: string | undefined): Promise<Holder> {
  if (keys !== undefined) {
    if (!/^[0-9a-fA-F]{16}$/.test(device))
      throw new AntirioError('invalidInput', 'with --keys the device is its DevEUI');
    const { openKeyFile } = await import('@antirio/device-lora');
    const file = openKeyFile(keys);
    const encrypt: Holder['encrypt'] = (named, payload) => Promise.resolve(file.encrypt(named, payload));
    return { devEui: device.toLowerCase(), encrypt, close: () => file.close() };
  }
  const path = `${BASE}/device/${encodeURIComponent(device)}`;
  const known = parseInput(
    z.looseObject({ device: deviceView }),
    await askRoom('deviceLora', config, { path }),
  );
  return {
    devEui: known.device.devEui,
    async encrypt({ session, fCntDown }, payload) {
      const json = { session, fCntDown, payload };
      const answer = await askRoom('deviceLora', config, {
        method: 'POST',
        path: `${path}/downlink/encrypt`,
        json,
      });
      return parseInput(z.looseObject({ payload: z.string() }), answer).payload;
    },
    close: () => undefined,
  };
}

/** Has the provider of a contract send a downlink, which is encrypted here: it may have no AppSKey. */
async function loraDownlinkBy(
  config: EdgeConfig,
  device: string,
  payload: string,
  { port, contract = '', confirmed = false, keys, wait = 0, json = false }: DownlinkFlags,
): Promise<number> {
  const holder = await holderOf(config, device, keys);
  try {
    const base = await routesOf(config, contract);
    const way: EncryptedWay = {
      ...holder,
      ask: (call) => askRoom('edge2edge', config, { ...call, path: base + call.path }),
      requestId: () => uuidV4(systemRandom),
      wait: sleep,
      now: () => systemClock.monotonic(),
    };
    const found = await sendEncrypted(way, { payload, fPort: port, confirmed, waitMs: wait * 1000 });
    if (json) print(JSON.stringify(found));
    else showDownlinks([parseInput(downlinkView, found)]);
    return found.state === 'failed' ? 1 : 0;
  } finally {
    holder.close();
  }
}

function checkIsOwn({ keys, wait = 0 }: DownlinkFlags): void {
  if (keys !== undefined || wait > 0)
    throw new AntirioError('invalidInput', '--keys and --wait go with --contract');
}

/** Before a counter is taken for it. */
function bytesOf(payload: string | undefined): string {
  if (payload === undefined) throw new AntirioError('invalidInput', 'with --contract there is a payload');
  if (/^(?:[0-9a-fA-F]{2})*$/.test(payload)) return payload;
  throw new AntirioError('invalidInput', 'the payload is bytes in hex');
}

/** Queues a downlink, or without a payload tells what became of the newest ones. Gives the exit code: 1 for one that has failed. */
export async function loraDownlink(
  config: EdgeConfig,
  device: string,
  payload: string | undefined,
  flags: DownlinkFlags,
): Promise<number> {
  const { port, confirmed = false, json = false, contract } = flags;
  if (contract !== undefined) return loraDownlinkBy(config, device, bytesOf(payload), flags);
  checkIsOwn(flags);
  const path = `${BASE}/device/${encodeURIComponent(device)}/downlink`;
  const body = { payload, fPort: port, confirmed };
  const answer = await askRoom(
    'deviceLora',
    config,
    payload === undefined ? { path: `${path}?limit=20` } : { method: 'POST', path, json: body },
  );
  const shape = z.looseObject({
    downlink: downlinkView.optional(),
    downlinks: z.array(downlinkView).optional(),
  });
  const { downlink, downlinks = [] } = parseInput(shape, answer);
  if (json) print(JSON.stringify(downlink ?? downlinks));
  else showDownlinks(downlink === undefined ? downlinks : [downlink]);
  return 0;
}

function showDownlinks(found: readonly z.output<typeof downlinkView>[]): void {
  const rows = found.map((one) => [
    ...[text(one.id), one.state, text(one.fPort), one.payload, one.confirmed ? 'yes' : ''],
    ...[text(one.attempts), text(one.fCntDown), time(one.updatedAt), whyOf(one)],
  ]);
  const header = ['ID', 'STATE', 'PORT', 'PAYLOAD', 'CONFIRMED', 'SENT', 'FCNTDOWN', 'SINCE', 'WHY'];
  show(header, rows, 'no downlinks');
}
