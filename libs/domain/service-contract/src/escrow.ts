import { z } from 'zod';
import { ok, refused, type EdgeId, type Result } from '@antirio/kernel';
import { edgeId } from './edge-id.ts';

const MAX_HOLDERS = 8;
const hash = z.string().regex(/^[0-9a-f]{64}$/);

/**
 * The key is the provider's part XOR the arbitrators' part. The arbitrators' part alone is shared among the holders, so that
 * `threshold` of them give it back and one fewer learn nothing. Without holders the central arbitrator keeps it alone.
 */
export const escrowTerms = z
  .strictObject({
    threshold: z.int().min(1).max(MAX_HOLDERS).default(1),
    holders: z.array(edgeId).max(MAX_HOLDERS).default([]),
  })
  .refine(({ holders }) => new Set(holders).size === holders.length, 'a holder is named twice')
  .refine(
    ({ threshold, holders }) => threshold <= Math.max(1, holders.length),
    'the threshold is more than there are holders',
  )
  .prefault({});
export type EscrowTerms = z.output<typeof escrowTerms>;

/** Whether the contract goes on with keys that the provider has seen, or is out of READY until there are new ones. */
export const exposedKeys = z.enum(['accept', 'refuse']).default('accept');

/** What of the terms the escrow is about. */
export interface EscrowOf {
  readonly customer: EdgeId;
  readonly provider: EdgeId;
  readonly central: EdgeId;
  readonly opening: 'witnessed' | 'autonomous';
  readonly escrow: EscrowTerms;
}

/** Who keeps a share of the arbitrators' part; nobody where the provider holds the whole key. */
export function holdersOf({ central, opening, escrow }: EscrowOf): readonly EdgeId[] {
  if (opening === 'autonomous') return [];
  return escrow.holders.length === 0 ? [central] : escrow.holders;
}

/** Why these terms cannot be signed, undefined where they can. */
export function escrowProblem(terms: EscrowOf): string | undefined {
  const { customer, provider, opening, escrow } = terms;
  if (escrow.holders.includes(provider)) return 'the provider cannot hold a share of its own contract';
  if (escrow.holders.includes(customer))
    return 'the customer cannot hold a share: it is away when it is needed';
  return opening === 'autonomous' && escrow.holders.length > 0
    ? 'whole keys are with the provider: there is nothing for holders'
    : undefined;
}

/** The `kind` of what a customer signs with every version of the keys. */
export const KEY_HEADER_KIND = 'antirio/key-header/1';

/**
 * What a customer commits to: the sealed keys, the provider's part, and each holder's share, by their hashes. Whoever shows parts
 * that these name shows what the customer gave, and a bad share is its giver's or its holder's, not anybody's.
 */
export const keyHeader = z.strictObject({
  contractId: z.uuid(),
  keyVersion: z.int().min(1),
  /**
   * Where a version brings new keys for some devices only: the first version that had some of the keys that are still in this one.
   * Whoever has seen that version, or one after it, has seen keys of this one.
   */
  since: z.int().min(1).optional(),
  /** SHA-256 of nonce and sealed keys. */
  sealed: hash,
  /** SHA-256 of the provider's part. */
  part: hash,
  threshold: z.int().min(1).max(MAX_HOLDERS),
  shares: z.array(z.strictObject({ holder: edgeId, commitment: hash })).max(MAX_HOLDERS),
});
export type KeyHeader = z.output<typeof keyHeader>;

export const signedKeyHeader = z.strictObject({
  kind: z.literal(KEY_HEADER_KIND),
  by: edgeId,
  body: keyHeader,
  signature: z.string().max(128),
});
export type SignedKeyHeader = z.output<typeof signedKeyHeader>;

/** A share as it came from its holder; the content is the rim's. */
export interface HeldShare {
  readonly holder: EdgeId;
  readonly share: unknown;
}

/** For how long an opening is good that no epoch has followed, ms of the ledger's time. */
export const RELEASE_WINDOW_MS = 600_000;
/** The keys are the provider's by right: it serves under an epoch, or states what it did. */
const SERVES: ReadonlySet<string> = new Set(['ACTIVE', 'RETURNING', 'HANDED_BACK']);

/** What a holder has read from the ledger itself when a provider asks for its share. */
export interface ReleaseFacts {
  readonly terms: EscrowOf;
  /** Whom the question came from. */
  readonly asker: EdgeId;
  readonly holder: EdgeId;
  /** Undefined where the ledger has no such opening. */
  readonly opening:
    | {
        readonly number: number;
        readonly at: number;
        readonly epoch: number;
        readonly keyVersion: number;
        /** Whether the provider itself has signed the root for this contract. */
        readonly rootIsProviders: boolean;
      }
    | undefined;
  readonly contract: {
    readonly state: string;
    readonly openings: number;
    readonly activation?: number | undefined;
  };
  readonly epoch: number;
  /** The ledger's time. */
  readonly now: number;
}

export type ReleaseRefusal =
  'notProvider' | 'notHolder' | 'noOpening' | 'olderOpening' | 'otherRoot' | 'otherEpoch' | 'openingTooOld';

/** Whether a holder may give its share away: only against the newest opening that the ledger has, in its time and epoch. */
export function mayRelease(facts: ReleaseFacts): Result<undefined, ReleaseRefusal> {
  const { terms, asker, holder, opening, contract } = facts;
  if (asker !== terms.provider) return refused('notProvider');
  if (!holdersOf(terms).includes(holder)) return refused('notHolder');
  if (opening === undefined) return refused('noOpening');
  if (opening.number !== contract.openings) return refused('olderOpening');
  return opening.rootIsProviders ? isOpen(facts, opening) : refused('otherRoot');
}

function isOpen(
  { contract, epoch, now }: ReleaseFacts,
  opening: { readonly at: number; readonly epoch: number },
): Result<undefined, ReleaseRefusal> {
  // of its own epoch as well: whoever serves and starts again opens anew, and states what it did when that epoch is over
  const isServers = contract.activation !== undefined && contract.activation >= opening.epoch;
  if (isServers && SERVES.has(contract.state)) return ok(undefined);
  if (opening.epoch !== epoch) return refused('otherEpoch');
  return now - opening.at <= RELEASE_WINDOW_MS ? ok(undefined) : refused('openingTooOld');
}
