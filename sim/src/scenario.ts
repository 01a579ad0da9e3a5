import { drawActivation, drawBusy, keepsTime } from './activation.ts';
import { drawAttack } from './attack.ts';
import { drawBackups, oneOldDisk } from './backups.ts';
import { drawDeadBridge } from './dead-bridge.ts';
import { contractTerms, type ContractTerms } from '@antirio/service-contract';
import type { CoverageScenario } from './coverage.ts';
import { drawDeadGateway, drawFaults, drawOperator } from './fault-draws.ts';
import type { Faithless } from './faithless.ts';
import type { Flood } from './floods.ts';
import { holderIds, identities } from './identities.ts';
import { drawRekeying, keepsRekeyingTime, type Rekeying } from './rekeying.ts';
import { drawRent } from './rent.ts';
import { rollDice } from './random.ts';
import { drawCalmWithoutGrantor, drawWithoutGrantor } from './without-grantor.ts';
import type { Misstated } from './misstated.ts';
import type { Overlong } from './overlong.ts';
import type { Relay } from './relay.ts';
import type { StrayScenario } from './strays.ts';
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
    /** From then on, true ms, it meets a probe with an old answer to another one; it plays nothing else back. */
    readonly answersFrom?: number;
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
  /** The provider does not keep its word. */
  readonly faithless?: Faithless;
  /** The customer is away for longer than its provider may serve. */
  readonly overlong?: Overlong;
  /** Its provider only keeps frames. */
  readonly relay?: Relay;
  /** Rings have a budget, and somebody forges frames. */
  readonly flood?: Flood;
  /** What is before the fences is wrong. */
  readonly strays?: StrayScenario;
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
  /** Its arbitrator does nothing any more; everything else of it goes on. */
  | { readonly kind: 'hungArbitrator'; readonly node: EdgeName; readonly forMs: number }
  /** Directed links that carry nothing. */
  | {
      readonly kind: 'cut';
      readonly links: readonly (readonly [NodeName, NodeName])[];
      readonly forMs: number;
    }
  | { readonly kind: 'slowDisk'; readonly node: NodeName; readonly factor: number; readonly forMs: number }
  /** Its disk takes nothing more. */
  | { readonly kind: 'fullDisk'; readonly node: EdgeName; readonly forMs: number }
  | { readonly kind: 'badLinks'; readonly loss: number; readonly latencyMs: number; readonly forMs: number }
  | { readonly kind: 'wallJump'; readonly node: NodeName; readonly byMs: number }
  /** The customer gives its service away; a dying one is gone a little later, and starts again. */
  | { readonly kind: 'planned'; readonly forMs: number }
  | { readonly kind: 'lastGasp'; readonly inMs: number; readonly forMs: number }
  /** The customer's operator asks for a drill, or for one with the real keys. */
  | { readonly kind: 'drill' | 'fullDrill' }
  /** The customer lives, and takes nothing in. */
  | { readonly kind: 'deaf'; readonly forMs: number }
  /** The customer's arbitrator lives, and its bridge is dead, or hangs. */
  | { readonly kind: 'deadBridge'; readonly hangs: boolean; readonly forMs: number }
  /** The customer has more to do than it can. */
  | { readonly kind: 'busy'; readonly forMs: number }
  /** Its gateway has no power. */
  | { readonly kind: 'deadGateway'; readonly node: EdgeName; readonly forMs: number }
  /** The provider's operator wants it to take over. */
  | { readonly kind: 'takeoverTold' }
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
        ...drawRent(rollDice(seed, 'rent')),
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
    faults: drawDeadBridge(
      rollDice(seed, 'bridge'),
      activeMs,
      drawCalmWithoutGrantor(
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
      ),
    ).filter((fault) => keepsTime(activation, fault) && keepsRekeyingTime(rekeying, fault)),
    rekeying,
    healAt: activeMs + 1000,
    silenceAt: activeMs + QUIET_MS - SILENCE_MS,
    endAt: activeMs + QUIET_MS,
  };
}
