import { failuresOf, type CallBook } from './calls.ts';
import type { GatewayAge, Unheard } from './deaf.ts';
import { createDetector } from './detector.ts';
import { notRestated, type Restating } from './dispute.ts';
import type { HeldShare } from './escrow.ts';
import type { ContractRecord, DownCounters, Evidence } from './messages.ts';
import { actUnder, createActing, type Acting, type Observed } from './party.ts';
import { createPromiser, type Promiser } from './promiser.ts';
import { nothingShown, type Shown } from './provider-promises.ts';
import type { HeardBeat } from './signed-beat.ts';
import type { HandbackStatement } from './statement.ts';
import type { StepOf } from './step.ts';
import type { ContractTerms } from './terms.ts';
import { createWatch, type Watch } from './watch.ts';
import type { SignedWord } from './yield-word.ts';

/** Where the provider's side of one contract stands. Durable before anything that follows from it is done. */
export type ProviderPhase =
  | { readonly at: 'preparing' }
  | { readonly at: 'ready' }
  /** It asks for the keys. `after`: it has stated an epoch before, under the same contract. */
  | {
      readonly at: 'opening';
      readonly from: number;
      readonly evidence: Evidence;
      readonly after?: number;
      /** The customer's, where it gave its service away. */
      readonly word?: SignedWord;
    }
  /** It collects with open keys and waits for the epoch; it may not act. */
  | { readonly at: 'reading'; readonly from: number; readonly after?: number; readonly word?: SignedWord }
  | { readonly at: 'active'; readonly from: number; readonly epoch: number }
  | { readonly at: 'releasing'; readonly from: number; readonly epoch: number }
  | {
      readonly at: 'released';
      readonly epoch: number;
      readonly counters: DownCounters;
      readonly statement: HandbackStatement;
    }
  | { readonly at: 'stating'; readonly statement: HandbackStatement; readonly counters: DownCounters }
  /** Waits for the settlement, and takes over again where the customer dies before it. */
  | { readonly at: 'stated'; readonly from: number; readonly epoch: number }
  | { readonly at: 'ended' };

/** What a provider has of the arbitrators' part. In memory only, like the keys. */
export interface Gathering {
  /** The number of the opening on the ledger that shares are released against. */
  readonly opening: number | undefined;
  readonly shares: readonly HeldShare[];
  /** The keys did not open with these shares: every holder is asked. */
  readonly refused: boolean;
  readonly openedAt: number;
  readonly triedAt: number;
}

export const nothingGathered: Gathering = {
  opening: undefined,
  shares: [],
  refused: false,
  openedAt: -Infinity,
  triedAt: -Infinity,
};

export interface ProviderState {
  readonly terms: ContractTerms;
  readonly phase: ProviderPhase;
  /** What follows is forgotten at a restart. */
  readonly bootId: string;
  readonly watch: Watch;
  readonly calls: CallBook;
  readonly acting: Acting;
  readonly promiser: Promiser;
  readonly shown: Shown;
  readonly observed: Observed;
  readonly gathering: Gathering;
  readonly vigilAt: number;
  /** When sealing off or opening was asked of the rim last. */
  readonly rimAskedAt: number;
  /** What the ledger said last; undefined where it must be asked before anything else. */
  readonly record: ContractRecord | undefined;
  readonly recordAt: number;
  /** The newest since our start, though another is asked for: what we promise by. */
  readonly lastRecord: ContractRecord | undefined;
  /** Since when it is undefined; -Infinity: since the start. */
  readonly unknownSince: number | undefined;
  readonly unheard: Unheard | undefined;
  /** When one of our own gateways was heard last. */
  readonly heardAt: number;
  readonly restating: Restating;
  /** What the customer's beats said of it last. */
  readonly told: { readonly storeOk: boolean; readonly gateways: readonly GatewayAge[] } | undefined;
  /** The newest that counted. */
  readonly beat: HeardBeat | undefined;
  /** The operator's: nothing is taken over by itself. */
  readonly held: boolean;
  /** When the customer's word to take over was heard, and the signature of one that central did not take, with the end of that. */
  readonly word: {
    readonly heardAt: number;
    readonly refused: string;
    readonly refusedUntil: number;
    /** Its newest beat says that it is still so. */
    readonly stands: boolean;
  };
}

export type Step = StepOf<ProviderState>;

export function createProvider(
  terms: ContractTerms,
  phase: ProviderPhase,
  bootId: string,
  now: number,
): ProviderState {
  const acting = createActing(terms.leaseMs, bootId, now);
  const detector = createDetector(
    { intervalMs: terms.heartbeatIntervalMs, missedBeats: terms.missedBeats },
    bootId,
    now,
  );
  return {
    terms,
    phase,
    bootId,
    watch: createWatch(detector),
    calls: {},
    acting: phase.at === 'active' ? actUnder(acting, phase.epoch, now) : acting,
    promiser: createPromiser(bootId, terms.leaseMs, now),
    shown: nothingShown,
    observed: {},
    gathering: nothingGathered,
    vigilAt: -Infinity,
    rimAskedAt: -Infinity,
    record: undefined,
    recordAt: -Infinity,
    lastRecord: undefined,
    unknownSince: -Infinity,
    unheard: undefined,
    heardAt: now,
    told: undefined,
    beat: undefined,
    held: false,
    word: { heardAt: now, refused: '', refusedUntil: -Infinity, stands: true },
    restating: notRestated,
  };
}

export function providerTroubles(state: ProviderState): string[] {
  const methods = ['ready', 'open', 'take', 'release', 'statement'] as const;
  return methods
    .filter((method) => failuresOf(state.calls, method) > 3)
    .map((method) => `${method} keeps failing`);
}
