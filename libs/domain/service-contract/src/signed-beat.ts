import { verifyDocument, type EdgeId } from '@antirio/kernel';
import type { Beat, DatagramProof, ShownBeat } from './messages.ts';

/** A customer's beat with its signature, and when it was heard. Forgotten at a restart. */
export interface HeardBeat {
  readonly signed: ShownBeat['signed'];
  readonly at: number;
}

/** Undefined where nobody says how it was signed. */
export function keptBeat(
  customer: EdgeId,
  body: Beat,
  proof: DatagramProof | undefined,
  at: number,
): HeardBeat | undefined {
  if (proof === undefined) return undefined;
  const { signature, ...envelope } = proof;
  return {
    signed: { kind: 'antirio/datagram/beat', by: customer, body: { ...envelope, body }, signature },
    at,
  };
}

/** What is shown of it with an opening. */
export function beatShown(heard: HeardBeat | undefined, now: number): { readonly beat?: ShownBeat } {
  if (heard === undefined) return {};
  return { beat: { signed: heard.signed, msAgo: Math.max(0, Math.round(now - heard.at)) } };
}

/** What of a signed beat says whose it is: one of a later version may say more. */
type Claim = Pick<ShownBeat['signed'], 'kind' | 'by' | 'signature'> & {
  readonly body: { readonly to: string; readonly body: { readonly contractId: string } };
};

/** Why this is no beat of the contract's customer to its provider; undefined where it is one. */
export function beatProblem(
  { by, body, signature, kind }: Claim,
  { contractId, customer, provider }: { contractId: string; customer: EdgeId; provider: EdgeId },
): string | undefined {
  if (by !== customer) return 'the beat shown is not the customer’s';
  if (body.body.contractId !== contractId) return 'the beat shown is of another contract';
  if (body.to !== provider) return 'the beat shown is to another edge';
  return verifyDocument({ kind, by: customer, body, signature }, kind)
    ? undefined
    : 'the customer has not signed the beat shown';
}
