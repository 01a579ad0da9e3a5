import { z } from 'zod';
import {
  AntirioError,
  canonicalBytes,
  jsonProblem,
  sha256Hex,
  signDocument,
  toHex,
  verifyDocument,
  type Identity,
  type Random,
  type Signed,
} from '@antirio/kernel';
import {
  contractTerms,
  edgeId,
  handbackStatement,
  rekeyCount,
  signedGenuineFrames,
  signedKeyHeader,
} from '@antirio/service-contract';
import { orderTerms } from '@antirio/market';
import { coveragePayloads } from './coverage-transactions.ts';
import { drillPayloads } from './drill-transactions.ts';
import { speakerPayloads } from './speaker-transactions.ts';
import { rentPayloads } from './rent-transactions.ts';

const amount = z.int().min(1).max(1_000_000_000_000_000);
const signature = z.string().regex(/^[A-Za-z0-9+/]{86}==$/);
const hash = z.string().regex(/^[0-9a-f]{64}$/);
const setId = z.string().regex(/^[A-Za-z0-9._~-]{1,64}$/);
const epoch = z
  .int()
  .min(0)
  .max(2 ** 40);
const time = z.int().min(0);

/** A document signed by an edge, as it stands inside a transaction. */
function signed<K extends string, B extends z.ZodType>(kind: K, body: B) {
  return z.strictObject({ kind: z.literal(kind), by: edgeId, body, signature });
}

export const RING_ROOT_KIND = 'antirio/ring-root/1';
export const EPOCH_REQUEST_KIND = 'antirio/epoch-request/1';
export const CANCEL_CONSENT_KIND = 'antirio/cancel-consent/1';

export const ringRoot = z.strictObject({
  contractId: z.uuid(),
  root: hash,
  count: z.int().min(0),
  through: z.int().min(0),
  /** Of the ring: its numbers mean nothing in another life of it. */
  incarnation: z.string().min(1).max(64).optional(),
});
export const signedRingRoot = signed(RING_ROOT_KIND, ringRoot);

/** What a taker signs: it wants to follow epoch `epoch` of the set. May say more, for the arbitrator. */
export const epochRequest = z.looseObject({ setId, epoch, contractId: z.uuid() });
export const signedEpochRequest = signed(EPOCH_REQUEST_KIND, epochRequest);

const evidence = z
  .record(z.string().max(64), z.union([z.string().max(1024), z.int(), z.boolean()]))
  .refine((record) => Object.keys(record).length <= 32, 'at most 32 entries');

/** Highest FCntDown used or reserved, by DevEUI. */
const counters = z.record(
  z.string().regex(/^[0-9a-f]{16}$/),
  z
    .int()
    .min(0)
    .max(2 ** 32 - 1),
);

const sealKey = z.strictObject({ edgeId, x25519: z.string().max(64), signature });
const udp = z.strictObject({ host: z.string().min(1).max(253), port: z.int().min(1).max(65_535) });

/** Why a provider is in breach; what is signed in it is checked by the machine, the rest is the arbitrator's signed word. */
export const breachEvidence = z.discriminatedUnion('kind', [
  /** Two roots over the same range that differ, or a longer one with fewer frames. */
  z.strictObject({ kind: z.literal('contradictingRoots'), roots: z.tuple([signedRingRoot, signedRingRoot]) }),
  /** The provider's statement ends before the range that its root claims. */
  z.strictObject({ kind: z.literal('statementBelowRoot'), root: signedRingRoot }),
  /** READY, the customer's lease over for longer than the agreed time, and nobody took the epoch. */
  z.strictObject({
    kind: z.literal('neverTookOver'),
    customerLeaseEndedAt: time,
    details: evidence.default({}),
  }),
]);
export type BreachEvidence = z.output<typeof breachEvidence>;

/** The customer's keys were opened and are not those that it uses. That they are not is the arbitrator's word: it had the keys. */
export const wrongKeys = z.discriminatedUnion('found', [
  /** What the customer sealed and shared does not open. */
  z.strictObject({
    kind: z.literal('wrongKeys'),
    found: z.literal('doesNotOpen'),
    header: signedKeyHeader,
  }),
  /** They do not verify a frame that the customer signed for under this version. */
  z.strictObject({
    kind: z.literal('wrongKeys'),
    found: z.literal('doesNotVerify'),
    header: signedKeyHeader,
    genuine: signedGenuineFrames,
    frame: z.int().min(0),
  }),
]);
export type WrongKeys = z.output<typeof wrongKeys>;

