import type { Dice } from './random.ts';
import type { Fault, NodeName, When } from './scenario.ts';

type Pairs = readonly (readonly [NodeName, NodeName])[];

const between = (a: NodeName, b: NodeName): Pairs => [
  [a, b],
  [b, a],
];

/** What befalls a customer that acts by its provider's promise: the provider takes over while that promise runs. */
function drawLoss(dice: Dice, at: number): Fault {
  const when = { at };
  const forMs = dice.between(4000, 14_000);
  switch (dice.below(4)) {
    case 0:
      return { when, kind: 'kill', node: 'A', forMs };
    case 1:
      return { when, kind: 'freeze', node: 'A', forMs: dice.between(500, 5000) };
    default:
      return { when, kind: 'cut', links: between('A', 'B'), forMs };
  }
}

/** Nothing else happens: what the parties can do without the grantor they do, for as long as that takes. */
export function drawCalmWithoutGrantor(
  dice: Dice,
  activeMs: number,
  others: readonly Fault[],
): readonly Fault[] {
  if (!dice.chance(0.1)) return drawVainTake(dice, activeMs, others);
  const when = { at: dice.between(3500, 5000) };
  const forMs = activeMs - when.at;
  return dice.chance(0.5)
    ? [{ when, kind: 'kill', node: 'central', forMs }]
    : [{ when, kind: 'cut', links: between('A', 'central'), forMs }];
}

/**
 * The provider is given an epoch and never hears of it, while its customer goes on by its promises, cut off from the centre; then all have
 * each other again, and the customer takes the next one at once.
 */
function drawUnheardTake(dice: Dice, at: number): readonly Fault[] {
  const forMs = dice.between(9000, 16_000);
  const when: When = { node: 'B', enters: 'reading', delayMs: dice.between(0, 300), notBefore: at };
  const cutMs = Math.max(2000, forMs - dice.between(3500, 6000));
  return [
    { when: { at }, kind: 'cut', links: between('A', 'central'), forMs },
    {
      when: { at: at + dice.between(600, 1500) },
      kind: 'freeze',
      node: 'A',
      forMs: dice.between(1500, 3500),
    },
    { when, kind: 'cut', links: between('B', 'central'), forMs: cutMs },
    { when, kind: 'kill', node: 'B', forMs: dice.between(50, 500) },
  ];
}

/** The provider serves on by its customer's promises, and its release is on its way to the ledger while the customer asks for the epoch. */
function drawCrossedRelease(dice: Dice, at: number): readonly Fault[] {
  const when: When = { node: 'A', enters: 'recovering', delayMs: dice.between(0, 200), notBefore: at };
  const heldMs = dice.between(1000, 8000);
  return [
    { when: { at }, kind: 'kill', node: 'A', forMs: dice.between(5000, 9000) },
    { when, kind: 'hold', node: 'A', forMs: heldMs },
    { when, kind: 'cut', links: [['central', 'B']], forMs: heldMs + dice.between(1000, 5000) },
  ];
}

/** Who acts by promises hands over while the grantor counts by what it last heard. */
function drawVainTake(dice: Dice, activeMs: number, others: readonly Fault[]): readonly Fault[] {
  if (!dice.chance(0.03)) return others;
  const at = dice.between(5000, Math.max(6000, activeMs - 25_000));
  return dice.chance(0.5) ? drawUnheardTake(dice, at) : drawCrossedRelease(dice, at);
}

/** A customer that acts by the promises of two loses one of them, which takes over. */
export function drawOneOfTwo(dice: Dice, activeMs: number, others: readonly Fault[]): readonly Fault[] {
  if (!dice.chance(0.25)) return others;
  const at = dice.between(4000, 8000);
  const lost = dice.pick(['B', 'C'] as const);
  return [
    { when: { at }, kind: 'cut', links: between('A', 'central'), forMs: activeMs - at },
    {
      when: { at: at + dice.between(4000, 12_000) },
      ...{ kind: 'cut', links: between('A', lost), forMs: dice.between(8000, 20_000) },
    },
  ];
}

/**
 * The grantor is away for longer than any lease, or cannot be reached by who acts, while the parties have each other: they act by their
 * promises.
 */
export function drawWithoutGrantor(dice: Dice, activeMs: number): Fault[] {
  if (!dice.chance(0.35)) return [];
  const forMs = dice.between(6000, 25_000);
  const kind = dice.below(4);
  if (kind === 0) {
    const when: When = { node: 'B', enters: 'active', delayMs: dice.between(0, 6000) };
    const isDead = dice.chance(0.5);
    return [
      isDead
        ? { when, kind: 'kill', node: 'central', forMs }
        : { when, kind: 'cut', links: between('B', 'central'), forMs },
    ];
  }
  const at = dice.between(4000, activeMs * 0.6);
  const away: Fault =
    kind === 1
      ? { when: { at }, kind: 'kill', node: 'central', forMs }
      : { when: { at }, kind: 'cut', links: between('A', 'central'), forMs };
  if (!dice.chance(0.6)) return [away];
  const loss = drawLoss(dice, at + dice.between(2500, forMs));
  // who starts again while it is so, for its own lease forgets what it promised
  const restart: Fault = {
    ...{ when: { at: at + dice.between(2500, forMs) }, kind: 'kill', node: 'B' },
    forMs: dice.between(50, 1500),
  };
  return dice.chance(0.3) ? [away, loss, restart] : [away, loss];
}
