import { z } from 'zod';
import { actsWord } from './acts-word.ts';
import { blockSchemas } from './block-marks.ts';
import { edgeId } from './terms.ts';
import { handbackStatement } from './statement.ts';
import { receipts } from './receipts.ts';
import { GATEWAYS_TOLD, deafClaim, gatewayAge } from './deaf.ts';
import { rekeyCount, rekeyRecord } from './rekey-terms.ts';
import { signedAs } from './signed-word.ts';
import { signedWord, wordKind } from './yield-word.ts';

const count = z.int().min(0);
const short = z.string().max(64);
const devAddr = z.string().regex(/^[0-9a-f]{8}$/);

/** Datagrams: small, signed, lost at will. */
export const beat = z.strictObject({
  contractId: z.uuid(),
  epoch: count,
  bootId: short,
  sequence: count,
  echo: short,
  /** The sender's wall clock, for its operator's eyes only. */
  clock: z.number(),
  storeOk: z.boolean(),
  /** The sender's last lease answer: milliseconds left, 0 when it has fenced itself. */
  leaseLeftMs: count,
  /** Its word to take over stands, or it has released its epoch. */
  yields: z.boolean().optional(),
  gateways: z.array(gatewayAge).max(GATEWAYS_TOLD).optional(),
});
export const vigil = z.strictObject({
  contractId: z.uuid(),
  nonce: short,
  ringNext: count,
  phase: short,
  /** The epoch whose holder gave its word, and may go: we read. */
  reads: count.optional(),
});
/** The customer's signed word, as it also goes by call: `yield`. */
export const takeOver = z.strictObject({ contractId: z.uuid(), word: signedWord });
export const probe = z.strictObject({ nonce: short });
export const probeReply = z.strictObject({ nonce: short, bootId: short });
/** The highest FCntDown that a device surely heard, where the sender knows one: it goes with the blocks from party to party. */
const proven = z.int().min(-1).optional();
export const reservation = z.strictObject({
  devAddr,
  slot: z.int().min(0).max(3),
  above: z.int().min(-1),
  proven,
});
/**
 * `sequence` counts the requests of one boot; `challenge` is the grantor's as heard last, so that a recorded request counts
 * for nothing.
 */
export const leaseRequest = z.strictObject({
  setId: short,
  epoch: count,
  bootId: short,
  sequence: count,
  challenge: short,
  reserve: z.array(reservation).max(8),
  /** To another party: the grantor's challenge as that one told it, and the signature under `ActsWord` that repeats it. */
  heard: short.optional(),
  proof: z.string().max(128).optional(),
});
const leaseAnswer = {
  ...{ setId: short, epoch: count, bootId: short, sequence: count, challenge: short },
  /** Of another party: the grantor's challenge as it has it. */
  heard: short.optional(),
};
/** Nobody else is given the set's epoch for `leaseMs`; of another party: it does not act for as long. */
export const leaseGrant = z.strictObject({
  ...leaseAnswer,
  leaseMs: count,
  blocks: z.array(z.strictObject({ devAddr, index: count, proven })).max(8),
  /** Of another party: who else it knows that could be given the next epoch. */
  parties: z.array(edgeId).max(8).optional(),
});
export const leaseRefused = z.strictObject({
  ...leaseAnswer,
  /** `stale`: ask again, with the challenge as given here. `servedOut`: `maxActiveS` is over. */
  reason: z.enum(['stale', 'superseded', 'released', 'servedOut']),
  current: count,
  holder: edgeId,
});

export const datagramSchemas = {
  beat,
  vigil,
  probe,
  probeReply,
  leaseRequest,
  leaseGrant,
  leaseRefused,
  takeOver,
  deaf: deafClaim,
  receipts,
  ...blockSchemas,
} as const;
export type DatagramKind = keyof typeof datagramSchemas;
export type Datagram = {
  [K in DatagramKind]: { readonly kind: K; readonly body: z.output<(typeof datagramSchemas)[K]> };
}[DatagramKind];
export type Beat = z.output<typeof beat>;
export type Vigil = z.output<typeof vigil>;
export type LeaseRequest = z.output<typeof leaseRequest>;
export type LeaseGrant = z.output<typeof leaseGrant>;
export type LeaseRefused = z.output<typeof leaseRefused>;
export type Reservation = z.output<typeof reservation>;

/** What the sender of a datagram signed with its body, and the signature, as they came. */
const envelope = { to: short, boot: short, seq: count };
export const datagramProof = z.strictObject({ ...envelope, signature: z.string().max(128) });
export type DatagramProof = z.output<typeof datagramProof>;
/** A customer's beat as it came, and how long before it is shown, ms, by its receiver's clock. */
export const shownBeat = z.strictObject({
  signed: signedAs('antirio/datagram/beat', z.strictObject({ ...envelope, body: beat })),
  msAgo: count,
});
export type ShownBeat = z.output<typeof shownBeat>;

/** Why a provider believes that the customer is dead. Signed and kept on the ledger with the opening. */
export const evidence = z.strictObject({
  lastBeatMsAgo: count,
  lastSequence: z.int(),
  probesUnanswered: count,
  /** The witness's word, where it was asked. */
  witness: z.enum(['dead', 'unasked']),
  /** The customer said so itself. */
  yielded: wordKind.optional(),
});
export type Evidence = z.output<typeof evidence>;

