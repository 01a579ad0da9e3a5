import type { CallBook } from './calls.ts';
import type { Flaps } from './flapping.ts';
import type { KeyDelivery } from './key-delivery.ts';
import type { ContractRecord, DownCounters } from './messages.ts';
import { actUnder, createActing, type Acting, type Observed } from './party.ts';
import { createPromiser, type Promiser } from './promiser.ts';
import type { LedgerClock } from './customer-schedule.ts';
import { notRestated, type Restating } from './dispute.ts';
import { keenSenses, type Senses } from './deaf.ts';
import { unstrained, type Strain } from './overload.ts';
import type { HandbackStatement } from './statement.ts';
import type { StepOf } from './step.ts';
import type { ContractTerms } from './terms.ts';
import { isPlanned, type SignedWord, type Waits } from './yield-word.ts';

/** Where the customer's side of one contract stands. Durable before anything that follows from it is done. */
export type CustomerPhase =
  /**
   * Keys to be delivered, images to be sent; the provider is not READY yet. From `epoch` on we act under a lease: that comes
   * before the provider has its keys, because with them it may take over at any moment.
   */
  | {
      readonly at: 'arming';
      readonly keys: KeyDelivery;
      readonly epoch?: number;
    }
  | { readonly at: 'guarded'; readonly epoch: number }
  /** The provider has our signed word that it shall take over; we act until it says that it reads. */
  | { readonly at: 'yielding'; readonly epoch: number; readonly word: SignedWord }
  /** Our fence is shut for good, and `epoch` is given up with its counters, once they are known. */
  | {
      readonly at: 'yielded';
      readonly epoch: number;
      readonly word: SignedWord;
      readonly counters?: DownCounters;
    }
  /** The provider holds `epoch`; we stand by, collect and catch up. `waits`: for what, before we ask for our sensors back. */
  | { readonly at: 'recovering'; readonly epoch: number; readonly waits?: Waits }
  /** We hold `epoch` again; what is left of the provider's ring is fetched and stated. */
  | { readonly at: 'retaken'; readonly epoch: number; readonly providerEpoch: number }
  | {
      readonly at: 'stating';
      readonly epoch: number;
      readonly statement: HandbackStatement;
      readonly counters: DownCounters;
    }
  | {
      readonly at: 'stated';
      readonly epoch: number;
      /** The provider's range that we stated, and the epoch that it had. */
      readonly about?: { readonly epoch: number; readonly from: number; readonly through: number };
    }
  | { readonly at: 'ended'; readonly epoch: number };

export interface CustomerState {
  readonly terms: ContractTerms;
  readonly phase: CustomerPhase;
  readonly bootId: string;
  readonly startedAt: number;
  readonly calls: CallBook;
  readonly acting: Acting;
  readonly promiser: Promiser;
  readonly observed: Observed;
  readonly beatAt: number;
  readonly sequence: number;
  /** The provider's newest nonce. */
  readonly echo: string;
  readonly providerHeardAt: number;
  readonly record: ContractRecord | undefined;
  readonly recordAt: number;
  /** Since when, as the records say, the provider has its epoch and no lease to act by. */
  readonly lapsedSince: number | undefined;
  /** Since when we have been up and joined up with the others without a break. */
  readonly stableSince: number;
  readonly stateAskedAt: number;
  /** The provider knows that we want our sensors back. */
  readonly returnHeard: boolean;
  /** The operator's: nothing comes back by itself. */
  readonly held: boolean;
  /** The operator's two confirmations: the back-off and what is left to be fetched are not waited for. */
  readonly forced: boolean;
  readonly yielding: Yielding;
  readonly yieldPause: YieldPause | undefined;
  readonly senses: Senses;
  /** When a beat told of our gateways last. */
  readonly gatewaysAt: number;
  /** The epoch that a provider of another contract of the set has: that contract's machine brings it back. */
  readonly elsewhere: number | undefined;
  readonly flaps: Flaps;
  /** Newer keys on their way. Begun anew after a restart: delivering twice does no more than once. */
  readonly renewal: KeyDelivery | undefined;
  readonly ledgerClock: LedgerClock | undefined;
  /** Until then, by the ledger's time, no window counts: an operator has taken the service back. Forgotten at a restart. */
  readonly windowEnded: number;
  readonly strain: Strain;
  /** At our start our disk knew that the contract is over. */
  readonly endedBefore: boolean;
  readonly restating: Restating;
}

export type Step = StepOf<CustomerState>;

/** What is known of a handover that we asked for. Forgotten at a restart. */
export interface Yielding {
  readonly since: number;
  readonly wordSentAt: number;
  /** The epoch whose word the provider reads under, as it says. */
  readonly providerReads: number | undefined;
  readonly sealAskedAt: number;
  /** The ledger has our release. */
  readonly released: boolean;
}

export function notYielding(now: number): Yielding {
  return {
    since: now,
    wordSentAt: -Infinity,
    providerReads: undefined,
    sealAskedAt: -Infinity,
    released: false,
  };
}

/** After a handover that nobody took: the next one by itself is not before `until`. Forgotten at a restart. */
export interface YieldPause {
  readonly until: number;
  readonly forMs: number;
}

/** Who comes back from a last gasp is well: what it asked for then is over, and it wants its sensors. */
function phaseAtStart(phase: CustomerPhase): CustomerPhase {
  if (phase.at === 'yielding' && !isPlanned(phase.word)) return { at: 'guarded', epoch: phase.epoch };
  // a drill that we failed in is none any more
  if (phase.at === 'recovering' && (phase.waits === 'start' || phase.waits === 'drill'))
    return { at: 'recovering', epoch: phase.epoch };
  return phase;
}

export function createCustomer(
  terms: ContractTerms,
  phase: CustomerPhase,
  bootId: string,
  now: number,
  /** In a row, as they were counted before this start. */
  failures = 0,
): CustomerState {
  const acting = createActing(terms.leaseMs, bootId, now);
  const at = phaseAtStart(phase);
  const epoch = at.at === 'recovering' || at.at === 'yielded' ? undefined : at.epoch;
  return {
    terms,
    phase: at,
    bootId,
    startedAt: now,
    calls: {},
    acting: epoch === undefined ? acting : actUnder(acting, epoch, now),
    promiser: createPromiser(bootId, terms.leaseMs, now),
    observed: {},
    beatAt: -Infinity,
    sequence: 0,
    echo: '',
    providerHeardAt: -Infinity,
    record: undefined,
    recordAt: -Infinity,
    lapsedSince: undefined,
    stableSince: now,
    stateAskedAt: -Infinity,
    returnHeard: false,
    held: false,
    forced: false,
    yielding: notYielding(now),
    yieldPause: undefined,
    senses: keenSenses,
    gatewaysAt: -Infinity,
    elsewhere: undefined,
    flaps: { failures, wellSince: undefined },
    renewal: undefined,
    ledgerClock: undefined,
    windowEnded: -Infinity,
    strain: unstrained,
    endedBefore: at.at === 'ended',
    restating: notRestated,
  };
}

/** No epoch that is ours to act under: it is with our provider, on its way there, or with another contract's. */
export const standsBy = ({ phase, elsewhere }: CustomerState): boolean =>
  phase.at === 'recovering' || phase.at === 'yielded' || elsewhere !== undefined;
