import { z } from 'zod';
import { isAntirioError } from '@antirio/kernel';
import { callJson, parseInput, repeat, type HttpPeer, type Log, type Repeating } from '@antirio/host';

const ringSchema = z.looseObject({
  devAddrs: z.array(z.string()),
  devEuis: z.array(z.string()).default([]),
  sharing: z.array(z.array(z.string())).default([]),
  budgetBytes: z.int(),
  prefix: z.string(),
  deliver: z.boolean(),
});

/** How far one life of the ring is stored. */
export interface Stored {
  readonly incarnation: string;
  /** Its frames up to here are stored. */
  readonly seq: number;
}

type Found = z.output<typeof ringSchema>;

/** What the ring is to take. */
export interface Wanted {
  /** Sensors, however many addresses they have. */
  readonly devices: number;
  readonly devAddrs: readonly string[];
  /** Those of one device, where it has several: together they have its share of the ring. */
  readonly sharing: readonly (readonly string[])[];
  /** Whose JoinRequests we answer. */
  readonly devEuis: readonly string[];
}

/** What we have put into the ring's filter, durably: what is not wanted any more goes, what others put there stays. */
export interface Asked {
  all(): ReadonlySet<string>;
  /** Each is durable when it returns. */
  add(names: readonly string[]): void;
  remove(names: readonly string[]): void;
}

/** The highest counter of a device that is stored, under which keys. */
export interface DeviceMark {
  readonly devEui: string;
  readonly session: string;
  readonly fcnt: number;
}

/** The edge's own ring: sees to it that it takes our devices, and tells it what is stored. */
export interface OwnRing {
  acknowledge(stored: Stored): void;
  /** The highest counter of a device that is known to be true. */
  mark(devAddr: string, mark: DeviceMark): void;
  /** The ring takes what is wanted when this resolves. @throws AntirioError where the bridge does not do so. */
  ensure(): Promise<void>;
  stop(): Promise<void>;
}

export interface OwnRingPorts {
  readonly bridge: HttpPeer;
  readonly ring: string;
  readonly prefix: string;
  readonly log: Log;
  readonly wanted: () => Wanted;
  readonly asked: Asked;
  /** Whether a join of ours gave the address away, so that it goes when it is not wanted any more. */
  readonly wasGiven: (devAddr: string) => boolean;
  /** Between two looks at what is to be acknowledged (default 1 s). */
  readonly intervalMs?: number;
}

const INTERVAL_MS = 1000;
/** Somebody may remove or change the ring at any time. */
const CHECK_EVERY = 5;
const PUT_TIMEOUT_MS = 4000;
/** An hour of frames of a device that sends one each second. */
const BUDGET_PER_DEVICE = 3600 * 300;
/** Of many devices together: the rings of neighbours' contracts come out of the same total. */
const MOST = 1 << 28;
/** With less the ring would be of no use. */
const LEAST = 1 << 16;

/** The ring may be made anew, or come from an old disk. */
const MARK_ALL_EVERY = 60;
const MARKS_AT_ONCE = 1000;

const hasAll = (known: readonly string[], wanted: readonly string[]): boolean => {
  const set = new Set(known);
  return wanted.every((one) => set.has(one));
};

/** Whether some of these are still there. */
function hasAny(found: Found | undefined, names: readonly string[]): boolean {
  const { devAddrs = [], devEuis = [] } = found ?? {};
  const there = new Set(names.length === 0 ? [] : [...devAddrs, ...devEuis]);
  return names.some((name) => there.has(name));
}