export const payload = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('identity/register'),
    name: z.string().min(1).max(64),
    sealKey,
    addresses: z.strictObject({ url: z.url().max(512), udp }),
  }),
  z.strictObject({
    type: z.literal('account/transfer'),
    to: edgeId,
    amount,
    memo: z.string().max(128).default(''),
  }),
  z.strictObject({ type: z.literal('order/place'), order: orderTerms }),
  z.strictObject({ type: z.literal('order/withdraw'), orderId: hash }),
  /** By the provider, whose capacity is reserved: the negotiation goes on until then. */
  z.strictObject({ type: z.literal('match/hold'), matchId: hash, until: time }),
  z.strictObject({
    type: z.literal('match/release'),
    matchId: hash,
    reason: z.string().max(128).default(''),
  }),
  z.strictObject({
    type: z.literal('contract/validate'),
    terms: contractTerms,
    signatures: z.strictObject({ customer: signature, provider: signature }),
  }),
  z.strictObject({
    type: z.literal('contract/ready'),
    contractId: z.uuid(),
    imageCid: z.string().max(128),
    configCid: z.string().max(128),
    keyVersion: z.int().min(1).default(1),
    evidence: evidence.default({}),
  }),
  /** Newer keys are where the old ones were; by the provider, with what the customer signed for them. */
  z.strictObject({ type: z.literal('contract/rekey'), header: signedKeyHeader }),
  /** By the customer: both edges heard a frame that verifies under this version. */
  z.strictObject({ type: z.literal('keys/confirm'), contractId: z.uuid(), keyVersion: z.int().min(1) }),
  /** By a holder, before its share leaves. */
  z.strictObject({
    type: z.literal('escrow/release'),
    contractId: z.uuid(),
    opening: z.int().min(1),
    keyVersion: z.int().min(1),
  }),
  z.strictObject({ type: z.literal('contract/degrade'), contractId: z.uuid(), reason: z.string().max(256) }),
  z.strictObject({
    type: z.literal('contract/cancel'),
    contractId: z.uuid(),
    /** The other party's, needed once the contract is READY. */
    consent: signed(CANCEL_CONSENT_KIND, z.strictObject({ contractId: z.uuid() })).optional(),
  }),
  z.strictObject({ type: z.literal('contract/expire'), contractId: z.uuid() }),
  z.strictObject({
    type: z.literal('contract/open'),
    contractId: z.uuid(),
    root: signedRingRoot,
    keyVersion: z.int().min(0),
    evidence: evidence.default({}),
  }),
  z.strictObject({
    type: z.literal('epoch/take'),
    request: signedEpochRequest,
    /** From the grantor's record, in ledger time; null where that lease has not ended by itself. */
    holderLeaseEndedAt: time.nullable().default(null),
    /** The same for the customer's last lease: without it, or its release, no payment is owed. */
    customerLeaseEndedAt: time.nullable().default(null),
    evidence: evidence.default({}),
  }),
  z.strictObject({
    ...{ type: z.literal('epoch/release'), setId, epoch, counters },
    /** Of the run of the holder that shut its fence. */
    bootId: z.string().min(1).max(64).optional(),
  }),
  z.strictObject({ type: z.literal('contract/statement'), statement: handbackStatement, counters }),
  z.strictObject({
    type: z.literal('contract/rule'),
    contractId: z.uuid(),
    ruling: z.discriminatedUnion('row', [
      z.strictObject({ row: z.literal('providerBreach'), evidence: breachEvidence }),
      z.strictObject({ row: z.literal('customerBreach'), evidence: wrongKeys }),
      z.strictObject({ row: z.literal('undecided'), reason: z.string().min(1).max(1024) }),
    ]),
  }),
  /** By the customer, where both agree on a handback and new keys are waited for. */
  rekeyCount.extend({ type: z.literal('contract/rekeyed'), contractId: z.uuid() }),
  /** By anyone concerned, when one statement has stood alone for 7 days, or new keys were waited for long enough. */
  z.strictObject({ type: z.literal('contract/close'), contractId: z.uuid() }),
  /** By the provider, whose customer does not answer. */
  z.strictObject({ type: z.literal('ring/root'), root: signedRingRoot }),
  ...drillPayloads(signedRingRoot),
  ...coveragePayloads,
  ...speakerPayloads,
  ...rentPayloads,
]);
export type Payload = z.output<typeof payload>;
export type PayloadOf<T extends Payload['type']> = Extract<Payload, { type: T }>;

export const TX_KIND = 'antirio/ledger-tx/1';

export const txBody = z.strictObject({
  /** Makes two otherwise equal transactions different. */
  nonce: z.string().regex(/^[0-9a-f]{32}$/),
  /** Void from the block after this one on. */
  expiryHeight: z.int().min(0),
  payload,
});
export type TxBody = z.output<typeof txBody>;

/** Contract terms, the deepest that there is, have less than half of it. */
const MAX_DEPTH = 32;

export const signedTx = signed(TX_KIND, txBody).superRefine((tx, context) => {
  const message = jsonProblem(tx, MAX_DEPTH);
  if (message !== undefined) context.addIssue({ code: 'custom', message });
});
export type SignedTx = Signed<TxBody>;

/** A transaction's id is the hash of what is signed, so that nobody can take another's. */
export function txIdOf(tx: Signed<unknown>): string {
  const { kind, by, body } = tx;
  return sha256Hex(canonicalBytes({ kind, by, body }));
}

/** How many blocks ahead a transaction may stay valid; its receipt is remembered as long. */
export const MAX_VALIDITY = 100_000;

/**
 * Signs what an edge wants of the ledger. Sending the result twice does no more than sending it once.
 * @throws AntirioError invalidInput when the request has not the shape of a transaction.
 */
export function signTx(
  identity: Identity,
  random: Random,
  expiryHeight: number,
  request: z.input<typeof payload>,
): SignedTx {
  const checked = payload.safeParse(request);
  if (!checked.success) throw new AntirioError('invalidInput', z.prettifyError(checked.error));
  return signDocument(identity, TX_KIND, {
    nonce: toHex(random.bytes(16)),
    expiryHeight,
    payload: checked.data,
  });
}

/** Whether the signature stands; the shape must have been checked. */
export function isSigned(tx: SignedTx): boolean {
  return verifyDocument(tx, TX_KIND);
}
