import { activationTerms, type DownlinkRefusal } from '@antirio/service-contract';
import type { Engine } from './engine.ts';
import { seal, type Frame, type Session } from './frames.ts';
import { rollDice, type Dice } from './random.ts';
import { drawScenario, type EdgeName, type Fault, type NodeName, type Scenario } from './scenario.ts';

/** Share of downlinks that a wrong driver makes something else of, before the fence sees them. */
export interface StrayScenario {
  readonly share: number;
  /** What it mostly makes of them. */
  readonly mostly: Stray;
  /** Between the fence's last word and the socket a process may be stopped for so long, ms, or for longer. */
  readonly socketMs: number;
}

/** A downlink on its way to the fence; without a time it is to leave at once. */
export interface Sending {
  readonly frame: Frame;
  readonly fcnt: number;
  readonly airAt: number | undefined;
}

type Stray = 'late' | 'far' | 'untimed' | 'again' | 'foreign' | 'brink';

type Pass = (sending: Sending, answer: (refusal: DownlinkRefusal | undefined) => void) => void;

const USED_KEPT = 400;
const FAR_MS = 30_000;
const MOSTLY = 0.7;
/** As far ahead as a fence lets pass. */
const BRINK_MS = 3000;

const all: readonly [Stray, ...Stray[]] = ['late', 'far', 'untimed', 'again', 'foreign', 'brink'];

/**
 * The driver between a service and its fence, gone wrong: it passes frames on late, or for a moment that is too far ahead, or for none, or
 * with a counter that was used before or is not the edge's. Nobody but the fence knows better.
 */
export function strayDriver(
  engine: Engine,
  dice: Dice,
  sessions: readonly Session[],
  { share, mostly }: StrayScenario,
  until: number,
): (sending: Sending, pass: Pass) => boolean {
  const used = new Map<string, number[]>();
  const again = (devAddr: string): number | undefined => {
    const known = used.get(devAddr) ?? [];
    return known[dice.below(known.length)];
  };
  const otherwise = (fcnt: number | undefined, { frame, airAt }: Sending): Sending | undefined => {
    const session = sessions.find(({ devAddr }) => devAddr === frame.devAddr);
    if (session === undefined || fcnt === undefined) return undefined;
    return { frame: seal(session, 'down', fcnt, dice.below(1 << 16)), fcnt, airAt };
  };
  const strayed = (sending: Sending): Sending | undefined => {
    const { frame, fcnt } = sending;
    switch (dice.chance(MOSTLY) ? mostly : dice.pick(all)) {
      case 'far':
        return { ...sending, airAt: engine.now + dice.between(BRINK_MS, FAR_MS) };
      case 'brink':
        return { ...sending, airAt: engine.now + dice.between(0.99 * BRINK_MS, BRINK_MS) };
      case 'untimed':
        return { ...sending, airAt: undefined };
      case 'again':
        return otherwise(again(frame.devAddr), sending);
      case 'foreign':
        return otherwise(fcnt + 16, sending);
      case 'late':
        return sending;
    }
  };
  return (sending, pass) => {
    const { devAddr } = sending.frame;
    const known = used.get(devAddr) ?? [];
    used.set(devAddr, [...known.slice(-USED_KEPT), sending.fcnt]);
    if (engine.now > until || !dice.chance(share)) return false;
    const other = strayed(sending);
    if (other === undefined) return false;
    if (other !== sending) pass(other, () => undefined);
    else
      engine.after(dice.between(50, 4000), () => {
        pass(other, () => undefined);
      });
    return true;
  };
}

const between = (a: NodeName, b: NodeName): (readonly [NodeName, NodeName])[] => [
  [a, b],
  [b, a],
];

/** Who acts is lost to the others and goes on, as far as it knows: its arbitrator hangs, it sleeps, or hears nobody. */
function lose(dice: Dice, node: EdgeName, when: Fault['when']): Fault {
  const forMs = dice.between(6000, 20_000);
  const other = node === 'A' ? 'B' : 'A';
  switch (dice.below(5)) {
    case 0:
    case 1:
      return { when, kind: 'hungArbitrator', node, forMs };
    case 2:
      return { when, kind: 'freeze', node, forMs };
    case 3:
      return { when, kind: 'kill', node, forMs };
    default:
      return { when, kind: 'cut', links: [...between(node, other), ...between(node, 'central')], forMs };
  }
}