export function openOwnRing(ports: OwnRingPorts): OwnRing {
  const { bridge, ring, prefix, log } = ports;
  const path = `/api/v3/ring/${ring}`;
  let ensured = false;
  let rounds = 0;
  let stored: Stored | undefined;
  /** What the bridge was told of last, or will not have. */
  let told: Stored | undefined;
  let ensuring: Promise<void> = Promise.resolve();
  const marks = new Map<string, DeviceMark>();
  const unmarked = new Set<string>();

  const known = async (): Promise<Found | undefined> => {
    try {
      return parseInput(ringSchema, await callJson(bridge, { path }));
    } catch (error) {
      if (isAntirioError(error, 'notFound')) return undefined;
      throw error;
    }
  };
  const isRight = (found: Found | undefined, { devAddrs, devEuis, sharing }: Wanted): boolean => {
    if (found?.deliver !== true || found.prefix !== prefix) return false;
    const groups = (all: Wanted['sharing']): string[] => all.map((group) => group.join());
    return (
      hasAll(found.devAddrs, devAddrs) &&
      hasAll(found.devEuis, devEuis) &&
      hasAll(groups(found.sharing), groups(sharing))
    );
  };
  /** With less where the bridge has not so much room. */
  const putWith = async (filter: object, budgetBytes: number, least: number): Promise<void> => {
    const json = { ...filter, budgetBytes, prefix, deliver: true };
    try {
      await callJson(bridge, { method: 'PUT', path, json, timeoutMs: PUT_TIMEOUT_MS });
    } catch (error) {
      if (!isAntirioError(error, 'storageFull') || budgetBytes <= least) throw error;
      await putWith(filter, Math.max(least, Math.floor(budgetBytes / 2)), least);
    }
  };
  const filterOf = (found: Found | undefined, wanted: Wanted, before: ReadonlySet<string>) => {
    const ours = new Set(wanted.devAddrs);
    const isOthers = (one: string): boolean => !ours.has(one) && !before.has(one) && !ports.wasGiven(one);
    const others = (found?.devAddrs ?? []).filter(isOthers);
    const otherEuis = (found?.devEuis ?? []).filter((devEui) => !before.has(devEui));
    const devEuis = [...new Set([...otherEuis, ...wanted.devEuis])];
    const otherGroups = (found?.sharing ?? []).filter((group) => group.every(isOthers));
    const sharing = [...otherGroups, ...wanted.sharing];
    return {
      sensors: Math.max(1, others.length + wanted.devices),
      filter: { devAddrs: [...others, ...ours], devEuis, sharing },
    };
  };
  /** An address that is given away may be another device's next. */
  const keepMarks = (devAddrs: readonly string[]): void => {
    const kept = new Set(devAddrs);
    for (const devAddr of marks.keys())
      if (!kept.has(devAddr)) {
        marks.delete(devAddr);
        unmarked.delete(devAddr);
      }
  };
  const put = async (): Promise<void> => {
    const found = await known();
    const wanted = ports.wanted();
    keepMarks(wanted.devAddrs);
    const before = ports.asked.all();
    const names = new Set([...wanted.devAddrs, ...wanted.devEuis]);
    const unwanted = [...before].filter((name) => !names.has(name));
    // what is put there by a service that is killed at once is known as its own all the same
    ports.asked.add([...names].filter((name) => !before.has(name)));
    if (hasAny(found, unwanted) || !isRight(found, wanted)) {
      const { filter, sensors } = filterOf(found, wanted, before);
      const held = found?.budgetBytes ?? 0;
      const budgetBytes = Math.max(held, Math.min(sensors * BUDGET_PER_DEVICE, MOST));
      await putWith(filter, budgetBytes, Math.max(held, LEAST));
    }
    // once is enough: whoever puts it there again has his reasons
    ports.asked.remove(unwanted);
    ensured = true;
  };
  const ensure = (): Promise<void> => {
    // one after the other: each takes in what the one before has put there
    const work = ensuring.then(put);
    ensuring = work.catch(() => undefined);
    return work;
  };
  const tell = async ({ incarnation, seq }: Stored): Promise<void> => {
    const json = { through: seq, incarnation };
    try {
      await callJson(bridge, { method: 'POST', path: `${path}/acknowledge`, json });
    } catch (error) {
      // another ring has its name: there is nothing to tell until its frames are stored
      if (isAntirioError(error, 'conflict')) return;
      // somebody removed it
      if (isAntirioError(error, 'notFound')) ensured = false;
      throw error;
    }
  };
  const tellMarks = async (): Promise<void> => {
    const names = rounds % MARK_ALL_EVERY === 0 ? [...marks.keys()] : [...unmarked];
    for (let i = 0; i < names.length; i += MARKS_AT_ONCE) {
      const some = names.slice(i, i + MARKS_AT_ONCE);
      const told = some.flatMap((name) => {
        const mark = marks.get(name);
        return mark === undefined ? [] : [[name, { session: mark.session, fcnt: mark.fcnt }] as const];
      });
      const json = { marks: Object.fromEntries(told) };
      for (const name of some) unmarked.delete(name);
      await callJson(bridge, { method: 'PUT', path: `${path}/marks`, json });
    }
  };
  const keep = async (): Promise<void> => {
    if (rounds++ % CHECK_EVERY === 0) ensured = false;
    if (!ensured) await ensure();
    await tellMarks();
    const next = stored;
    if (next === undefined || (next.incarnation === told?.incarnation && next.seq <= told.seq)) return;
    await tell(next);
    told = next;
  };
  const intervalMs = ports.intervalMs ?? INTERVAL_MS;
  const work: Repeating = repeat('keeping the own ring', intervalMs, log, keep);
  return {
    acknowledge(next) {
      // a ring that begins anew counts from one again
      if (stored !== undefined && next.seq < stored.seq) told = undefined;
      stored = next;
    },
    mark(devAddr, mark) {
      const known = marks.get(devAddr);
      // an address of two devices: the counter of one says nothing about the other's
      if (known !== undefined && known.devEui !== mark.devEui) return;
      marks.set(devAddr, mark);
      unmarked.add(devAddr);
    },
    ensure,
    stop: () => work.stop(),
  };
}
