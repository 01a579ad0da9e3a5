import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { AntirioError, describeError, fromUtf8, toHex, type Clock, type Random } from '@antirio/kernel';
import { parseInput, readFileIfThere, writeFileDurably, type Check, type Log } from '@antirio/host';
import { ENCODINGS } from '../bus/encoding.ts';
import { oneAtATime } from './one-at-a-time.ts';
import { openRing, type Ring, type RingSettings } from './ring.ts';
import { openHighWaters, type HighWater, type HighWaters } from './high-water.ts';
import { createRateLimit, type RateLimit } from './rate.ts';
import { createRoom } from './room.ts';

/** The ring that another edge's ring is asked for what this one lacks. */
export interface GapSource {
  readonly edgeId: string;
  readonly ringId: string;
  /** Its joins are known here up to this number; where it tells of a higher one, nothing is read. Without it nobody asks. */
  readonly joins?: number | undefined;
}

export const ringIdSchema = z
  .string()
  .regex(/^(?!\.)[A-Za-z0-9._-]{1,128}$/, 'letters, digits, `.`, `_` and `-`');

export const devAddrSchema = z
  .string()
  .regex(/^[0-9a-fA-F]{8}$/, 'a DevAddr: 8 hex digits')
  .transform((text) => text.toLowerCase());

export const devEuiSchema = z
  .string()
  .regex(/^[0-9a-fA-F]{16}$/, 'a DevEUI: 16 hex digits')
  .transform((text) => text.toLowerCase());

export const gapSourceSchema = z.strictObject({
  edgeId: z.string().min(1).max(128),
  ringId: ringIdSchema,
  joins: z.int().min(0).optional(),
});

const storedSchema = z.object({
  incarnation: z.string().min(1),
  /** The edge whose frames these are: the only neighbour that may read and acknowledge. */
  owner: z.string().optional(),
  source: gapSourceSchema.optional(),
  /** What was heard of its motes before it was there is still to be taken in. */
  unfilled: z.boolean().optional(),
  settings: z.object({
    devAddrs: z.array(z.string()),
    devEuis: z.array(z.string()).default([]),
    sharing: z.array(z.array(z.string()).readonly()).readonly().optional(),
    budgetBytes: z.int(),
    prefix: z.string(),
    deliver: z.boolean(),
    encoding: z.enum(ENCODINGS).optional(),
    joins: z.int().optional(),
    retainS: z.int(),
  }),
});

type Stored = z.output<typeof storedSchema>;

/** A ring with what the bridge knows of it. */
export interface HeldRing {
  readonly ring: Ring;
  readonly owner: string | undefined;
  readonly source: GapSource | undefined;
  /** The highest counter known to be true for a mote of the ring; false of a mote that is not in its filter. */
  mark(devAddr: string, mark: HighWater): boolean;
  markOf(devAddr: string): HighWater | undefined;
  marks(): Readonly<Record<string, HighWater>>;
  /** Of how many motes one is known. */
  readonly marked: number;
}

