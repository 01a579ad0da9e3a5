import type { EdgeId, SealKey } from '@antirio/kernel';
import type { Capacity, Fit, OrderTerms, Price } from '@antirio/market';
import type {
  ContractLife,
  ContractTerms,
  CoverageAnswer,
  CoverageClaim,
  Drill,
  FullDrill,
  FullDrillCounts,
  HandbackStatement,
  RekeyCount,
  SettlementRow,
} from '@antirio/service-contract';
import type { Genesis } from './genesis.ts';
import type { ExpiryMark, RecordedReceipt } from './receipt.ts';
import type { SpeakerAct } from './speaker-transactions.ts';

declare const valueBrand: unique symbol;
/** A key of the state that knows what is kept under it. */
export type Key<T> = string & { readonly [valueBrand]?: T };

export interface AccountRecord {
  readonly balance: number;
}

export interface ReputationRecord {
  readonly honoured: number;
  readonly breached: number;
  /** Disputes that nobody could decide, of contracts whose terms have them counted: neither for nor against either party. */
  readonly undecided?: number;
}

export interface IdentityRecord {
  readonly edgeId: EdgeId;
  readonly name: string;
  readonly sealKey: SealKey;
  readonly addresses: {
    readonly url: string;
    readonly udp: { readonly host: string; readonly port: number };
  };
  readonly registeredAt: number;
}

export interface OrderRecord {
  readonly id: string;
  readonly edge: EdgeId;
  readonly terms: OrderTerms;
  readonly placedAt: number;
  readonly sequence: number;
  /** `open`: may be matched. `reserved`: a bid in a live match. `filled`: became a contract. */
  readonly state: 'open' | 'reserved' | 'filled' | 'withdrawn' | 'expired';
  /** Of a reserved bid. */
  readonly match?: string;
  /** Of an ask: what its matches and contracts left. */
  readonly remaining: Capacity;
}

export interface MatchRecord extends Fit {
  readonly id: string;
  readonly bid: string;
  readonly ask: string;
  readonly customer: EdgeId;
  readonly provider: EdgeId;
  readonly capacity: Capacity;
  readonly bidPrice: Price;
  readonly askPrice: Price;
  readonly matchedAt: number;
  readonly expiresAt: number;
  readonly state: 'reserved' | 'taken' | 'released' | 'expired';
}

/** The provider's signed word on its ring: raw frames in arrival order (RFC 6962 root). */
export interface RingRoot {
  readonly contractId: string;
  readonly root: string;
  readonly count: number;
  readonly through: number;
  /** Of the ring: its numbers mean nothing in another life of it. */
  readonly incarnation?: string | undefined;
}

/** The newest root that a provider recorded without its customer's signature. */
export interface RecordedRoot {
  readonly root: RingRoot;
  readonly signature: string;
  readonly at: number;
}

export interface Activation {
  readonly epoch: number;
  readonly at: number;
  /** When the grantor's record says that the customer's lease ended; null where the customer released its epoch. */
  readonly customerLeaseEndedAt: number | null;
  /** Whether P is owed once the statements agree. */
  readonly owed: boolean;
  /** The number of the full drill that it is for. */
  readonly drill?: number;
}

export interface Settlement {
  readonly row: SettlementRow;
  readonly at: number;
  /** All that each of them got: of the stakes, and of the rent. */
  readonly paid: { readonly customer: number; readonly provider: number };
  /** Of a contract with rent: what was in escrow for it, what of that the provider got, and for how long it has stood by or served. */
  readonly rent?: { readonly prepaid: number; readonly paid: number; readonly provenMs: number };
  readonly reason: string;
}

/** A time in which a provider stood by or served, the ledger's ms; `ms` is less than its length where some of it is not paid. */
export interface Stood {
  readonly from: number;
  readonly until: number;
  readonly ms: number;
}

/** What is counted for the rent. */
export interface RentRecord {
  /** Oldest first. */
  readonly stood: readonly Stood[];
  /** Since when it stands by, or serves, now. */
  readonly since?: number;
  /** The newest time at which its customer had not heard of it for long; open until it answers, or its state changes. */
  readonly doubt?: { readonly at: number; readonly isOpen: boolean };
}

/** A contract's drills; `thisMonth` and `judged` (those that the contract demands) are of the month they name. */
export interface DrillCounts {
  readonly started: number;
  readonly passed: number;
  readonly failed: number;
  readonly void: number;
  readonly month: number;
  readonly thisMonth: number;
  readonly judged: number;
}

