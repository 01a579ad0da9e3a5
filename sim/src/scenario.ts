import { drawActivation, drawBusy, keepsTime } from './activation.ts';
import { drawAttack } from './attack.ts';
import { drawBackups, oneOldDisk } from './backups.ts';
import { contractTerms, type ContractTerms } from '@antirio/service-contract';
import type { CoverageScenario } from './coverage.ts';
import { holderIds, identities } from './identities.ts';
import { drawRekeying, keepsRekeyingTime, type Rekeying } from './rekeying.ts';
import { rollDice, type Dice } from './random.ts';
import { drawCalmWithoutGrantor, drawWithoutGrantor } from './without-grantor.ts';
import type { Misstated } from './misstated.ts';
import type { Unheard } from './unheard.ts';

/** Everything about a run that its seed decides before it begins. Times are true milliseconds. */
export interface Scenario {
  readonly seed: number;
  readonly terms: (devices: readonly { devEui: string; devAddr: string }[]) => ContractTerms;
  readonly motes: { readonly count: number; readonly everyMs: number; readonly retransmission: number };
  /** Those of one protected set, in the order of their contracts. */
  readonly providers: readonly [ProviderName, ...ProviderName[]];
  readonly rates: Readonly<Record<NodeName, number>>;
  readonly fsyncMs: number;
  readonly gatewayLoss: Readonly<Record<EdgeName, number>>;
  /** Gateways push what they hear to the contract's other edge as well, over the way between the two. */
  readonly pushToBoth?: boolean;
  readonly links: {
    readonly loss: number;
    readonly duplication: number;
    readonly latencyMs: number;
    readonly jitterMs: number;
    readonly resets: number;
  };
  readonly attack: {
    readonly framesEveryMs: number;
    readonly datagramsEveryMs: number;
    readonly kinds: readonly string[];
    readonly heldBack: number;
    readonly patient: boolean;
  };
  /** How long the ledger takes to apply a transaction. */
  readonly ledgerMs: number;
  readonly commandsEveryMs: number;
  /** How long the guest takes to start, and to become active. */
  readonly startMs: number;
  readonly activateMs: number;
  /** Share of fresh uplinks that get a downlink. */
  readonly answers: number;
  readonly faults: readonly Fault[];
  readonly rekeying: Rekeying;
  /** The first device hears none of its downlinks for a while. */
  readonly unheard?: Unheard;
  /** One party states what is not so. */
  readonly misstated?: Misstated;
  /** Whether the contract demands drills. */
  readonly drills?: true;
  /** Whether it is drilled with its real keys. */
  readonly fullDrills?: true;
  /** Where the ledger rules how well the provider hears. */
  readonly coverage?: CoverageScenario;
  /** From here on everything is well again. */
  readonly healAt: number;
  /** From here on the motes are silent, so that everything can settle. */
  readonly silenceAt: number;
  readonly endAt: number;
}

/** A is the customer; B and, where there is a second provider, C are its providers. */
export type ProviderName = 'B' | 'C';
export type EdgeName = 'A' | 'B' | 'C';
export type NodeName = EdgeName | 'central';

/** A moment: a time, or that a party's machine has just come to a phase, the first time after `notBefore`. */
export type When =
  | { readonly at: number }
  | {
      readonly node: EdgeName;
      readonly enters: string;
      readonly delayMs: number;
      readonly notBefore?: number;
    };

export type Fault = { readonly when: When } & Harm;

export type Harm =
  | { readonly kind: 'kill'; readonly node: NodeName; readonly forMs: number }
  /** Dies right after so many more writes or messages, whenever that is. */
  | {
      readonly kind: 'killBetweenWrites';
      readonly node: NodeName;
      readonly steps: number;
      readonly forMs: number;
    }
  | { readonly kind: 'freeze'; readonly node: NodeName; readonly forMs: number }
  /** Directed links that carry nothing. */
  | {
      readonly kind: 'cut';
      readonly links: readonly (readonly [NodeName, NodeName])[];
      readonly forMs: number;
    }
  | { readonly kind: 'slowDisk'; readonly node: NodeName; readonly factor: number; readonly forMs: number }
  | { readonly kind: 'badLinks'; readonly loss: number; readonly latencyMs: number; readonly forMs: number }
  | { readonly kind: 'wallJump'; readonly node: NodeName; readonly byMs: number }
  /** The customer gives its service away; a dying one is gone a little later, and starts again. */
  | { readonly kind: 'planned'; readonly forMs: number }
  | { readonly kind: 'lastGasp'; readonly inMs: number; readonly forMs: number }
  /** The customer's operator asks for a drill, or for one with the real keys. */
  | { readonly kind: 'drill' | 'fullDrill' }
  /** The customer lives, and takes nothing in. */
  | { readonly kind: 'deaf'; readonly forMs: number }
  /** The customer has more to do than it can. */
  | { readonly kind: 'busy'; readonly forMs: number }
  /** Its gateway has no power. */
  | { readonly kind: 'deadGateway'; readonly node: EdgeName; readonly forMs: number }
  /** An operator holds an edge: nothing is taken over, or comes back, by itself. */
  | { readonly kind: 'hold'; readonly node: EdgeName; readonly forMs: number }
  /** The centre opens nothing, while its ledger goes on. */
  | { readonly kind: 'muteCentre'; readonly forMs: number }
  /** The centre starts again with an old backup of its counter blocks. */
  | { readonly kind: 'oldBackup'; readonly forMs: number }
  /** The centre starts again with its ledger as it was `agoMs` ago; after `forMs` somebody brings the newest one back. */
  | { readonly kind: 'oldLedger'; readonly agoMs: number; readonly downMs: number; readonly forMs: number }
  /** An edge starts again with what its arbitrator and its fence had on the disk `agoMs` ago. */
  | {
      readonly kind: 'oldDisk';
      readonly node: EdgeName;
      readonly agoMs: number;
      readonly forMs: number;
    };