export interface Rings {
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
  remove(id: string): Promise<void>;
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
  readonly marks: HighWaters;
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
const BACKFILL_PAGE = 200;
const neighbourhoodSettings = (budgetBytes: number): RingSettings => ({
  devAddrs: [],
  devEuis: [],
  budgetBytes,
  prefix: '',
  deliver: false,
  retainS: 3600,
});

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

/** All rings of the edge, one folder each. */
export function openRings(ports: RingsPorts): Rings {
  const { folder, clock, log } = ports;
  const held = new Map<string, Held>();
  const room = createRoom(ports.totalBudgetBytes, () =>
    [...held].map(([id, { ring, stored }]) => ({
      id,
      budgetBytes: stored.settings.budgetBytes,
      bytes: ring.bytes,
    })),
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

  const openNeighbourhood = (): Ring =>
    openRing(
      {
        id: NEIGHBOURHOOD,
        incarnation: NEIGHBOURHOOD,
        folder: join(folder, NEIGHBOURHOOD, 'log'),
        segmentBytes: Math.min(ports.segmentBytes, Math.ceil(ports.neighbourhoodBytes / 8)),
        rate: knownOf(NEIGHBOURHOOD).rate,
        clock,
        shared: true,
      },
      neighbourhoodSettings(ports.neighbourhoodBytes),
    );
  let neighbourhood = openNeighbourhood();
  let strangers: readonly Ring[] = [neighbourhood];

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

  const must = (id: string): Held => {
    const found = held.get(id);
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
  });
  const takeOver = async (id: string, adopt: string): Promise<void> => {
    const entry = held.get(adopt);
    if (entry === undefined) return;
    if (shut.has(id)) throw new AntirioError('unavailable', `ring ${id} cannot be opened`, { ring: id });
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
  /** What was heard of these motes before anybody asked for it. */
  const backfill = async (ring: Ring): Promise<void> => {
    const wanted = new Set(ring.settings.devAddrs.map((devAddr) => Number.parseInt(devAddr, 16)));
    const isWanted = (phyPayload: Uint8Array): boolean =>
      phyPayload.length >= 5 &&
      wanted.has(new DataView(phyPayload.buffer, phyPayload.byteOffset).getUint32(1, true));
    let after = 0;
    for (;;) {
      const page = await neighbourhood.frames(after, BACKFILL_PAGE);
      const last = page.at(-1);
      if (last === undefined) return;
      const wantedFrames = page.filter((frame) => isWanted(frame.phyPayload));
      const taken = wantedFrames.map((frame) => ring.take(frame, false));
      await Promise.all(taken.flatMap((one) => (one.kind === 'dropped' ? [] : [one.durable])));
      after = last.seq;
    }
  };
  /** Done again after a start that came in between: taking a frame in twice is taking it in once. */
  const fill = async (id: string): Promise<void> => {
    const entry = must(id);
    const { stored, ring } = entry;
    if (stored.unfilled !== true) return;
    await neighbourhood.settled().catch(() => undefined);
    // taken when it is open again
    if (neighbourhood.failed) return;
    await backfill(ring);
    // Changed meanwhile: whoever changed it fills it.
    if (held.get(id) !== entry || entry.stored !== stored || entry.ring !== ring) return;
    const { unfilled: _done, ...filled } = stored;
    entry.stored = filled;
    write(id, filled);
  };
  const storedOf = (settings: RingSettings, owner: string | undefined, known: Stored | undefined): Stored => {
    const { devAddrs, devEuis } = settings;
    const copy = { ...settings, devAddrs: [...new Set(devAddrs)], devEuis: [...new Set(devEuis)] };
    const incarnation = known?.incarnation ?? newIncarnation();
    const added = copy.devAddrs.some((devAddr) => known?.settings.devAddrs.includes(devAddr) !== true);
    const unfilled = added || known?.unfilled === true ? { unfilled: true } : {};
    return { incarnation, owner, source: known?.source, ...unfilled, settings: copy };
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
  const tidyNeighbourhood = async (): Promise<void> => {
    if (neighbourhood.failed) {
      await neighbourhood.close().catch(() => undefined);
      neighbourhood = openNeighbourhood();
      strangers = [neighbourhood];
    }
    neighbourhood.tidy();
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
    room.admit(id, settings.budgetBytes, adopt);
    if (adopt !== undefined && adopt !== id && !held.has(id)) {
      moving = takeOver(id, adopt).finally(() => {
        moving = undefined;
      });
      await moving;
    }
    const known = held.get(id)?.stored;
    const stored = storedOf(settings, owner, known);
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
  // a ring may be made anew while its folder is being removed
  const alone = oneAtATime();
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
    matching: (devAddr) => byDevAddr.get(devAddr) ?? strangers,
    joining: (devEui) => byDevEui.get(devEui) ?? [],
    put: (id, settings, about) => alone(() => put(id, settings, about)),
    remove: (id) => alone(() => remove(id)),
    setSource(id, source) {
      const entry = must(id);
      entry.stored = { ...entry.stored, source };
      write(id, entry.stored);
    },
    async tidy() {
      const failures: unknown[] = [];
      const attempt = (work: Promise<void>): Promise<unknown> =>
        work.catch((error: unknown) => failures.push(error));
      await attempt(tidyNeighbourhood());
      for (const [id, entry] of held) await attempt(tidyOne(id, entry));
      for (const id of shut) await attempt(openAgain(id));
      // one ring's trouble is not the others'
      if (failures.length > 0) throw failures[0];
    },
    check() {
      const all = [neighbourhood, ...[...held.values()].map(({ ring }) => ring)];
      const failed = [...all.filter((ring) => ring.failed).map(({ id }) => id), ...shut];
      return failed.length === 0 ? { ok: true } : { ok: false, detail: `cannot write ${failed.join(', ')}` };
    },
    async close() {
      for (const entry of held.values()) {
        await entry.ring.close();
        entry.motes.marks.save();
      }
      await neighbourhood.close();
    },
  };
}
