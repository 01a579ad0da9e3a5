import { readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { openAppendLog, type AppendLog } from '@antirio/host';
import { AntirioError, fromHex, toHex } from '@antirio/kernel';
import type { CounterMarks } from '@antirio/service-contract';

/** Which counters were ever sent, with what bytes; kept for ever, so that no start forgets one. */
export interface Marks {
  of(devAddr: string): CounterMarks;
  /** Resolves when the counter is on the disk as used by the frame with this hash. */
  mark(devAddr: string, fcnt: number, hash: string): Promise<void>;
  readonly failed: boolean;
  /** Opens the log again after a failed write. */
  tidy(): Promise<void>;
  close(): Promise<void>;
}

/** Hashes remembered for each device: a frame is sent again within a few, never after this many others. */
const REMEMBERED = 64;
const HASH = 16;
const RECORD = 8 + HASH;
const REWRITE_OVER_BYTES = 4 << 20;

interface DeviceMarks {
  highest: number;
  readonly hashes: Map<number, string>;
}

function encode(devAddr: string, fcnt: number, hash: string): Uint8Array {
  const bytes = new Uint8Array(RECORD);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, Number.parseInt(devAddr, 16));
  view.setUint32(4, fcnt);
  bytes.set(fromHex(hash, HASH), 8);
  return bytes;
}

function remember(devices: Map<string, DeviceMarks>, devAddr: string, fcnt: number, hash: string): void {
  const known = devices.get(devAddr) ?? { highest: fcnt, hashes: new Map<number, string>() };
  devices.set(devAddr, known);
  known.highest = Math.max(known.highest, fcnt);
  known.hashes.set(fcnt, hash);
  if (known.hashes.size <= REMEMBERED) return;
  const oldest = Math.min(...known.hashes.keys());
  known.hashes.delete(oldest);
}

function open(path: string, devices: Map<string, DeviceMarks>): AppendLog {
  return openAppendLog({
    path,
    onRecord(bytes) {
      if (bytes.length !== RECORD)
        throw new AntirioError('corrupt', `${path} holds something else than counters`);
      const view = new DataView(bytes.buffer, bytes.byteOffset, RECORD);
      const devAddr = view.getUint32(0).toString(16).padStart(8, '0');
      remember(devices, devAddr, view.getUint32(4), toHex(bytes.subarray(8)));
    },
  });
}

/** Opens the marks in a folder. What has grown long is written anew, the old file removed only after that. */
export async function openMarks(folder: string): Promise<Marks> {
  const devices = new Map<string, DeviceMarks>();
  const nameOf = (ordinal: number): string => join(folder, `marks-${String(ordinal).padStart(8, '0')}.log`);
  let names: string[] = [];
  try {
    names = readdirSync(folder)
      .filter((name) => /^marks-\d{8}\.log$/.test(name))
      .sort();
  } catch {
    // the first start: the log makes the folder
  }
  const logs = names.map((name) => open(join(folder, name), devices));
  const newest = Number.parseInt(names.at(-1)?.slice(6) ?? '1', 10);
  let ordinal = newest;
  let log = logs.at(-1) ?? open(nameOf(ordinal), devices);
  if (logs.length > 1 || log.size > REWRITE_OVER_BYTES) {
    ordinal += 1;
    log = open(nameOf(ordinal), new Map());
    const writes: Promise<void>[] = [];
    for (const [devAddr, { hashes }] of devices)
      for (const [fcnt, hash] of [...hashes].sort(([a], [b]) => a - b))
        writes.push(log.append(encode(devAddr, fcnt, hash)));
    await Promise.all(writes);
    await Promise.all(logs.map((old) => old.close()));
    for (const name of names) unlinkSync(join(folder, name));
  }
  const of = (devAddr: string): CounterMarks => {
    const known = devices.get(devAddr);
    return { highest: known?.highest, hashOf: (fcnt) => known?.hashes.get(fcnt) };
  };
  return {
    of,
    async mark(devAddr, fcnt, hash) {
      // a second send of the same bytes needs no second mark, but must wait for the first
      remember(devices, devAddr, fcnt, hash);
      await log.append(encode(devAddr, fcnt, hash));
    },
    get failed() {
      return log.failed;
    },
    async tidy() {
      if (!log.failed) return;
      const broken = log;
      // what is known stays known, whether it was written or not
      log = open(nameOf(ordinal), new Map());
      await broken.close();
    },
    close: () => log.close(),
  };
}
