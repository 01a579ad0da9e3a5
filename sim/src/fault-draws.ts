import type { Dice } from './random.ts';
import type { Fault, Harm, NodeName, When } from './scenario.ts';

/** What befalls the nodes of a world with one provider. */

const nodes: readonly [NodeName, ...NodeName[]] = ['A', 'A', 'A', 'B', 'B', 'central'];

function cutLinks(dice: Dice): readonly (readonly [NodeName, NodeName])[] {
  const both = (a: NodeName, b: NodeName): (readonly [NodeName, NodeName])[] => [
    [a, b],
    [b, a],
  ];
  switch (dice.below(8)) {
    case 0:
    case 1:
      return [...both('A', 'B'), ...both('A', 'central')];
    case 2:
      return both('A', 'B');
    case 3:
      return both('A', 'central');
    case 4:
      return both('B', 'central');
    case 5:
      return [...both('B', 'A'), ...both('B', 'central')];
    default: {
      const one = dice.pick<readonly [NodeName, NodeName]>([
        ['A', 'B'],
        ['B', 'A'],
        ['A', 'central'],
        ['central', 'A'],
        ['B', 'central'],
        ['central', 'B'],
      ]);
      return dice.chance(0.3) ? [one, dice.chance(0.5) ? ['A', 'B'] : ['central', 'A']] : [one];
    }
  }
}

function drawHarm(dice: Dice): Harm {
  const node = dice.pick(nodes);
  const forMs = dice.pick([dice.between(50, 800), dice.between(200, 4000), dice.between(4000, 20_000)]);
  const kind = dice.below(21);
  if (kind < 5) return { kind: 'kill', node, forMs };
  if (kind < 9) return { kind: 'killBetweenWrites', node, steps: 1 + dice.below(40), forMs };
  if (kind < 12) return { kind: 'freeze', node, forMs };
  if (kind < 16) return { kind: 'cut', links: cutLinks(dice), forMs };
  if (kind === 16) return { kind: 'slowDisk', node, factor: dice.between(5, 60), forMs };
  if (kind === 17)
    return { kind: 'badLinks', loss: dice.between(0.1, 0.9), latencyMs: dice.between(50, 500), forMs };
  if (kind === 18) return { kind: 'wallJump', node, byMs: dice.between(-3_600_000, 3_600_000) };
  return { kind: 'oldBackup', forMs: dice.between(200, 3000) };
}

const turns: readonly [readonly ['A' | 'B', string], ...(readonly ['A' | 'B', string])[]] = [
  ['A', 'arming'],
  ['A', 'guarded'],
  ['A', 'recovering'],
  ['A', 'retaken'],
  ['A', 'stating'],
  ['B', 'ready'],
  ['B', 'opening'],
  ['B', 'reading'],
  ['B', 'active'],
  ['B', 'releasing'],
  ['B', 'released'],
  ['B', 'stating'],
  ['B', 'stated'],
];

function drawWhen(dice: Dice, main: number, activeMs: number): When {
  if (dice.chance(0.5)) {
    const [node, enters] = dice.pick(turns);
    return { node, enters, delayMs: dice.chance(0.5) ? dice.between(0, 100) : dice.between(0, 4000) };
  }
  const at = dice.chance(0.6) ? main + dice.between(-2000, 20_000) : dice.between(200, activeMs);
  return { at: Math.min(Math.max(at, 100), activeMs) };
}

const unheard: readonly (readonly [NodeName, NodeName])[] = [
  ['A', 'central'],
  ['central', 'A'],
];
const isolated: readonly (readonly [NodeName, NodeName])[] = [...unheard, ['A', 'B'], ['B', 'A']];

/** What has to come together to hurt, and by chance alone seldom does. */
const coincidences: readonly [(dice: Dice) => Fault[], ...((dice: Dice) => Fault[])[]] = [
  // the centre forgets its promises while the customer, cut off, acts on
  (dice) => [
    {
      when: { node: 'A', enters: 'guarded', delayMs: 2000 },
      kind: 'cut',
      links: isolated,
      forMs: dice.between(4000, 20_000),
    },
    {
      when: { node: 'B', enters: dice.chance(0.5) ? 'opening' : 'reading', delayMs: dice.between(0, 300) },
      kind: 'kill',
      node: 'central',
      forMs: dice.between(30, 300),
    },
  ],
  // counters are given anew while another party has just used theirs
  (dice) => [
    {
      when: {
        node: dice.chance(0.5) ? 'A' : 'B',
        enters: dice.pick(['recovering', 'released', 'stated']),
        delayMs: dice.between(0, 500),
      },
      kind: 'oldBackup',
      forMs: dice.between(50, 500),
    },
  ],
  // an epoch is given, and its taker does not hear of it until somebody else has it
  (dice) => [
    {
      when: { node: 'B', enters: 'reading', delayMs: dice.between(0, 1500) },
      kind: dice.pick(['kill', 'freeze']),
      node: 'B',
      forMs: dice.between(4000, 12_000),
    },
  ],
  (dice) => [
    {
      when: { node: 'B', enters: 'reading', delayMs: dice.between(0, 1500) },
      kind: 'cut',
      links: [['central', 'B']],
      forMs: dice.between(1000, 12_000),
    },
  ],
  (dice) => [
    {
      when: { node: 'A', enters: 'recovering', delayMs: dice.between(0, 3000) },
      kind: 'cut',
      links: [['central', 'A']],
      forMs: dice.between(200, 4000),
    },
  ],
  // the provider dies with the epoch, and the customer is back
  (dice) => [
    {
      when: {
        node: 'B',
        enters: dice.pick(['active', 'releasing', 'released']),
        delayMs: dice.between(0, 4000),
      },
      kind: 'kill',
      node: 'B',
      forMs: dice.between(15_000, 25_000),
    },
  ],
];

