import { verifyDocument } from '@antirio/kernel';
import {
  GENUINE_KIND,
  KEEPS_ONLY,
  KEY_HEADER_KIND,
  escrowProblem,
  keepsOnly,
  mayRelease,
} from '@antirio/service-contract';
import { findContract, step, type LiveContract } from './contracts.ts';
import type { Context } from './context.ts';
import type { Draft } from './draft.ts';
import { done, refuse, type Outcome } from './receipt.ts';
import { keys, type ContractRecord, type KeysRecord } from './records.ts';
import type { PayloadOf, WrongKeys } from './transaction.ts';

/** The keys that a contract lives with; what is exposed of them cannot be taken back, only followed by new ones. */
export function keysOf(draft: Draft, contractId: string): KeysRecord | undefined {
  return draft.read(keys.keys(contractId));
}

/** Whether all of that version is exposed, and not only what is left in it of one before. */
function isSeen({ version, exposedAt, exposedVersion = version }: KeysRecord): boolean {
  return exposedAt !== undefined && exposedVersion >= version;
}

/** Whoever opened these keys, or may have kept them, has seen them: they are exposed from the first time on. */
export function expose(
  { draft, env }: Context,
  contractId: string,
  keyVersion: number,
  by: KeysRecord['exposedBy'],
): void {
  const known = keysOf(draft, contractId) ?? { version: keyVersion, state: 'unconfirmed' as const };
  if (keyVersion !== known.version || isSeen(known)) return;
  const { exposedVersion: _older, ...all } = known;
  draft.put(keys.keys(contractId), { ...all, exposedAt: env.now, exposedBy: by });
  draft.emit('keys/exposed', keys.keys(contractId), { contractId, keyVersion, by });
}

/**
 * The same for an opening: keys that the provider is not READY with yet may be opened, and are exposed when it is. What the
 * version before has in common with them is so at once, for the contract may end before it is.
 */
export function exposeOpened(
  context: Context,
  contractId: string,
  keyVersion: number,
  opening: number,
): void {
  const { draft, env } = context;
  const early = keys.earlyOpening(contractId, keyVersion);
  const known = keysOf(draft, contractId);
  if (known === undefined || keyVersion <= known.version) {
    expose(context, contractId, keyVersion, opening);
    return;
  }
  if (draft.read(early) === undefined) draft.put(early, { opening, at: env.now });
  const { exposedAt = env.now, exposedBy = opening, exposedVersion = 0 } = known;
  const newest = Math.max(exposedVersion, keyVersion);
  draft.put(keys.keys(contractId), { ...known, exposedAt, exposedBy, exposedVersion: newest });
}

type Exposure = Pick<KeysRecord, 'exposedAt' | 'exposedBy' | 'exposedVersion'>;

/** Versions between two of which the ledger was told that are looked at. */
const SKIPPED = 64;

/** A version that was opened before the provider was READY with it, and that one which has some of its keys followed instead. */
function skippedOver(
  draft: Draft,
  contractId: string,
  known: KeysRecord | undefined,
  version: number,
  since = version,
): Exposure {
  const oldest = Math.max(since, (known?.version ?? 0) + 1, version - SKIPPED);
  for (let older = version - 1; older >= oldest; older--) {
    const early = draft.read(keys.earlyOpening(contractId, older));
    if (early !== undefined) return { exposedAt: early.at, exposedBy: early.opening, exposedVersion: older };
  }
  return {};
}

/** What is known to have seen keys that are still in the version that follows; `since`: from which one on it has some of them. */
function carriedOver(known: KeysRecord | undefined, since: number | undefined): Exposure {
  if (known?.exposedAt === undefined || since === undefined) return {};
  const { exposedAt, exposedBy, exposedVersion = known.version } = known;
  if (since > exposedVersion) return {};
  return { exposedAt, ...(exposedBy === undefined ? {} : { exposedBy }), exposedVersion };
}