/** An outage of which the provider may have handed back too little: until when something may be said of it. */
export interface CoverageRecord {
  readonly epoch: number;
  readonly until: number;
  readonly claimedAt?: number;
  /** The provider did not answer in its time, and has as much again. */
  readonly remindedAt?: number;
}

export interface CoverageClaimRecord {
  readonly claim: CoverageClaim;
  readonly at: number;
  readonly answer?: CoverageAnswer;
  /** What the ledger made of it. */
  readonly ruled?: Readonly<Record<string, string | number>>;
}

/** P and Q, as far as they are not paid out, and R, where the terms have rent. */
export interface Escrow {
  readonly customer: number;
  readonly provider: number;
  readonly rent?: number;
}

/** What changes in a contract's life; its terms, which do not, are under `terms/<id>`. */
export interface ContractRecord {
  readonly id: string;
  readonly termsHash: string;
  readonly customer: EdgeId;
  readonly provider: EdgeId;
  readonly setId: string;
  readonly life: ContractLife;
  readonly escrow: Escrow;
  readonly validatedAt: number;
  readonly readyAt?: number;
  /** Since when the provider hears nothing itself, and whether its keys were exposed then, where that is so. */
  readonly degraded?: { readonly at: number; readonly exposed: boolean };
  /** Of a provider that was degraded now and then: when it stood by before that, as long as it may matter. */
  readonly stoodBy?: readonly { readonly from: number; readonly until: number }[];
  readonly openings: number;
  /** The newest one. */
  readonly activation?: Activation;
  /** Takeovers that both have stated and that are paid at the end, and the epoch of the last of them. */
  readonly served?: { readonly takeovers: number; readonly epoch: number };
  /** Where both statements are there and differ. */
  readonly dispute?: readonly string[];
  /** Since when that is so. */
  readonly disputedAt?: number;
  /** Where its terms have rent. */
  readonly rent?: RentRecord;
  readonly settlement?: Settlement;
  /** Both agree: it is settled when the devices that can have new keys have them, at `until` at the latest. */
  readonly rekeying?: {
    readonly since: number;
    readonly until: number;
    /** The customer's newest word; what waits then stays disclosed. */
    readonly counted?: RekeyCount & { readonly at: number };
  };
  readonly drills?: DrillCounts;
  /** Drills with the real keys. */
  readonly fullDrills?: FullDrillCounts;
  /** Of the sensors: so many were sent drill downlinks by the provider's gateway, and so many of them answered. */
  readonly downlinks?: { readonly sampled: number; readonly answered: number; readonly at: number };
  /** While a claim about the newest outage may be made, or is open. */
  readonly coverage?: CoverageRecord;
}

export interface TermsRecord {
  readonly terms: ContractTerms;
  readonly signatures: { readonly customer: string; readonly provider: string };
}

export interface OpeningRecord {
  readonly epoch: number;
  readonly at: number;
  readonly root: RingRoot;
  readonly rootSignature: string;
  readonly keyVersion: number;
  readonly evidence: Readonly<Record<string, unknown>>;
}

/** The version of the keys that the provider is READY with, and who has seen it. */
export interface KeysRecord {
  readonly version: number;
  /** `confirmed`: both edges heard a frame that verifies under it. */
  readonly state: 'unconfirmed' | 'confirmed';
  readonly confirmedAt?: number;
  readonly exposedAt?: number;
  /** The number of the opening, or the end of the contract. */
  readonly exposedBy?: number | 'CANCELLED' | 'EXPIRED';
  /** Where it is an older version that was seen, and some of its keys are still in this one: that version. */
  readonly exposedVersion?: number;
}

/** The first opening of a version that the provider was not READY with, yet. */
export interface EarlyOpening {
  readonly opening: number;
  readonly at: number;
}

/** A holder's word that it gave its share away. */
export interface ShareRelease {
  readonly keyVersion: number;
  readonly at: number;
}

/** The protected set: epochs belong to it, whichever contract they are taken under. */
export interface SetRecord {
  readonly id: string;
  readonly customer: EdgeId;
  readonly epoch: number;
  readonly holder: EdgeId;
  readonly takenAt: number;
  /** The newest epoch that its holder gave up. */
  readonly released?: { readonly epoch: number; readonly at: number };
  /** Which run of its holder gave up the epoch that was released last, where it said so. */
  readonly lastRelease?: { readonly epoch: number; readonly bootId: string };
  /** Fixed for the life of the session keys: FCntDown blocks with index = slot (mod 4) are the party's. */
  readonly slots: Readonly<Record<EdgeId, number>>;
  /** Contracts that have not ended. */
  readonly contracts: readonly string[];
  readonly devicesHash: string;
}

