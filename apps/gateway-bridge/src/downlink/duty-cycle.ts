import { readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { openAppendLog, type AppendLog } from '@antirio/host';
import { AntirioError, fromHex, toHex, type Clock } from '@antirio/kernel';
import type { Band, RegionPlan } from '@antirio/lorawan';

/** What a gateway has sent in one band in the last hour. */
export interface BandLoad {
  readonly band: string;
  readonly usedMs: number;
  readonly allowedMs: number;
}

export interface GatewayLoad extends BandLoad {
  readonly gatewayId: string;
}

/** Time on air that was taken from an hour's allowance. */
export interface AirtimeTaken {
  /** Resolves when it is on the disk. */
  readonly durable: Promise<void>;
  /** It was not sent after all. */
  release(): void;
}

/** Each gateway's time on air in each band of the region, within any hour. */
export interface DutyCycle {
  /** Takes time on air from now on; undefined where the band's allowance has none left. */
  take(gatewayId: string, frequency: number, airtimeUs: number): AirtimeTaken | undefined;
  loads(gatewayId: string): BandLoad[];
  all(): GatewayLoad[];
  readonly failed: boolean;
  /** Begins a new file and removes old ones, when it is time; opens the file again after a failed write. */
  tidy(): Promise<void>;
  close(): Promise<void>;
}

export interface DutyCyclePorts {
  readonly folder: string;
  readonly plan: RegionPlan;
  readonly clock: Clock;
}

const HOUR_MS = 3_600_000;
const RECORD = 8 + 8 + 4 + 4;

interface Entry {
  /** Monotonic ms. */
  readonly at: number;
  readonly wall: number;
  us: number;
}

interface Load {
  readonly band: Band;
  readonly entries: Entry[];
  usedUs: number;
}

interface Written {
  readonly gatewayId: string;
  /** Wall ms: monotonic time ends with the host's. */
  readonly at: number;
  readonly frequency: number;
  /** Negative for what was not sent after all. */
  readonly us: number;
}

function encode({ gatewayId, at, frequency, us }: Written): Uint8Array {
  const bytes = new Uint8Array(RECORD);
  const view = new DataView(bytes.buffer);
  bytes.set(fromHex(gatewayId, 8));
  view.setFloat64(8, at);
  view.setUint32(16, frequency);
  view.setInt32(20, us);
  return bytes;
}

function decode(bytes: Uint8Array, path: string): Written {
  if (bytes.length !== RECORD)
    throw new AntirioError('corrupt', `${path} holds something else than time on air`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, RECORD);
  return {
    gatewayId: toHex(bytes.subarray(0, 8)),
    at: view.getFloat64(8),
    frequency: view.getUint32(16),
    us: view.getInt32(20),
  };
}

interface AirtimeFile {
  readonly path: string;
  readonly log: AppendLog;
  /** Wall ms of its first and last record. */
  first: number;
  last: number;
}

/**
 * Opens the account, with what was sent in the hour before: a restart forgets nothing. Time on air is written down before it is
 * used. A wall clock that was set back makes what is known count for longer, one that was set forward for less.
 */
export function openDutyCycle({ folder, plan, clock }: DutyCyclePorts): DutyCycle {
  const accounts = new Map<string, Map<string, Load>>();
  const files: AirtimeFile[] = [];

  const accountOf = (gatewayId: string): Map<string, Load> => {
    const known = accounts.get(gatewayId) ?? new Map<string, Load>();
    accounts.set(gatewayId, known);
    return known;
  };
  const loadOf = (gatewayId: string, frequency: number): Load | undefined => {
    const band = plan.band(frequency);
    if (band === undefined) return undefined;
    const account = accountOf(gatewayId);
    const load = account.get(band.name) ?? { band, entries: [], usedUs: 0 };
    account.set(band.name, load);
    return load;
  };
  const forget = (load: Load, now: number): void => {
    let over = 0;
    for (const { at, us } of load.entries) {
      if (now - at < HOUR_MS) break;
      load.usedUs -= us;
      over += 1;
    }
    load.entries.splice(0, over);
  };
  const readBack = ({ gatewayId, at, frequency, us }: Written): void => {
    const ago = Math.max(0, clock.now() - at);
    const load = ago < HOUR_MS ? loadOf(gatewayId, frequency) : undefined;
    if (load === undefined) return;
    if (us >= 0) load.entries.push({ at: clock.monotonic() - ago, wall: at, us });
    else {
      const found = load.entries.find((entry) => entry.wall === at && entry.us === -us);
      if (found === undefined) return;
      found.us = 0;
    }
    load.usedUs += us;
  };
  const openFile = (path: string, onWritten = readBack): AirtimeFile => {
    let [first, last] = [Infinity, -Infinity];
    const log = openAppendLog({
      path,
      onRecord(bytes) {
        const written = decode(bytes, path);
        first = Math.min(first, written.at);
        last = Math.max(last, written.at);
        onWritten(written);
      },
    });
    return { path, log, first, last };
  };
  const begin = (ordinal: number): AirtimeFile =>
    openFile(join(folder, `airtime-${String(ordinal).padStart(8, '0')}.log`));
  const ordinalOf = ({ path }: AirtimeFile): number => Number.parseInt(path.slice(-12), 10);
  let names: string[] = [];
  try {
    names = readdirSync(folder)
      .filter((name) => /^airtime-\d{8}\.log$/.test(name))
      .sort();
  } catch {
    // the first start: the log makes the folder
  }
  for (const name of names) files.push(openFile(join(folder, name)));
  let current = files.at(-1) ?? begin(1);
  if (files.length === 0) files.push(current);

  const write = (written: Written): Promise<void> => {
    current.first = Math.min(current.first, written.at);
    current.last = Math.max(current.last, written.at);
    return current.log.append(encode(written));
  };
  const reopen = async (): Promise<void> => {
    const broken = current;
    // all of it is counted already
    current = openFile(broken.path, () => undefined);
    files.splice(-1, 1, current);
    await broken.log.close();
  };
  const allowedUs = ({ dutyCycle }: Band): number => dutyCycle * HOUR_MS * 1000;

  const loads: DutyCycle['loads'] = (gatewayId) => {
    const now = clock.monotonic();
    return [...(accounts.get(gatewayId)?.values() ?? [])].map((load) => {
      forget(load, now);
      const { band, usedUs } = load;
      return { band: band.name, usedMs: usedUs / 1000, allowedMs: allowedUs(band) / 1000 };
    });
  };

  return {
    take(gatewayId, frequency, us) {
      const load = loadOf(gatewayId, frequency);
      if (load === undefined) return undefined;
      const at = clock.monotonic();
      forget(load, at);
      if (load.usedUs + us > allowedUs(load.band)) return undefined;
      const written = { gatewayId, at: clock.now(), frequency, us };
      const entry = { at, wall: written.at, us };
      load.entries.push(entry);
      load.usedUs += us;
      const durable = write(written);
      // whoever is about to send asks for it; a downlink that is refused before that does not
      durable.catch(() => undefined);
      return {
        durable,
        release() {
          if (entry.us === 0) return;
          // an hour later it is out of the sum already
          if (load.entries.includes(entry)) load.usedUs -= us;
          entry.us = 0;
          // lost by a crash, it only counts what was not sent
          write({ ...written, us: -us }).catch(() => undefined);
        },
      };
    },
    loads,
    all: () =>
      [...accounts.keys()].flatMap((gatewayId) => loads(gatewayId).map((load) => ({ gatewayId, ...load }))),
    get failed() {
      return current.log.failed;
    },
    async tidy() {
      if (current.log.failed) await reopen();
      const now = clock.now();
      if (now - current.first > HOUR_MS) {
        current = begin(ordinalOf(current) + 1);
        files.push(current);
      }
      for (const [gatewayId, account] of accounts) {
        for (const [name, load] of account) {
          forget(load, clock.monotonic());
          if (load.entries.length === 0) account.delete(name);
        }
        if (account.size === 0) accounts.delete(gatewayId);
      }
      for (let oldest = files[0]; oldest !== undefined && oldest !== current; oldest = files[0]) {
        if (now - oldest.last < HOUR_MS) return;
        files.shift();
        await oldest.log.close();
        unlinkSync(oldest.path);
      }
    },
    async close() {
      for (const { log } of files) await log.close();
    },
  };
}
