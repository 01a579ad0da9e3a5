import { mkdirSync, readdirSync, renameSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { AntirioError, describeError, fromUtf8, toHex, type Clock, type Random } from '@antirio/kernel';
import { parseInput, readFileIfThere, writeFileDurably, type Check, type Log } from '@antirio/host';
import { createRateLimit, type HighWater, type RateLimit } from '@antirio/shadow-buffer';
import { createKeptRings, type KeptCounts, type KeptView } from './kept-rings.ts';
import { openNeighbourhood } from './neighbourhood.ts';
import { oneAtATime } from './one-at-a-time.ts';
import { openRing, type Ring, type RingSettings } from './ring.ts';
import { openHighWaters, type KeptHighWaters } from './marks-file.ts';
import { createRoom } from './room.ts';
import { keptSettings, storedOf, storedSchema, type GapSource, type Stored } from './stored-ring.ts';

/** A ring with what the bridge knows of it. */
export interface HeldRing {
  readonly ring: Ring;
  readonly owner: string | undefined;
  readonly source: GapSource | undefined;
  /** Where its contract is over: for how long it still stays. */
  readonly kept: KeptView | undefined;
  /** The highest counter known to be true for a mote of the ring; false of a mote that is not in its filter. */
  mark(devAddr: string, mark: HighWater): boolean;
  markOf(devAddr: string): HighWater | undefined;
  marks(): Readonly<Record<string, HighWater>>;
  /** Of how many motes one is known. */
  readonly marked: number;
}

export interface Rings {
  /** @throws AntirioError notFound | unavailable: it is there, and cannot be opened now (the edge's own: notFound) */
  get(id: string): HeldRing;
  find(id: string): HeldRing | undefined;
  all(): HeldRing[];
  /** Set while a ring changes its name: until then nobody knows whose its frames are. */
  readonly moving: Promise<void> | undefined;
  /** The rings whose filter has the DevAddr; the neighbourhood's where there is none. */
  matching(devAddr: string): readonly Ring[];
  /** The rings that deliver JoinRequests of the DevEUI. */
  joining(devEui: string): readonly Ring[];
  /**
   * Creates or changes a ring, durably. A new one may take over the frames of another (`adopt`), which ends with that.
   * @throws AntirioError storageFull where its budget does not fit.
   */
  put(
    id: string,
    settings: RingSettings,
    about: { readonly owner?: string; readonly adopt?: string },
  ): Promise<HeldRing>;
  /** Whether it can be opened or not. */
  remove(id: string): Promise<void>;
  /**
   * The ring's contract is over: it takes nothing more, durably, and what it holds stays for its owner for `forMs` of our being up,
   * as far as living rings leave room. It goes by itself then.
   */
  keep(id: string, forMs: number): Promise<HeldRing>;
  /** What became of such rings' frames since the start. */
  keptCounts(): KeptCounts;
  setSource(id: string, source: GapSource | undefined): void;
  /** Lets go of what may leave; opens again what could not be written. */
  tidy(): Promise<void>;
  check(): Check;
  close(): Promise<void>;
}

export interface RingsPorts {
  readonly folder: string;
  /** Of the ring for frames that match no other. */
  readonly neighbourhoodBytes: number;
  readonly totalBudgetBytes: number;
  /** Rings of contracts that are over. */
  readonly keptMost?: number;
  /** Bytes that the disk has left; what the system says where absent. */
  readonly freeDisk?: () => number;
  readonly segmentBytes: number;
  readonly framesPerSecond: number;
  readonly burst: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** What is known of a ring's motes, whatever becomes of its log. */
interface Known {
  readonly rate: RateLimit;
  readonly marks: KeptHighWaters;
}

interface Held {
  ring: Ring;
  stored: Stored;
  readonly motes: Known;
}

const SETTINGS = 'ring.json';
const MARKS = 'marks.json';
/** Not a name that a ring can have. */
const NEIGHBOURHOOD = '.neighbourhood';
const KEPT_MOST = 32;
const OWN = 'own';

type ByName = Map<string, readonly Ring[]>;

function grouped(
  held: ReadonlyMap<string, Held>,
  keysOf: (settings: RingSettings) => readonly string[],
): ByName {
  const groups: ByName = new Map();
  for (const { ring } of held.values()) {
    // one list for all of a ring's motes that no other one has
    const alone = [ring];
    for (const key of keysOf(ring.settings)) {
      const rings = groups.get(key);
      groups.set(key, rings === undefined ? alone : [...rings, ring]);
    }
  }
  return groups;
}

function openKnown(path: string, { framesPerSecond, burst, clock }: RingsPorts): Known {
  const marks = openHighWaters(path, { framesPerSecond, clock });
  return { marks, rate: createRateLimit(framesPerSecond, burst, marks) };
}

function freeOn(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

/** All rings of the edge, one folder each. */
export function openRings(ports: RingsPorts): Rings {
  const { folder, clock, log } = ports;
  const held = new Map<string, Held>();
  const room = createRoom(ports.totalBudgetBytes, () =>
    [...held].flatMap(([id, { ring, stored }]) =>
      // what is kept of a contract that is over is in nobody's way
      stored.kept === undefined ? [{ id, budgetBytes: stored.settings.budgetBytes, bytes: ring.bytes }] : [],
    ),
  );
  let moving: Promise<void> | undefined;
  let byDevAddr = new Map<string, readonly Ring[]>();
  let byDevEui = new Map<string, readonly Ring[]>();
  mkdirSync(folder, { recursive: true });

  const index = (): void => {
    byDevAddr = grouped(held, ({ devAddrs }) => devAddrs);
    byDevEui = grouped(held, ({ deliver, devEuis }) => (deliver ? devEuis : []));
  };
  const write = (id: string, stored: Stored): void =>
    writeFileDurably(join(folder, id, SETTINGS), JSON.stringify(stored));
  const newIncarnation = (): string => toHex(ports.random.bytes(8));
  const openOne = (id: string, known: Stored, motes: Known): Held => {
    let stored = known;
    const renew = (): string => {
      const incarnation = newIncarnation();
      stored = { ...stored, incarnation };
      write(id, stored);
      log.warn({ ring: id }, 'the ring is damaged: its readers begin anew');
      return incarnation;
    };
    const { segmentBytes } = ports;
    const ring = openRing(
      {
        id,
        incarnation: known.incarnation,
        renew,
        folder: join(folder, id, 'log'),
        segmentBytes,
        ...motes,
        clock,
        spare: () => room.spareOf(id),
      },
      known.settings,
    );
    return { ring, stored, motes };
  };
  const knownOf = (id: string): Known => openKnown(join(folder, id, MARKS), ports);

  const neighbourhood = openNeighbourhood({
    id: NEIGHBOURHOOD,
    folder: join(folder, NEIGHBOURHOOD, 'log'),
    budgetBytes: ports.neighbourhoodBytes,
    segmentBytes: Math.min(ports.segmentBytes, Math.ceil(ports.neighbourhoodBytes / 8)),
    rate: () => knownOf(NEIGHBOURHOOD).rate,
    clock,
  });

  /** Rings whose folders cannot be read. */
  const shut = new Set<string>();
  const openStored = (id: string): void => {
    const bytes = readFileIfThere(join(folder, id, SETTINGS));
    // a folder without settings was being made or removed when the process ended
    if (bytes === undefined) rmSync(join(folder, id), { recursive: true, force: true });
    else held.set(id, openOne(id, parseInput(storedSchema, JSON.parse(fromUtf8(bytes))), knownOf(id)));
    shut.delete(id);
  };
  for (const id of readdirSync(folder)) {
    if (id === NEIGHBOURHOOD) continue;
    try {
      openStored(id);
    } catch (error) {
      shut.add(id);
      log.error({ ring: id, error: describeError(error) }, 'the ring cannot be opened');
    }
  }
  index();

  const cannotOpen = (id: string): AntirioError =>
    new AntirioError('unavailable', `ring ${id} cannot be opened`, { ring: id });
  const must = (id: string): Held => {
    const found = held.get(id);
    // it is there: who hears that it is not lets go of what it holds; our own is made anew by its service
    if (found === undefined && shut.has(id) && id !== OWN) throw cannotOpen(id);
    if (found === undefined) throw new AntirioError('notFound', `no ring ${id}`);
    return found;
  };
  const view = ({ ring, stored, motes }: Held): HeldRing => ({
    ring,
    mark(devAddr, mark) {
      const isWanted = byDevAddr.get(devAddr)?.includes(ring) === true;
      if (isWanted) motes.marks.raise(devAddr, mark);
      return isWanted;
    },
    markOf: (devAddr) => motes.marks.of(devAddr),
    marks: () => motes.marks.all(),
    get marked() {
      return motes.marks.count;
    },
    ...{ owner: stored.owner, source: stored.source },
    kept: stored.kept && keptRings.of(ring.id, stored.kept),
  });
  const takeOver = async (id: string, adopt: string): Promise<void> => {
    const entry = held.get(adopt);
    if (entry === undefined) return;
    if (shut.has(id)) throw cannotOpen(id);
    held.delete(adopt);
    index();
    await entry.ring.close();
    entry.motes.marks.save();
    renameSync(join(folder, adopt), join(folder, id));
    held.set(id, openOne(id, entry.stored, knownOf(id)));
    index();
  };
  const keep = (id: string, stored: Stored): void => {
    write(id, stored);
    const known = held.get(id);
    if (known === undefined) {
      held.set(id, openOne(id, stored, knownOf(id)));
      shut.delete(id);
    } else {
      known.stored = stored;
      known.ring.configure(stored.settings);
    }
    index();
  };
  /** Done again after a start that came in between: taking a frame in twice is taking it in once. */
  const fill = async (id: string): Promise<void> => {
    const entry = must(id);
    const { stored, ring } = entry;
    if (stored.unfilled !== true) return;
    if (!(await neighbourhood.fill(ring))) return;
    // Changed meanwhile: whoever changed it fills it.
    if (held.get(id) !== entry || entry.stored !== stored || entry.ring !== ring) return;
    const { unfilled: _done, ...filled } = stored;
    entry.stored = filled;
    write(id, filled);
  };
  const reopen = async (id: string, entry: Held): Promise<void> => {
    await entry.ring.close().catch(() => undefined);
    try {
      Object.assign(entry, openOne(id, entry.stored, entry.motes));
      index();
      log.info({ ring: id }, 'the ring can be written again');
    } catch (error) {
      log.warn({ ring: id, error: describeError(error) }, 'the ring cannot be opened');
    }
  };
  const openAgain = async (id: string): Promise<void> => {
    openStored(id);
    index();
    if (held.has(id)) await fill(id);
  };
  const tidyOne = async (id: string, entry: Held): Promise<void> => {
    if (entry.ring.failed) {
      await reopen(id, entry);
      return;
    }
    entry.ring.tidy();
    await fill(id);
    entry.motes.marks.save(clock.monotonic());
  };

  const put: Rings['put'] = async (id, settings, { owner, adopt }) => {
    if (held.get(id)?.stored.kept !== undefined)
      throw new AntirioError('conflict', `ring ${id} is of a contract that is over`);
    room.admit(id, settings.budgetBytes, adopt);
    if (adopt !== undefined && adopt !== id && !held.has(id)) {
      moving = takeOver(id, adopt).finally(() => {
        moving = undefined;
      });
      await moving;
    }
    const known = held.get(id)?.stored;
    const stored = storedOf(settings, owner, known, newIncarnation);
    if (JSON.stringify(known) !== JSON.stringify(stored)) keep(id, stored);
    // new frames go to the ring from here on; what was heard of its new devices before comes from the neighbourhood
    await fill(id);
    return view(must(id));
  };
  const remove: Rings['remove'] = async (id) => {
    if (!shut.delete(id)) {
      const entry = must(id);
      held.delete(id);
      index();
      await entry.ring.close();
    }
    rmSync(join(folder, id, SETTINGS), { force: true });
    rmSync(join(folder, id), { recursive: true, force: true });
  };
  const keepOn: Rings['keep'] = async (id, forMs) => {
    const { ring, stored } = must(id);
    const { unfilled: _nothing, source: _none, ...rest } = stored;
    // all of it may go now: nobody is owed more than its time
    await ring.acknowledge(ring.last);
    const { yielded, before } = stored.kept ?? { yielded: 0, before: ring.status().first - 1 };
    const kept = { forMs, agedMs: 0, yielded, before };
    keptRings.begin(id, stored.kept === undefined ? before : 0);
    keep(id, { ...rest, kept, settings: keptSettings(stored.settings) });
    return view(must(id));
  };
  // a ring may be made anew while its folder is being removed
  const alone = oneAtATime();
  const keptRings = createKeptRings({
    all: () =>
      [...held].map(([id, { ring, stored }]) => ({ id, ring, owner: stored.owner, kept: stored.kept })),
    change(id, kept) {
      const entry = must(id);
      entry.stored = { ...entry.stored, kept };
      write(id, entry.stored);
    },
    remove: (id) => alone(() => remove(id)),
    total: ports.totalBudgetBytes,
    most: ports.keptMost ?? KEPT_MOST,
    free: ports.freeDisk ?? (() => freeOn(folder)),
    ...{ clock, log },
  });
  return {
    get: (id) => view(must(id)),
    find(id) {
      const found = held.get(id);
      return found === undefined ? undefined : view(found);
    },
    all: () => [...held.values()].map(view),
    get moving() {
      return moving;
    },
    matching: (devAddr) => byDevAddr.get(devAddr) ?? neighbourhood.rings,
    joining: (devEui) => byDevEui.get(devEui) ?? [],
    put: (id, settings, about) => alone(() => put(id, settings, about)),
    remove: (id) => alone(() => remove(id)),
    keep: (id, forMs) => alone(() => keepOn(id, forMs)),
    keptCounts: () => keptRings.counts(),
    setSource(id, source) {
      const entry = must(id);
      entry.stored = { ...entry.stored, source };
      write(id, entry.stored);
    },
    async tidy() {
      const failures: unknown[] = [];
      const attempt = (work: Promise<void>): Promise<unknown> =>
        work.catch((error: unknown) => failures.push(error));
      await attempt(neighbourhood.tidy());
      for (const [id, entry] of held) await attempt(tidyOne(id, entry));
      for (const id of shut) await attempt(openAgain(id));
      await attempt(keptRings.tidy());
      // one ring's trouble is not the others'
      if (failures.length > 0) throw failures[0];
    },
    check() {
      const all = [neighbourhood.ring, ...[...held.values()].map(({ ring }) => ring)];
      const failed = [...all.filter((ring) => ring.failed).map(({ id }) => id), ...shut];
      return failed.length === 0 ? { ok: true } : { ok: false, detail: `cannot write ${failed.join(', ')}` };
    },
    async close() {
      // on a full disk as far as it goes: what one cannot write is no reason to leave another open
      const attempt = async (work: () => Promise<void> | void): Promise<void> => {
        try {
          await work();
        } catch (error) {
          log.warn({ error: describeError(error) }, 'not all of the rings could be written at the end');
        }
      };
      for (const { ring, motes } of held.values()) {
        await attempt(() => ring.close());
        await attempt(() => motes.marks.save());
      }
      await attempt(() => neighbourhood.ring.close());
      await attempt(() => keptRings.save());
    },
  };
}
