import { join } from 'node:path';
import { z } from 'zod';
import { AntirioError, fromUtf8, sha256Hex, type Clock } from '@antirio/kernel';
import { parseInput, readFileIfThere, writeFileDurably, type Check } from '@antirio/host';
import {
  actsFrom,
  judgeDownlink,
  judgeJoinAccept,
  judgeLentDownlink,
  nothingOnAir,
  passedAhead,
  startedUnder,
  tenureWords,
  underEpoch,
  type CounterBlock,
  type DownlinkRefusal as Refusal,
  type DownlinkVerdict as Verdict,
  type Fence,
  type FencedFrame,
  type LentRefusal,
  type Loan,
  type OnAir,
} from '@antirio/service-contract';
import { openMarks } from './marks.ts';

/** What the arbitrator opens a protected set with. Times in monotonic ms of this host. */
export interface SetWindow {
  readonly devAddrs: readonly string[];
  /** Devices of the set that join: their JoinRequests are answered by whoever acts for it. */
  readonly devEuis?: readonly string[] | undefined;
  readonly epoch: number;
  readonly slot: number;
  readonly actFrom: number;
  readonly actUntil: number;
}

export interface SetStatus extends SetWindow {
  readonly setId: string;
  readonly open: boolean;
  /** A DevAddr of it that another set had first: that one is judged under the other set, and is not among `devAddrs`. */
  readonly collides?: string | undefined;
  readonly blocks: readonly (CounterBlock & { readonly devAddr: string })[];
  /** The highest counter used, by DevAddr. */
  readonly counters: Readonly<Record<string, number>>;
}

interface Allowed {
  readonly allowed: true;
  readonly fcnt: number;
}

/** A downlink that was let through: its counter is durably marked with its bytes. `noSlot`: not asked for by the fence. */
export type Passage = Allowed | { readonly allowed: false; readonly reason: Refusal | 'noSlot' };

/** As for a `Passage`, of a downlink that another edge has lent. */
type LentPassage = Allowed | { readonly allowed: false; readonly reason: LentRefusal | 'noSlot' };

/** A frame that comes to the fence, as `pass` takes it. */
export interface Passing {
  readonly devAddr: string;
  readonly fcnt16: number;
  readonly phyPayload: Uint8Array;
  readonly ahead: () => number | undefined;
  readonly slot: () => Promise<void> | undefined;
  /** Where it is not this edge's gateway that sends it. */
  readonly onAirWithinMs?: number;
}

/** The last check before a gateway's socket. */
export interface FenceKeeper {
  /** DevAddrs that another set has stay with that one, for as long as it has them. @throws AntirioError conflict for a lower epoch */
  open(setId: string, window: SetWindow): void;
  /** @throws AntirioError notFound where the set has no such device. */
  grant(setId: string, devAddr: string, block: CounterBlock): void;
  /**
   * Nothing of the set passes until it is opened again. A set that is not known yet, or not with all of these DevAddrs, is shut from
   * now on with them, and so is one that has a DevAddr not named here, for which another set waits. Never throws for what another has.
   */
  close(setId: string, devAddrs?: readonly string[], devEuis?: readonly string[]): void;
  remove(setId: string): void;
  sets(): SetStatus[];
  /** Counted since the start. */
  refused(): Readonly<Partial<Record<LentRefusal, number>>>;
  /**
   * Checks, marks the counter durably, checks again: whatever ended in between is refused. `ahead` gives ms until air time by
   * the gateway's clock. `slot` is asked once the first check is passed, and is to be durable as well; where it gives none,
   * nothing is marked.
   */
  pass(frame: Passing): Promise<Passage>;
  /** The same for a frame that another edge has lent this one's gateway, for a set that this one does not act for. */
  passLent(loan: Loan, frame: Passing): Promise<LentPassage>;
  /** Which set's a device is. */
  setOf(devAddr: string): { readonly setId: string; readonly epoch: number } | undefined;
  /**
   * The right by which this edge may act for a device now: the same words as long as it is the same one, empty while it has none.
   * With the same words twice nobody else had it in between.
   */
  tenureOf(devAddr: string): string;
  /** Whether a JoinAccept to this device may go now; `devAddrs` are those of its set, where only these are known. */
  judgeJoin(devEui: string, devAddrs: readonly string[], aheadMs: number | undefined): Refusal | undefined;
  /** Whether used counters can be written down. */
  check(): Check;
  /** Opens again what could not be written. */
  tidy(): Promise<void>;
  stop(): Promise<void>;
}

const storedSchema = z.record(
  z.string(),
  z.object({
    devAddrs: z.array(z.string()),
    leftOut: z.array(z.string()).default([]),
    devEuis: z.array(z.string()).optional(),
    epoch: z.int(),
    slot: z.int(),
  }),
);

interface ProtectedSet {
  devAddrs: readonly string[];
  /** Wanted as well, but another set has them. */
  leftOut: readonly string[];
  devEuis?: readonly string[] | undefined;
  epoch: number;
  slot: number;
  actFrom: number;
  actUntil: number;
  open: boolean;
  air: OnAir;
  readonly blocks: Map<string, CounterBlock[]>;
}