/** Long enough that whoever can take over has done so, whatever else happens to it. */
export const TAKEOVER_SLA_MS = 25_000;
/** A word that does not count is given up after 30 s, and by who starts anew 30 s after that. */
const QUIET_MS = 33_000;
const SILENCE_MS = 12_000;

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
function drawFaults(dice: Dice, activeMs: number, alone: boolean): Fault[] {
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
function drawOperator(dice: Dice, activeMs: number): Fault[] {
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
function drawDeadGateway(dice: Dice, activeMs: number): Fault[] {
  if (!dice.chance(0.15)) return [];
  const when: When = dice.chance(0.5)
    ? { at: dice.between(1000, activeMs * 0.8) }
    : { node: 'A', enters: 'guarded', delayMs: dice.between(0, 6000) };
  return [{ when, kind: 'deadGateway', node: 'B', forMs: dice.between(2000, 25_000) }];
}

export function drawScenario(seed: number): Scenario {
  const dice = rollDice(seed, 'scenario');
  const activeMs = dice.between(30_000, 60_000);
  const leaseMs = dice.pick([3000, 3000, 3000, 1000, 500, 500, 5000]);
  const opening = dice.chance(0.75) ? ('witnessed' as const) : ('autonomous' as const);
  const returnBackoffMs = dice.pick([0, 500, 2000]);
  // of its own stream: the rest of a seed's world is the same with it and without
  const shared = opening === 'witnessed' && rollDice(seed, 'escrow').chance(0.4);
  const escrow = shared ? { threshold: 2, holders: [identities.central.edgeId, ...holderIds] } : {};
  const rekeying = drawRekeying(rollDice(seed, 'rekeying'));
  const activation = drawActivation(rollDice(seed, 'activation'), activeMs);
  const calm = dice.chance(0.4);
  const rate = (): number => (dice.chance(0.5) ? dice.between(0.98, 1.02) : dice.pick([0.98, 1.02]));
  return {
    seed,
    providers: ['B'],
    terms: (devices) =>
      contractTerms.parse({
        version: 1,
        contractId: '6f1b2b52-4a3d-4c86-9f0e-a7d1c45be02f',
        customer: identities.A.edgeId,
        provider: identities.B.edgeId,
        central: identities.central.edgeId,
        set: { setId: 'bridge', service: 'device-lora', devices },
        image: { imageName: 'device-lora:1', imageCid: 'bafyimage', configCid: 'bafyconfig' },
        confidentiality: 'process',
        opening,
        standby: 'hot',
        activation,
        rekey: { waitS: rekeying.waitS },
        escrow,
        stakes: { customer: 100, provider: 100 },
        heartbeatIntervalMs: 200,
        missedBeats: 3,
        leaseMs,
        returnBackoffMs,
        takeoverSlaMs: TAKEOVER_SLA_MS,
        disputeS: 259_200,
        deaf: { frames: 5, forMs: 4000 },
        flapping: { maxBackoffMs: 4000, stableMs: 5000 },
        hearing: { silentMs: 3000 },
        slots: { customer: 0, provider: 1 },
        expiresAt: 2_000_000_000_000,
      }),
    motes: { count: 2 + dice.below(3), everyMs: dice.between(1000, 2500), retransmission: 0.1 },
    rates: { A: rate(), B: rate(), central: rate(), C: 1 },
    fsyncMs: dice.between(1, 8),
    gatewayLoss: { A: dice.between(0, 0.3), B: dice.between(0, 0.3), C: 0 },
    links: {
      loss: calm ? 0 : dice.between(0, 0.2),
      duplication: calm ? 0 : 0.02,
      latencyMs: calm ? 2 : dice.between(1, 40),
      jitterMs: calm ? 2 : dice.between(1, 60),
      resets: calm ? 0 : dice.pick([0, 0.01, 0.05, 0.15]),
    },
    attack: drawAttack(dice),
    ledgerMs: dice.pick([1, 1, 5, 50, 400, 1500]),
    commandsEveryMs: dice.between(250, 1000),
    ...{ startMs: dice.between(20, 1500), activateMs: dice.pick([10, 200, 1500]) },
    answers: dice.between(0.2, 0.7),
    faults: drawCalmWithoutGrantor(
      rollDice(seed, 'calm without grantor'),
      activeMs,
      oneOldDisk([
        ...drawFaults(dice, activeMs, opening === 'autonomous'),
        ...drawOperator(rollDice(seed, 'operator'), activeMs),
        ...drawBackups(rollDice(seed, 'backups'), activeMs),
        ...drawBusy(rollDice(seed, 'busy'), activation, activeMs),
        ...drawDeadGateway(rollDice(seed, 'gateway'), activeMs),
        ...drawWithoutGrantor(rollDice(seed, 'without grantor'), activeMs),
      ]),
    ).filter((fault) => keepsTime(activation, fault) && keepsRekeyingTime(rekeying, fault)),
    rekeying,
    healAt: activeMs + 1000,
    silenceAt: activeMs + QUIET_MS - SILENCE_MS,
    endAt: activeMs + QUIET_MS,
  };
}