export interface StatementRecord {
  readonly statement: HandbackStatement;
  readonly counters: Readonly<Record<string, number>>;
  readonly at: number;
}

/** Who speaks for an edge that has been silent on the ledger for `silentMs`, up to `until`. */
export interface SpeakerRecord {
  readonly speaker: EdgeId;
  readonly acts: readonly SpeakerAct[];
  readonly silentMs: number;
  readonly until: number;
  readonly appointedAt: number;
  /** When the edge itself signed anything last. */
  readonly heardAt: number;
}

export type Role = 'customer' | 'provider';

const padded = (n: number): string => String(n).padStart(12, '0');

export const keys = {
  genesis: (): Key<Genesis> => 'genesis',
  account: (edge: EdgeId): Key<AccountRecord> => `account/${edge}`,
  reputation: (edge: EdgeId): Key<ReputationRecord> => `reputation/${edge}`,
  identity: (edge: EdgeId): Key<IdentityRecord> => `identity/${edge}`,
  order: (id: string): Key<OrderRecord> => `order/${id}`,
  /** Open orders only, so that matching reads no history. */
  book: (side: 'ask' | 'bid', id: string): Key<{ edge: EdgeId }> => `book/${side}/${id}`,
  /** An edge's orders that are open or reserved. */
  own: (edge: EdgeId, orderId: string): Key<{ side: 'ask' | 'bid' }> => `own/${edge}/${orderId}`,
  orderCount: (): Key<{ count: number }> => 'count/order',
  match: (id: string): Key<MatchRecord> => `match/${id}`,
  /** An edge's matches that are neither ended nor a contract yet. */
  party: (edge: EdgeId, matchId: string): Key<{ matchId: string }> => `party/${edge}/${matchId}`,
  /** What the time will end, in its order. */
  due: (at: number, kind: 'match' | 'order' | 'forget', id: string): Key<{ at: number }> =>
    `due/${String(at).padStart(16, '0')}/${kind}/${id}`,
  contract: (id: string): Key<ContractRecord> => `contract/${id}`,
  terms: (id: string): Key<TermsRecord> => `terms/${id}`,
  opening: (contractId: string, n: number): Key<OpeningRecord> => `opening/${contractId}/${padded(n)}`,
  drill: (contractId: string, n: number): Key<Drill> => `drill/${contractId}/${padded(n)}`,
  fullDrill: (contractId: string, n: number): Key<FullDrill> => `fulldrill/${contractId}/${padded(n)}`,
  keys: (contractId: string): Key<KeysRecord> => `keys/${contractId}`,
  earlyOpening: (contractId: string, keyVersion: number): Key<EarlyOpening> =>
    `opened/${contractId}/${padded(keyVersion)}`,
  shareRelease: (contractId: string, opening: number, holder: EdgeId): Key<ShareRelease> =>
    `escrow/${contractId}/${padded(opening)}/${holder}`,
  activation: (contractId: string, epoch: number): Key<Activation> =>
    `activation/${contractId}/${padded(epoch)}`,
  ringRoot: (contractId: string): Key<RecordedRoot> => `root/${contractId}`,
  statement: (contractId: string, epoch: number, role: Role): Key<StatementRecord> =>
    `statement/${contractId}/${padded(epoch)}/${role}`,
  coverageClaim: (contractId: string, epoch: number): Key<CoverageClaimRecord> =>
    `coverage/${contractId}/${padded(epoch)}`,
  set: (id: string): Key<SetRecord> => `set/${id}`,
  /** Counters that a holder gave up with its epoch. */
  release: (setId: string, epoch: number): Key<{ counters: Readonly<Record<string, number>>; by: EdgeId }> =>
    `release/${setId}/${padded(epoch)}`,
  speaker: (edge: EdgeId): Key<SpeakerRecord> => `speaker/${edge}`,
  device: (devEui: string): Key<{ setId: string }> => `device/${devEui}`,
  transaction: (id: string): Key<RecordedReceipt> => `tx/${id}`,
  transactionExpiry: (height: number, id: string): Key<ExpiryMark> => `tx-expiry/${padded(height)}/${id}`,
};
