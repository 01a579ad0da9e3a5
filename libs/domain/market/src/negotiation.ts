import { z } from 'zod';
import { canonicalJson, type EdgeId } from '@antirio/kernel';
import { contractTerms, edgeId, termsHash, type ContractTerms } from '@antirio/service-contract';

/** Between two decision makers: alternating offers, the customer begins with round 1. */
export const offerBody = z.strictObject({
  matchId: z.string().min(1).max(128),
  round: z.int().min(1).max(1000),
  /** `accept` repeats the terms of the offer before it: an agreement is two signatures under the same terms. */
  say: z.enum(['offer', 'accept', 'refuse']),
  terms: contractTerms,
  reason: z.string().max(256).default(''),
});
export type OfferBody = z.output<typeof offerBody>;

export const OFFER_KIND = 'antirio/negotiation-offer/1';

export const signedOffer = z.strictObject({
  kind: z.literal(OFFER_KIND),
  by: edgeId,
  body: offerBody,
  signature: z.string().max(128),
});
export type SignedOffer = z.output<typeof signedOffer>;

export interface Negotiation {
  readonly matchId: string;
  readonly self: EdgeId;
  readonly other: EdgeId;
  /** Milliseconds of wall time; nothing is agreed after it. */
  readonly deadline: number;
  /** Offers of both sides together. */
  readonly maxRounds: number;
  /** Both sides' words, by turns. */
  readonly said: readonly SignedOffer[];
  readonly outcome: 'open' | 'agreed' | 'refused' | 'expired';
  readonly agreed?: ContractTerms;
  readonly reason?: string;
}

/** What a strategy says to an offer. */
export type Verdict =
  | { readonly say: 'accept' }
  | { readonly say: 'offer'; readonly terms: ContractTerms }
  | { readonly say: 'refuse'; readonly reason: string };

/** `own` counts one's own offers from 0; `last`: there is no further round for a counter-offer. */
export type Judge = (terms: ContractTerms, turn: { readonly own: number; readonly last: boolean }) => Verdict;

export interface Step {
  readonly negotiation: Negotiation;
  /** What to sign and send; the same again for a message that comes again. */
  readonly reply?: OfferBody;
  /** What was already signed and sent. */
  readonly repeat?: SignedOffer;
  /** Why the message was not taken. */
  readonly error?: string;
}

export interface Opening {
  readonly matchId: string;
  readonly self: EdgeId;
  readonly other: EdgeId;
  readonly deadline: number;
  readonly maxRounds: number;
}

export function openNegotiation(opening: Opening): Negotiation {
  return { ...opening, said: [], outcome: 'open' };
}

const sameTerms = (a: ContractTerms, b: ContractTerms): boolean => termsHash(a) === termsHash(b);

/** Nothing is agreed after the deadline. */
export function passDeadline(negotiation: Negotiation, now: number): Negotiation {
  if (negotiation.outcome !== 'open' || now <= negotiation.deadline) return negotiation;
  return { ...negotiation, outcome: 'expired', reason: 'the deadline has passed' };
}

/** Puts one's own signed word down, before it is sent. */
export function say(negotiation: Negotiation, offer: SignedOffer): Negotiation {
  const said = [...negotiation.said, offer];
  const { say: word, terms, reason } = offer.body;
  if (word === 'refuse') return { ...negotiation, said, outcome: 'refused', reason };
  // The other side's offer and our acceptance stand under the same terms: both signatures are here.
  return word === 'accept'
    ? { ...negotiation, said, outcome: 'agreed', agreed: terms }
    : { ...negotiation, said };
}

function repeated(negotiation: Negotiation, offer: SignedOffer): Step | undefined {
  const index = negotiation.said.findIndex(
    ({ by, body }) => by === offer.by && body.round === offer.body.round,
  );
  const known = negotiation.said[index];
  if (known === undefined) return undefined;
  if (canonicalJson(known.body) !== canonicalJson(offer.body))
    return { negotiation, error: `round ${offer.body.round} was said otherwise before` };
  const repeat = negotiation.said[index + 1];
  return repeat === undefined ? { negotiation } : { negotiation, repeat };
}

function whyNotTaken(negotiation: Negotiation, { by, body }: SignedOffer): string | undefined {
  const { matchId, other, said, outcome } = negotiation;
  if (by !== other) return 'this negotiation is with another edge';
  if (body.matchId !== matchId) return 'this offer is for another match';
  if (outcome !== 'open') return `the negotiation is ${outcome}`;
  if (body.round !== said.length + 1) return `round ${said.length + 1} is next, not ${body.round}`;
  return said.at(-1)?.by === other ? 'it is not your turn' : undefined;
}

function answer(negotiation: Negotiation, terms: ContractTerms, judge: Judge): OfferBody {
  const { said, matchId, maxRounds } = negotiation;
  const round = said.length + 1;
  const verdict = judge(terms, { own: Math.floor((round - 1) / 2), last: round >= maxRounds });
  const reason = verdict.say === 'refuse' ? verdict.reason.slice(0, 256) : '';
  return { matchId, round, say: verdict.say, terms: verdict.say === 'offer' ? verdict.terms : terms, reason };
}

/** The other side's word (its signature must have been checked): may come twice, late or out of turn. */
export function hear(before: Negotiation, offer: SignedOffer, judge: Judge, now: number): Step {
  const again = offer.by === before.other ? repeated(before, offer) : undefined;
  if (again !== undefined) return again;
  const negotiation = passDeadline(before, now);
  const error = whyNotTaken(negotiation, offer);
  if (error !== undefined) return { negotiation, error };
  const heard = { ...negotiation, said: [...negotiation.said, offer] };
  const { say: word, terms, reason } = offer.body;
  if (word === 'refuse') return { negotiation: { ...heard, outcome: 'refused', reason } };
  if (word === 'offer') return { negotiation: heard, reply: answer(heard, terms, judge) };
  const ours = negotiation.said.at(-1)?.body;
  if (ours?.say !== 'offer' || !sameTerms(ours.terms, terms))
    return { negotiation, error: 'what is accepted was not offered' };
  return { negotiation: { ...heard, outcome: 'agreed', agreed: terms } };
}