/** The customer is lost: dead, asleep or cut off. */
function loseCustomer(dice: Dice, at: number): Fault {
  const when = { at };
  const forMs = dice.chance(0.85) ? dice.between(1000, 18_000) : dice.between(18_000, 30_000);
  switch (dice.below(4)) {
    case 0:
      return { when, kind: 'freeze', node: 'A', forMs };
    case 1:
      return { when, kind: 'cut', links: dice.chance(0.7) ? isolated : unheard, forMs };
    default:
      return { when, kind: 'kill', node: 'A', forMs };
  }
}

/** The customer's operator, or the machine it runs on, sees its end coming. */
function drawYield(dice: Dice, at: number): Fault {
  const when: When = dice.chance(0.7)
    ? { at }
    : { node: 'A', enters: 'guarded', delayMs: dice.between(0, 5000) };
  const forMs = dice.between(1000, 15_000);
  if (dice.chance(0.5)) return { when, kind: 'planned', forMs };
  return { when, kind: 'lastGasp', inMs: dice.between(100, 4000), forMs };
}

/** Most runs lose the customer for long enough to be taken over; what else happens gathers around that. */
export function drawFaults(dice: Dice, activeMs: number, alone: boolean): Fault[] {
  const faults: Fault[] = [];
  const main = dice.between(3000, activeMs * 0.6);
  if (dice.chance(0.85)) faults.push(loseCustomer(dice, main));
  // without the centre, a provider that may read alone has to
  if (alone && dice.chance(0.3))
    faults.push({
      when: { at: main - 1000 },
      kind: 'kill',
      node: 'central',
      forMs: dice.between(4000, 25_000),
    });
  if (dice.chance(0.1)) {
    const when = { at: dice.between(30, 500) };
    faults.push({ when, kind: 'cut', links: unheard, forMs: dice.between(2000, 12_000) });
  }
  if (dice.chance(0.3)) faults.push(...dice.pick(coincidences)(dice));
  const others = 1 + dice.below(7);
  for (let i = 0; i < others; i++) faults.push({ when: drawWhen(dice, main, activeMs), ...drawHarm(dice) });
  return faults;
}

/** What operators do, whatever else happens. */
export function drawOperator(dice: Dice, activeMs: number): Fault[] {
  const faults: Fault[] = [];
  if (dice.chance(0.35)) {
    faults.push(drawYield(dice, dice.between(2000, activeMs * 0.8)));
    const enters = dice.pick(['yielding', 'yielded', 'recovering']);
    if (dice.chance(0.5))
      faults.push({ when: { node: 'A', enters, delayMs: dice.between(0, 300) }, ...drawHarm(dice) });
  }
  if (dice.chance(0.1))
    faults.push({
      when: { at: dice.between(1000, activeMs * 0.7) },
      kind: 'deaf',
      forMs: dice.between(8000, 25_000),
    });
  if (dice.chance(0.1)) {
    const node = dice.chance(0.5) ? 'A' : 'B';
    const when = { at: dice.between(1000, activeMs) };
    faults.push({ when, kind: 'hold', node, forMs: dice.between(1000, 12_000) });
  }
  return faults;
}

/** The provider's gateway loses its power: it is no shelter meanwhile, and says so. */
export function drawDeadGateway(dice: Dice, activeMs: number): Fault[] {
  if (!dice.chance(0.15)) return [];
  const when: When = dice.chance(0.5)
    ? { at: dice.between(1000, activeMs * 0.8) }
    : { node: 'A', enters: 'guarded', delayMs: dice.between(0, 6000) };
  return [{ when, kind: 'deadGateway', node: 'B', forMs: dice.between(2000, 25_000) }];
}
