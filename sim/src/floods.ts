import { activationTerms, mayOweStatement } from '@antirio/service-contract';
import type { Judge } from './checks.ts';
import type { Engine } from './engine.ts';
import { seal } from './frames.ts';
import { FRAME_BYTES, limitedRing, type BufferPieces, type Drop, type RingLimits } from './limited-ring.ts';
import type { Motes } from './motes.ts';
import type { PartyHost } from './party-host.ts';
import type { Radio } from './radio.ts';
import { rollDice, type Dice } from './random.ts';
import type { openRing } from './ring.ts';
import { drawScenario, type NodeName, type Scenario } from './scenario.ts';
import type { Trace } from './trace.ts';

/** Somebody forges frames under motes' addresses, faster than they send, and rings have a budget. */
export interface Flood {
  readonly from: number;
  readonly until: number;
  readonly everyMs: number;
  /** Under the addresses of the first so many motes. */
  readonly victims: number;
  /** Under which counters: any, or those that the mote comes to next. */
  readonly counters: 'any' | 'next';
  /** Of one mote. */
  readonly shareBytes: number;
}

/** Counters above a mote's mark that count for its next ones. */
const WINDOW = 1024;
/** A mote's interval in a run is that much shorter at most. */
const SOONEST = 0.7;
/** Of what is not for the next frames. */
const BESIDE = 1.5;

/** The customer is away all the while, so that nothing leaves its provider's ring, and nothing else happens; in some it is not served either. */
function withoutCustomer(dice: Dice, scenario: Scenario): Scenario {
  const at = dice.between(8000, 12_000);
  const activation = activationTerms.parse({ events: [dice.pick(['offline', 'manual'])] });
  return {
    ...scenario,
    terms: (devices) => ({ ...scenario.terms(devices), activation }),
    attack: { ...scenario.attack, framesEveryMs: 3000 },
    faults: [{ when: { at }, kind: 'kill', node: 'A', forMs: scenario.healAt - at }],
  };
}

/** Worlds with forgeries in floods: the part of a share that is for a mote's next frames holds all that it sends. */
export function drawFloods(seed: number): Scenario {
  const dice = rollDice(seed, 'floods');
  const drawn = drawScenario(seed);
  const scenario = dice.chance(0.4) ? withoutCustomer(dice, drawn) : drawn;
  const motes = { ...scenario.motes, everyMs: dice.between(1900, 2500) };
  const most = scenario.endAt / (motes.everyMs * SOONEST) + 4;
  // what other attackers change in true frames is under these counters, too
  const changed = (0.6 * scenario.healAt) / scenario.attack.framesEveryMs;
  return {
    ...scenario,
    motes,
    flood: {
      ...{ from: dice.between(8000, 15_000), until: scenario.healAt, everyMs: dice.between(50, 250) },
      victims: 1 + dice.below(motes.count),
      counters: dice.chance(0.7) ? 'any' : 'next',
      shareBytes: Math.ceil(BESIDE * (most + changed)) * FRAME_BYTES,
    },
  };
}

export function floodRadio(
  engine: Engine,
  radio: Radio,
  dice: Dice,
  { motes, sent }: Motes,
  flood: Flood,
): void {
  const newest = new Map<string, number>();
  radio.onUplink(({ devAddr, bytes }) => {
    const fcnt = sent.get(bytes)?.fcnt;
    if (fcnt !== undefined) newest.set(devAddr, Math.max(fcnt, newest.get(devAddr) ?? 0));
  });
  const forgers = motes.slice(0, flood.victims).map(({ session }) => ({ ...session, key: dice.bits() }));
  const strike = (): void => {
    if (engine.now > flood.until) return;
    engine.after(flood.everyMs * dice.between(0.5, 1.5), strike);
    const forger = forgers[dice.below(forgers.length)];
    if (forger === undefined) return;
    const next = (newest.get(forger.devAddr) ?? 0) + dice.below(WINDOW);
    const fcnt = flood.counters === 'any' ? dice.below(1 << 16) : next;
    radio.up(seal(forger, 'up', fcnt, dice.below(1 << 16)));
  };
  engine.at(flood.from, strike);
}

/** What the rings of a flooded world have done. */
export interface FloodWatch {
  /** Those that a ring takes frames of. */
  readonly devAddrs: readonly string[];
  readonly shareBytes: number;
  dropped(by: NodeName, drop: Drop): void;
  taken(by: NodeName, frame: Drop['frame'], isMarked: boolean, pendingBytes: number): void;
  /** True frames that a ring did not take though nothing forced it to, and shares that were too small for what is in them. */
  check(judge: Judge): void;
  readonly drops: number;
}

export function watchFlood({ motes, sent }: Motes, flood: Flood): FloodWatch {
  const flooded = new Set(motes.slice(0, flood.victims).map(({ session }) => session.devAddr));
  /** Forgeries were taken by this ring under an address of which it did not know how far it had counted. */
  const blind = new Set<string>();
  const problems: string[] = [];
  let drops = 0;
  return {
    devAddrs: motes.map(({ session }) => session.devAddr),
    shareBytes: flood.shareBytes,
    get drops() {
      return drops;
    },
    dropped(by, { frame, why, isMarked }) {
      drops += 1;
      const uplink = sent.get(frame.bytes);
      // more than four under one counter: whoever forges these decides which are kept
      if (uplink === undefined || why === 'slots') return;
      const isFlooded = flooded.has(frame.devAddr);
      const isForced =
        isFlooded && (flood.counters === 'next' || !isMarked || blind.has(`${by}/${frame.devAddr}`));
      if (!isForced) problems.push(`${by} has no room (${why}) for frame ${uplink.fcnt} of ${frame.devAddr}`);
    },
    taken(by, frame, isMarked, pendingBytes) {
      if (!isMarked && !sent.has(frame.bytes)) blind.add(`${by}/${frame.devAddr}`);
      if (pendingBytes > flood.shareBytes)
        problems.push(
          `${by} holds ${pendingBytes} bytes of ${frame.devAddr}, whose share is ${flood.shareBytes}`,
        );
    },
    check(judge) {
      const [first] = problems;
      if (first !== undefined) judge.broken('flooded', `${first} (${problems.length} in all)`);
    },
  };
}

interface FloodedEdge extends Pick<RingLimits, 'acknowledged'> {
  readonly name: NodeName;
  readonly trace: Trace;
  readonly parties: () => readonly PartyHost[];
}

/** An edge's ring, within its budget. */
export function floodedRing(
  open: typeof openRing,
  pieces: BufferPieces,
  flood: FloodWatch,
  { name, trace, acknowledged, parties }: FloodedEdge,
): typeof openRing {
  const { devAddrs, shareBytes } = flood;
  return limitedRing(open, pieces, {
    ...{ devAddrs, shareBytes, acknowledged },
    isHeld: () => parties().some((party) => mayOweStatement(party.phase())),
    onDropped: (drop) => {
      trace.note(name, 'drops', () => `${drop.why} ${drop.frame.bytes}`, 'fine');
      flood.dropped(name, drop);
    },
    onTaken: (...taken) => {
      flood.taken(name, ...taken);
    },
  });
}