/** Keys of a version that follows; whether they, or some of them, were opened before the provider was READY with them. */
function follow(
  { draft }: Context,
  contractId: string,
  version: number,
  since?: number,
): { readonly opened: boolean } {
  const early = draft.read(keys.earlyOpening(contractId, version));
  const known = keysOf(draft, contractId);
  const exposed: Exposure =
    early === undefined
      ? { ...carriedOver(known, since), ...skippedOver(draft, contractId, known, version, since) }
      : { exposedAt: early.at, exposedBy: early.opening };
  draft.put(keys.keys(contractId), { version, state: 'unconfirmed', ...exposed });
  return { opened: exposed.exposedAt !== undefined };
}

/** What the provider is READY with; who only keeps frames has no keys. */
export function readyWith(
  context: Context,
  { contract: { id }, terms }: LiveContract,
  version: number,
): void {
  const known = keysOf(context.draft, id);
  if (keepsOnly(terms) || (known !== undefined && known.version >= version)) return;
  follow(context, id, version);
}

/** At an end: the provider keeps its part, and what holders keep is out of this ledger's sight. */
export function exposeAtEnd(context: Context, { id }: ContractRecord, by: 'CANCELLED' | 'EXPIRED'): void {
  const known = keysOf(context.draft, id);
  if (known !== undefined) expose(context, id, known.version, by);
}

/** A holder says that it has given its share away, against an opening that stands here. */
export function releaseShare(context: Context, tx: PayloadOf<'escrow/release'>): Outcome {
  const { draft, env, by } = context;
  const found = findContract(draft, tx.contractId);
  if ('ok' in found) return found;
  const opening = draft.read(keys.opening(tx.contractId, tx.opening));
  const { contract, terms } = found;
  const allowed = mayRelease({
    ...{ terms, asker: terms.provider, holder: by, now: env.now },
    opening: opening && { ...opening, number: tx.opening, rootIsProviders: true },
    contract: {
      state: contract.life.state,
      openings: contract.openings,
      activation: contract.activation?.epoch,
    },
    epoch: draft.read(keys.set(contract.setId))?.epoch ?? 0,
  });
  if (!allowed.ok) return refuse('conflict', `the share may not be released: ${allowed.error}`);
  if (opening?.keyVersion !== tx.keyVersion) return refuse('conflict', 'the opening is of other keys');
  const key = keys.shareRelease(tx.contractId, tx.opening, by);
  if (draft.read(key) === undefined) {
    draft.put(key, { keyVersion: tx.keyVersion, at: env.now });
    draft.emit('escrow/released', key, { contractId: tx.contractId, opening: tx.opening, holder: by });
  }
  return done();
}

/** Of the keys that it was READY with: 0 where that was before versions were kept here, undefined where it never was. */
function versionOf(draft: Draft, { id, readyAt }: ContractRecord): number | undefined {
  return keysOf(draft, id)?.version ?? (readyAt === undefined ? undefined : 0);
}

/** What was served last is agreed on, and is still to be paid: with that the contract ends. */
function isOver({ life, activation, served, dispute }: ContractRecord): boolean {
  const isOwed = activation?.owed === true && activation.epoch !== served?.epoch;
  return life.state === 'HANDED_BACK' && isOwed && dispute === undefined;
}

/** Whose word it is, and whether there are keys at all. */
function refuseKeys(
  { contract, terms }: LiveContract,
  by: string,
  header: PayloadOf<'contract/rekey'>['header'],
): (Outcome & { readonly ok: false }) | undefined {
  if (contract.provider !== by)
    return refuse('forbidden', 'only the provider says which keys it is READY with');
  if (keepsOnly(terms)) return refuse('conflict', KEEPS_ONLY);
  return header.by === contract.customer && verifyDocument(header, header.kind)
    ? undefined
    : refuse('unauthenticated', 'the customer has not signed for these keys');
}

/**
 * The provider holds a newer version of the keys, and every holder its share of it: READY again where the old ones were exposed.
 * Only what the customer has signed counts.
 */
