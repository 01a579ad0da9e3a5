import { z } from 'zod';
import { parseInput } from '@antirio/host';
import { AntirioError, signDocument, verifyDocument, type Identity } from '@antirio/kernel';
import {
  OFFER_KIND,
  hear,
  passDeadline,
  say,
  signedOffer,
  type Judge,
  type Negotiation,
  type OfferBody,
  type SignedOffer,
} from '@antirio/market';
import type { Rooms } from './rooms.ts';

const answer = z.looseObject({ offer: signedOffer.optional(), outcome: z.string() });

export function signOffer(identity: Identity, body: OfferBody): SignedOffer {
  return { ...signDocument(identity, OFFER_KIND, body), kind: OFFER_KIND };
}

/** @throws AntirioError unauthenticated */
export function checkOffer(offer: SignedOffer): void {
  if (!verifyDocument(offer, OFFER_KIND))
    throw new AntirioError('unauthenticated', 'the offer is not signed by its edge');
}

export interface Talk {
  readonly negotiation: Negotiation;
  /** Our last word has arrived. */
  readonly delivered: boolean;
}

/** One exchange, as the customer: our last word goes out (again), what comes back is heard and, where it asks for that, answered. */
export async function exchange(
  rooms: Rooms,
  identity: Identity,
  { negotiation, delivered }: Talk,
  judge: Judge,
  now: number,
): Promise<Talk> {
  const open = passDeadline(negotiation, now);
  const last = open.said.at(-1);
  if (last?.by !== identity.edgeId || delivered) return { negotiation: open, delivered: true };
  const path = `/dmu/dmu/v1/negotiation/${open.matchId}`;
  const got = parseInput(
    answer,
    await rooms.neighbour(open.other, { method: 'POST', path, json: { offer: last } }),
  );
  if (got.offer === undefined) return { negotiation: open, delivered: true };
  checkOffer(got.offer);
  const step = hear(open, got.offer, judge, now);
  if (step.error !== undefined) throw new AntirioError('forbidden', `the provider's answer: ${step.error}`);
  if (step.reply === undefined) return { negotiation: step.negotiation, delivered: true };
  return { negotiation: say(step.negotiation, signOffer(identity, step.reply)), delivered: false };
}