const airUnder = (set: ProtectedSet | undefined, epoch: number): OnAir =>
  underEpoch(set?.air ?? nothingOnAir, epoch);

/** The tenure of devices that nobody else may act for. */
const NO_SET = 'own';

/** Blocks remembered for each device: used ones are below the marks and may go. */
const BLOCKS_KEPT = 32;

/** Opens the fence: every set known before is shut, every counter used before is known. */
export async function openFence(folder: string, clock: Clock): Promise<FenceKeeper> {
  const path = join(folder, 'sets.json');
  const marks = await openMarks(folder);
  const sets = new Map<string, ProtectedSet>();
  const setOf = new Map<string, ProtectedSet>();
  const refused: Partial<Record<LentRefusal, number>> = {};

  const index = (): void => {
    setOf.clear();
    for (const set of sets.values()) for (const devAddr of set.devAddrs) setOf.set(devAddr, set);
    // what its set has let go of is the next one's that waits for it, and never free in between
    for (const set of sets.values()) {
      const came = set.leftOut.filter((devAddr) => !setOf.has(devAddr));
      if (came.length === 0) continue;
      set.devAddrs = [...set.devAddrs, ...came];
      set.leftOut = set.leftOut.filter((devAddr) => !came.includes(devAddr));
      for (const devAddr of came) setOf.set(devAddr, set);
    }
  };
  const shareOf = (setId: string, wanted: readonly string[]): Pick<ProtectedSet, 'devAddrs' | 'leftOut'> => {
    const known = sets.get(setId);
    const isTaken = (devAddr: string): boolean => (setOf.get(devAddr) ?? known) !== known;
    return {
      devAddrs: wanted.filter((one) => !isTaken(one)),
      leftOut: wanted.filter(isTaken),
    };
  };
  const save = (): void => {
    const stored = [...sets].map(
      ([id, { devAddrs, leftOut, devEuis, epoch, slot }]) =>
        [id, { devAddrs, leftOut, devEuis, epoch, slot }] as const,
    );
    writeFileDurably(path, JSON.stringify(Object.fromEntries(stored)));
  };
  const bytes = readFileIfThere(path);
  if (bytes !== undefined)
    for (const [id, stored] of Object.entries(parseInput(storedSchema, JSON.parse(fromUtf8(bytes)))))
      sets.set(id, {
        ...{ ...stored, actFrom: 0, actUntil: 0, open: false, blocks: new Map() },
        air: startedUnder(stored.epoch, clock.monotonic()),
      });
  index();

  const fenceIn = (set: ProtectedSet, devAddr: string): Extract<Fence, { kind: 'set' }> => {
    const { open, slot, actFrom, actUntil } = set;
    const blocks = set.blocks.get(devAddr) ?? [];
    return { kind: 'set', open, slot, actFrom, actUntil, blocks, marks: marks.of(devAddr) };
  };
  const fenceOf = (devAddr: string): Fence => {
    const set = setOf.get(devAddr);
    return set === undefined ? { kind: 'free', marks: marks.of(devAddr) } : fenceIn(set, devAddr);
  };
  const judge = (devAddr: string, frame: FencedFrame): Verdict =>
    judgeDownlink(fenceOf(devAddr), frame, clock.monotonic());
  const noteOnAir = (set: ProtectedSet | undefined, aheadMs: number | undefined): void => {
    if (set === undefined || aheadMs === undefined) return;
    set.air = passedAhead(set.air, aheadMs, clock.monotonic());
  };
  const countersOf = (devAddrs: readonly string[]): Record<string, number> =>
    Object.fromEntries(
      devAddrs.flatMap((devAddr) => {
        const { highest } = marks.of(devAddr);
        return highest === undefined ? [] : [[devAddr, highest]];
      }),
    );
  const refuse = <R extends LentRefusal>(reason: R): { readonly allowed: false; readonly reason: R } => {
    refused[reason] = (refused[reason] ?? 0) + 1;
    return { allowed: false, reason };
  };
  const passing = async <R extends LentRefusal>(
    { devAddr, fcnt16, phyPayload, ahead, slot, onAirWithinMs }: Passing,
    verdict: (facts: FencedFrame) => Allowed | { readonly allowed: false; readonly reason: R },
  ): Promise<Allowed | { readonly allowed: false; readonly reason: R | 'noSlot' }> => {
    const hash = sha256Hex(phyPayload).slice(0, 32);
    const facts = (): FencedFrame => ({ fcnt16, hash, aheadMs: ahead() });
    const first = verdict(facts());
    if (!first.allowed) return refuse(first.reason);
    const slotDurable = slot();
    if (slotDurable === undefined) return { allowed: false, reason: 'noSlot' };
    await Promise.all([marks.mark(devAddr, first.fcnt, hash), slotDurable]);
    const last = facts();
    const second = verdict(last);
    if (!second.allowed) return refuse(second.reason);
    noteOnAir(setOf.get(devAddr), onAirWithinMs ?? last.aheadMs);
    return second;
  };
  const checkEpoch = (setId: string, { epoch }: SetWindow): void => {
    const known = sets.get(setId)?.epoch ?? epoch;
    if (epoch < known)
      throw new AntirioError('conflict', `epoch ${epoch} is over: ${known} is known`, { epoch: known });
  };
  /** Whether a set that is shut gets addresses by it, or gives some to a set that waits for them. */
  const isNews = (setId: string, { devAddrs, leftOut }: ProtectedSet, named: readonly string[]): boolean => {
    const known = new Set([...devAddrs, ...leftOut]);
    if (named.some((one) => !known.has(one))) return true;
    const kept = new Set(named);
    const awaited = new Set([...sets].flatMap(([id, other]) => (id === setId ? [] : other.leftOut)));
    return devAddrs.some((one) => awaited.has(one) && !kept.has(one));
  };

  return {
    open(setId, window) {
      checkEpoch(setId, window);
      const known = sets.get(setId);
      const share = shareOf(setId, window.devAddrs);
      const sameEpoch = known?.epoch === window.epoch && known.slot === window.slot;
      const blocks = sameEpoch ? known.blocks : new Map<string, CounterBlock[]>();
      const air = airUnder(known, window.epoch);
      const actFrom = actsFrom(air, window.actFrom);
      sets.set(setId, { ...window, ...share, actFrom, open: true, air, blocks });
      index();
      // a lease is renewed often; only what must outlast the process is written
      const same =
        sameEpoch &&
        known.devAddrs.join() === share.devAddrs.join() &&
        known.leftOut.join() === share.leftOut.join() &&
        known.devEuis?.join() === window.devEuis?.join();
      if (!same) save();
    },
    grant(setId, devAddr, block) {
      const set = sets.get(setId);
      if (set?.devAddrs.includes(devAddr) !== true)
        throw new AntirioError('notFound', `no device ${devAddr} in a set ${setId}`);
      const blocks = set.blocks.get(devAddr) ?? [];
      if (blocks.some(({ first, last }) => first === block.first && last === block.last)) return;
      set.blocks.set(devAddr, [...blocks, block].slice(-BLOCKS_KEPT));
    },
    close(setId, devAddrs, devEuis) {
      const set = sets.get(setId);
      if (set !== undefined) {
        set.open = false;
        if (devAddrs === undefined || !isNews(setId, set, devAddrs)) return;
        Object.assign(set, shareOf(setId, devAddrs));
      } else if (devAddrs !== undefined) {
        const window = { devEuis, epoch: 0, slot: 0, actFrom: 0, actUntil: 0 };
        const shut = { ...window, open: false, air: nothingOnAir, blocks: new Map() };
        sets.set(setId, { ...shut, ...shareOf(setId, devAddrs) });
      } else return;
      index();
      save();
    },
    remove(setId) {
      if (!sets.delete(setId)) return;
      index();
      save();
    },
    sets: () =>
      [...sets].map(([setId, { blocks, leftOut, air: _, ...set }]) => ({
        setId,
        ...set,
        ...(leftOut[0] === undefined ? {} : { collides: leftOut[0] }),
        counters: countersOf(set.devAddrs),
        blocks: [...blocks].flatMap(([devAddr, granted]) => granted.map((block) => ({ devAddr, ...block }))),
      })),
    refused: () => ({ ...refused }),
    judgeJoin(devEui, devAddrs, aheadMs) {
      const named = [...sets.values()].filter((set) => set.devEuis?.includes(devEui) === true);
      const found = named.length > 0 ? named : devAddrs.flatMap((devAddr) => setOf.get(devAddr) ?? []);
      const concerned = [...new Set(found)];
      const fences = concerned.map((set) => fenceIn(set, ''));
      const reason = judgeJoinAccept(fences, aheadMs, clock.monotonic());
      if (reason !== undefined) refuse(reason);
      else for (const set of concerned) noteOnAir(set, aheadMs);
      return reason;
    },
    pass: (frame) => passing(frame, (facts) => judge(frame.devAddr, facts)),
    passLent: (loan, frame) =>
      passing(frame, (facts) => {
        const { open = false, epoch = 0 } = setOf.get(frame.devAddr) ?? {};
        const fence = { open, epoch, marks: marks.of(frame.devAddr) };
        return judgeLentDownlink(fence, loan, facts, clock.monotonic());
      }),
    setOf(devAddr) {
      for (const [setId, { devAddrs, epoch }] of sets)
        if (devAddrs.includes(devAddr)) return { setId, epoch };
      return undefined;
    },
    tenureOf(devAddr) {
      const set = setOf.get(devAddr);
      if (set === undefined) return NO_SET;
      const now = clock.monotonic();
      if (!set.open || now < set.actFrom || now >= set.actUntil) return '';
      const [setId = ''] = [...sets].find(([, one]) => one === set) ?? [];
      return tenureWords(setId, set.epoch);
    },
    check: () => (marks.failed ? { ok: false, detail: 'cannot write used counters' } : { ok: true }),
    tidy: () => marks.tidy(),
    stop: () => marks.close(),
  };
}