/** Highest FCntDown used, by DevEUI. */
export const downCounters = z.record(z.string().regex(/^[0-9a-f]{16}$/), count);
export type DownCounters = z.output<typeof downCounters>;

const contractId = z.uuid();
export const callSchemas = {
  ready: z.strictObject({
    contractId,
    imageCid: z.string(),
    configCid: z.string(),
    keyVersion: z.int().min(1).default(1),
  }),
  /** The provider hears nothing itself. */
  degrade: z.strictObject({ contractId, reason: z.string().max(256) }),
  witness: z.strictObject({ contractId }),
  /** The rim adds the signed Merkle root over the ring as it stands. */
  open: z.strictObject({
    contractId,
    from: count,
    evidence,
    word: signedWord.optional(),
    /** The customer's last one that counted, where it was heard since our start. */
    beat: shownBeat.optional(),
  }),
  take: z.strictObject({ contractId, expected: count }),
  release: z.strictObject({ contractId, epoch: count, counters: downCounters, bootId: short }),
  statement: z.strictObject({ contractId, statement: handbackStatement, counters: downCounters }),
  record: z.strictObject({ contractId }),
  keys: z.strictObject({ contractId }),
  /** One holder's share of the arbitrators' part, from the customer. */
  keyShare: z.strictObject({ contractId, holder: edgeId }),
  /** A holder's release of its share against an opening on the ledger, to the provider. */
  share: z.strictObject({ contractId, holder: edgeId, opening: z.int().min(1) }),
  /** The provider holds another version of the keys: the ledger is to know. */
  rekey: z.strictObject({ contractId, keyVersion: z.int().min(1) }),
  /** How many of the set's devices have new keys after a handback. */
  rekeyed: rekeyCount.extend({ contractId }),
  return: z.strictObject({ contractId, epoch: count }),
  /** One statement has stood alone for as long as the other party had to speak. */
  close: z.strictObject({ contractId }),
  yield: takeOver,
  /** To the grantor: the customer's word that it acts by our promise. */
  acts: z.strictObject({ contractId, word: actsWord }),
} as const;
export type CallMethod = keyof typeof callSchemas;
export type CallArgs = {
  [M in CallMethod]: { readonly method: M; readonly args: z.output<(typeof callSchemas)[M]> };
}[CallMethod];

/** Central's answer to `record`: what its ledger says now. */
/** An epoch that was released, and the run of its holder that shut its fence before. */
const lastRelease = z.object({ epoch: count, bootId: short });
export type LastRelease = z.output<typeof lastRelease>;

export const contractRecord = z.object({
  state: z.string(),
  epoch: count,
  holder: edgeId,
  released: z.boolean(),
  /** Of the set's epoch that was released last. */
  lastRelease: lastRelease.optional(),
  /** The provider's newest epoch under this contract. */
  activation: count.optional(),
  /** How long ago it was given, ms, by the ledger's time. */
  activeForMs: count.optional(),
  /** In how many ms the provider may close it: the customer goes on saying nothing, or new keys were waited for long enough. */
  closesInMs: count.optional(),
  /** Of the keys that the provider was READY with last. */
  keyVersion: count.optional(),
  /** The same with who has seen them, as the ledger has it. */
  keys: z
    .object({
      version: count,
      state: z.string(),
      exposedAt: z.number().optional(),
      exposedBy: z.union([z.number(), z.string()]).optional(),
      exposedVersion: count.optional(),
    })
    .optional(),
  /** What the provider's newest statement is about: the range of its ring that is handed back. */
  handback: z.object({ epoch: count, from: count, through: count }).optional(),
  /** What the two statements differ in, where they do. */
  dispute: z.array(z.string()).optional(),
  /** Both agree on the handback, and new keys are waited for before it is settled; or were. */
  rekeying: rekeyRecord.optional(),
  /** Of a contract with rent: what is in escrow for it, or was, what the provider has earned of that, and in how long; since when it has not said that it is there. */
  rent: z.object({ prepaid: count, earned: count, provenMs: count, doubtedAt: count.optional() }).optional(),
  /** Whether the grantor's promise to the holder may still run, by its own record. */
  leaseRuns: z.boolean().optional(),
  /** For how long, ms, something sent under an earlier epoch may still come on air. */
  quietMs: count.optional(),
  /** The ledger's time as it answered, ms since the Unix epoch. */
  time: count.optional(),
  /** All parties of the set's contracts: the customer, and who provides for it. */
  parties: z.array(edgeId).max(16).optional(),
  /** The grantor's challenge: who repeats it was told after it was made. */
  challenge: short.optional(),
});
export type ContractRecord = z.output<typeof contractRecord>;
/** States in which a contract is over for its parties. */
const ENDED: ReadonlySet<string> = new Set(['SETTLED', 'CANCELLED', 'EXPIRED', 'BREACHED']);
export function isOver(record: { readonly state: string }): boolean {
  return ENDED.has(record.state);
}

export const takeAnswer = z.object({ epoch: count, actAfterMs: count });