export function rekeyContract(context: Context, tx: PayloadOf<'contract/rekey'>): Outcome {
  const { draft, env, by } = context;
  const { header } = tx;
  const { contractId, keyVersion } = header.body;
  const found = findContract(draft, contractId);
  if ('ok' in found) return found;
  const { contract, terms } = found;
  const refusal = refuseKeys(found, by, header);
  if (refusal !== undefined) return refusal;
  if (isOver(contract)) return refuse('gone', 'the contract only waits to be settled');
  const known = versionOf(draft, contract);
  if (known === undefined) return refuse('conflict', `the contract is ${contract.life.state}`);
  if (keyVersion <= known) return done({ keyVersion: known });
  if (terms.expiresAt <= env.now) return refuse('gone', 'the contract has expired');
  const { opened } = follow(context, contractId, keyVersion, header.body.since);
  const rearmed = rearm(context, found, opened);
  if ('ok' in rearmed) return rearmed;
  draft.emit('keys/renewed', keys.keys(contractId), { contractId, keyVersion });
  return done({ keyVersion });
}

function rearm(
  context: Context,
  { contract, terms }: LiveContract,
  exposed: boolean,
): ContractRecord | (Outcome & { readonly ok: false }) {
  const { state } = contract.life;
  if (state === 'READY') return contract;
  if (state === 'DEGRADED') {
    const { degraded } = contract;
    const renewed = degraded === undefined ? contract : { ...contract, degraded: { ...degraded, exposed } };
    context.draft.put(keys.contract(contract.id), renewed);
    return renewed;
  }
  if (contract.dispute !== undefined) return refuse('conflict', 'the statements differ');
  // waits for others
  if (exposed && terms.exposed === 'refuse' && state === 'HANDED_BACK') return contract;
  const ready = step(context, contract, { step: 'rearm', exposed });
  if ('ok' in ready) return ready;
  const rearmed = { ...ready, readyAt: context.env.now };
  context.draft.put(keys.contract(contract.id), rearmed);
  return rearmed;
}

/** The customer has signed for frames that both edges heard and that verify under this version of the keys. */
export function confirmKeys({ draft, env, by }: Context, tx: PayloadOf<'keys/confirm'>): Outcome {
  const found = findContract(draft, tx.contractId);
  if ('ok' in found) return found;
  if (found.contract.customer !== by)
    return refuse('forbidden', 'only the customer knows which frames are genuine');
  const known = keysOf(draft, tx.contractId);
  if (known?.version !== tx.keyVersion)
    return refuse('conflict', `the keys are of version ${known?.version ?? 0}`);
  if (known.state === 'unconfirmed')
    draft.put(keys.keys(tx.contractId), { ...known, state: 'confirmed', confirmedAt: env.now });
  return done();
}

export function refuseEscrow(
  terms: Parameters<typeof escrowProblem>[0],
): (Outcome & { readonly ok: false }) | undefined {
  const problem = escrowProblem(terms);
  return problem === undefined ? undefined : refuse('invalidInput', problem);
}

/** What can be checked without the keys: that the customer signed for them, for the frame, and that they were opened at all. */
export function refuseWrongKeys(
  { draft }: Context,
  { contract, terms }: LiveContract,
  evidence: WrongKeys,
): Outcome | undefined {
  const { header } = evidence;
  const { contractId, keyVersion } = header.body;
  const isHeader = contractId === contract.id && header.by === contract.customer;
  if (!isHeader || !verifyDocument(header, KEY_HEADER_KIND))
    return refuse('unauthenticated', 'the customer has not signed for these keys');
  const newest = draft.read(keys.opening(contract.id, contract.openings));
  if (terms.confidentiality === 'relay' || newest?.keyVersion !== keyVersion)
    return refuse('conflict', 'these keys were not opened');
  return evidence.found === 'doesNotOpen' ? undefined : refuseFrame(contract, evidence);
}

function refuseFrame(
  { id, customer }: ContractRecord,
  { header, genuine, frame }: Extract<WrongKeys, { found: 'doesNotVerify' }>,
): Outcome | undefined {
  if (genuine.by !== customer || !verifyDocument(genuine, GENUINE_KIND))
    return refuse('unauthenticated', 'the customer has not signed for this frame');
  const { body } = genuine;
  const same = body.contractId === id && body.keyVersion === header.body.keyVersion;
  return same && frame < body.frames.length
    ? undefined
    : refuse('conflict', 'the customer signed for no such frame under these keys');
}