function drawFaults(dice: Dice, activeMs: number): Fault[] {
  const at = dice.between(5000, 12_000);
  const faults = [lose(dice, 'A', { at })];
  if (dice.chance(0.6))
    faults.push(lose(dice, 'B', { node: 'B', enters: 'active', delayMs: dice.between(2000, 8000) }));
  if (dice.chance(0.4)) faults.push(lose(dice, 'A', { at: dice.between(at + 5000, activeMs) }));
  if (dice.chance(0.3)) {
    const when = { at: dice.between(4000, activeMs) };
    const [node, forMs] = [dice.pick(['A', 'B', 'central'] as const), dice.between(50, 1500)];
    faults.push({ when, kind: 'kill', node, forMs });
  }
  return faults;
}

/**
 * The customer is cut off and sends until its lease is over, as far ahead as it may, while clocks are as far apart as they may be and the
 * way to the ledger is quick: there is nothing but the margins between its last frame and the provider's first.
 */
function drawBrink(dice: Dice, scenario: Scenario): Partial<Scenario> {
  const slow = dice.chance(0.5);
  const terms: Scenario['terms'] = (devices) => ({ ...scenario.terms(devices), leaseMs: slow ? 5000 : 500 });
  const calm = { loss: 0, duplication: 0, latencyMs: 2, jitterMs: 2, resets: 0 };
  const links = [...between('A', 'B'), ...between('A', 'central')];
  const when = { at: dice.between(7000, 12_000) };
  return {
    terms,
    // who waits for the ledger waits for less afterwards
    ledgerMs: slow ? 1950 : 1,
    rates: { ...scenario.rates, A: 0.98, B: 1.02, central: slow ? 1.02 : 0.98 },
    links: calm,
    // so many devices that their counters last for as long as the lease
    motes: { ...scenario.motes, count: 24, everyMs: 16_000 },
    answers: 0,
    commandsEveryMs: 24,
    faults: [{ when, kind: 'cut', links, forMs: dice.between(12_000, 18_000) }],
    strays: { share: 0.9, mostly: 'brink', socketMs: 0 },
  };
}

/** The customer falls asleep between its fence's last word and its gateway's socket, and wakes when another acts. */
function drawAsleep(dice: Dice): Partial<Scenario> {
  const when = { at: dice.between(7000, 12_000) };
  return {
    commandsEveryMs: 40,
    faults: [{ when, kind: 'freeze', node: 'A', forMs: dice.between(14_000, 18_000) }],
    strays: { share: 0.9, mostly: 'untimed', socketMs: 300 },
  };
}

/**
 * Worlds in which what is before the fence is wrong: the drivers of both edges stray, and an arbitrator hangs while the rest of its edge
 * goes on. Clocks are as far apart as they may be, and there is much to send, often as far ahead as a fence lets pass.
 */
export function drawStrays(seed: number): Scenario {
  const dice = rollDice(seed, 'strays');
  const scenario = drawScenario(seed);
  const activation = activationTerms.parse({});
  const rate = (): number => dice.pick([0.98, 1.02]);
  const worlds: Scenario = {
    ...scenario,
    terms: (devices) => ({ ...scenario.terms(devices), activation }),
    rates: { ...scenario.rates, A: rate(), B: rate(), central: rate() },
    answers: 0.5,
    commandsEveryMs: dice.between(40, 120),
    faults: drawFaults(dice, scenario.healAt),
    strays: { share: dice.between(0.05, 0.3), mostly: dice.pick(all), socketMs: dice.between(0, 100) },
  };
  const kind = dice.below(5);
  if (kind === 0) return { ...worlds, ...drawBrink(dice, worlds) };
  return kind === 1 ? { ...worlds, ...drawAsleep(dice) } : worlds;
}
