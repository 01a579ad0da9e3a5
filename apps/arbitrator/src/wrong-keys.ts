import { z } from 'zod';
import {
  AntirioError,
  canonicalBytes,
  fromBase64,
  fromHex,
  fromUtf8,
  isAntirioError,
  openSealed,
  sealTo,
  sha256Hex,
  toBase64,
  verifyDocument,
  type EdgeId,
  type Identity,
  type SealKey,
  type SealedBox,
} from '@antirio/kernel';
import { createSessionCipher, parseDataFrame } from '@antirio/lorawan';
import {
  GENUINE_KIND,
  signedKeyHeader,
  type ContractTerms,
  type SignedGenuineFrames,
} from '@antirio/service-contract';
import { keptFrames, type KeptFrames } from './genuine-sample.ts';
import {
  checkHeader,
  openShare,
  openWith,
  sealedHash,
  type KeyPackage,
  type ReleasedShare,
  type Secrets,
} from './sealed-keys.ts';

const MAX_SEALED = 4 << 20;
const base64 = z.string().max(MAX_SEALED);

/** Everything that shows what a customer gave, in the clear: only for the arbitrator that judges it, and sealed to it. */
const wrongKeysClaim = z.strictObject({
  header: signedKeyHeader,
  nonce: z.string().max(64),
  sealedSecrets: base64,
  part: z.string().max(64),
  shares: z.array(z.string().max(64)).max(8),
  kept: keptFrames.optional(),
});
export type WrongKeysClaim = z.output<typeof wrongKeysClaim>;

export const claimRequest = z.strictObject({
  contractId: z.uuid(),
  claim: z.strictObject({ to: z.string().max(128), ephemeral: z.string().max(64), sealed: base64 }),
});

/** The first frame that the customer signed for and that these keys do not verify; undefined where they verify all. */
export function unverified(secrets: Secrets, { genuine, frames }: KeptFrames): number | undefined {
  const index = genuine.body.frames.findIndex(({ devAddr, fcnt, digest }, i) => {
    const bytes = fromBase64(frames[i] ?? '');
    if (sha256Hex(bytes) !== digest) return false;
    const frame = parseDataFrame(bytes);
    return !secrets.sessions
      .filter((one) => one.devAddr.toLowerCase() === devAddr)
      .some((one) => createSessionCipher({ nwkSKey: fromHex(one.nwkSKey, 16) }).verifies(frame, fcnt));
  });
  return index < 0 ? undefined : index;
}

/** The provider's claim that its customer's keys are wrong: the package, all that opens it, and the frames that show it. */
export function claimOf(
  identity: Identity,
  arbitrator: SealKey,
  given: KeyPackage,
  shares: readonly (ReleasedShare & { readonly holder: EdgeId })[],
  kept: KeptFrames | undefined,
): SealedBox {
  const { header, nonce, sealedSecrets, part } = given;
  const claim: WrongKeysClaim = {
    ...{ header, nonce, sealedSecrets },
    part: toBase64(openSealed(identity, part)),
    shares: shares.map(({ holder, box }) => toBase64(openShare(identity, header.body, holder, box))),
    ...(kept === undefined ? {} : { kept }),
  };
  return sealTo(arbitrator, canonicalBytes(claim));
}

export type WrongKeysEvidence = {
  readonly kind: 'wrongKeys';
  readonly header: KeyPackage['header'];
} & (
  | { readonly found: 'doesNotOpen' }
  | { readonly found: 'doesNotVerify'; readonly genuine: SignedGenuineFrames; readonly frame: number }
);

/** @throws AntirioError corrupt, invalidInput */
export function readClaim(identity: Identity, box: SealedBox): WrongKeysClaim {
  const parsed = wrongKeysClaim.safeParse(JSON.parse(fromUtf8(openSealed(identity, box))));
  if (parsed.success) return parsed.data;
  throw new AntirioError('invalidInput', z.prettifyError(parsed.error));
}

/**
 * What an arbitrator finds in a claim. Nothing of it is the provider's word: the keys, both parts and the frames must be those
 * that the customer signed for. @throws AntirioError forbidden where it shows no breach; unauthenticated, invalidInput
 */
export async function judgeWrongKeys(
  terms: ContractTerms,
  claim: WrongKeysClaim,
): Promise<WrongKeysEvidence> {
  const { header, kept } = claim;
  const secrets = await openClaim(terms, claim);
  if (secrets === undefined) return { kind: 'wrongKeys', header, found: 'doesNotOpen' };
  return unverifiedBy(terms, header, secrets, kept);
}

/** The keys in a claim; undefined where what the customer gave does not open. @throws AntirioError as `judgeWrongKeys` */
export async function openClaim(terms: ContractTerms, claim: WrongKeysClaim): Promise<Secrets | undefined> {
  const { header, nonce, sealedSecrets } = claim;
  checkHeader(terms, header);
  const { body } = header;
  const part = fromBase64(claim.part);
  const shares = claim.shares.map(fromBase64);
  const committed = new Set(body.shares.map(({ commitment }) => commitment));
  const genuineParts =
    body.sealed === sealedHash(nonce, sealedSecrets) &&
    body.part === sha256Hex(part) &&
    shares.every((share) => committed.has(sha256Hex(share)));
  if (!genuineParts)
    throw new AntirioError('forbidden', 'this is not what the customer gave: the claim shows nothing');
  const whole = terms.opening === 'autonomous';
  if (!whole && new Set(claim.shares).size < Math.min(body.threshold, committed.size))
    throw new AntirioError('forbidden', `the keys take ${body.threshold} of the arbitrators’ shares`);
  const { contractId, keyVersion } = body;
  const given = { contractId, keyVersion, nonce, sealedSecrets, header, whole };
  return opened(given, part, shares);
}

async function opened(
  given: Parameters<typeof openWith>[0],
  part: Uint8Array,
  shares: readonly Uint8Array[],
): Promise<Secrets | undefined> {
  try {
    return await openWith(given, part, shares);
  } catch (error) {
    // What opens and is no keys is as bad as what does not open.
    if (isAntirioError(error, 'corrupt') || isAntirioError(error, 'invalidInput')) return undefined;
    throw error;
  }
}

function unverifiedBy(
  { customer, contractId }: ContractTerms,
  header: KeyPackage['header'],
  secrets: Secrets,
  kept: KeptFrames | undefined,
): WrongKeysEvidence {
  if (kept === undefined)
    throw new AntirioError('forbidden', 'these keys open, and no frame shows them wrong');
  const { genuine } = kept;
  if (genuine.by !== customer || !verifyDocument(genuine, GENUINE_KIND))
    throw new AntirioError('unauthenticated', 'the customer has not signed for these frames');
  const same = genuine.body.contractId === contractId && genuine.body.keyVersion === header.body.keyVersion;
  if (!same) throw new AntirioError('forbidden', 'the customer signed for other keys than these');
  const frame = unverified(secrets, kept);
  if (frame === undefined) throw new AntirioError('forbidden', 'these keys verify every frame: no breach');
  return { kind: 'wrongKeys', header, found: 'doesNotVerify', genuine, frame };
}
