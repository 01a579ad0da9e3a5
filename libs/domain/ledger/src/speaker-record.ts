import type { EdgeId } from '@antirio/kernel';
import type { Context } from './context.ts';
import type { Draft } from './draft.ts';
import { refuse, type Outcome } from './receipt.ts';
import { keys, type SetRecord, type SpeakerRecord } from './records.ts';
import type { SpeakerAct } from './speaker-transactions.ts';
import type { SignedTx } from './transaction.ts';

/** Why this edge may not do this for the one that appointed it; undefined where it may. The edge's own newer word wins. */
export function refuseSpeaker(
  known: SpeakerRecord | undefined,
  speaker: EdgeId,
  act: SpeakerAct,
  now: number,
): (Outcome & { readonly ok: false }) | undefined {
  if (known?.speaker !== speaker) return refuse('forbidden', 'the edge has not appointed the signer');
  if (now >= known.until) return refuse('gone', 'the edge has appointed the signer up to then only');
  if (!known.acts.includes(act)) return refuse('forbidden', `the signer is not appointed to: ${act}`);
  return now - known.heardAt < known.silentMs
    ? refuse('conflict', 'the edge has spoken itself since')
    : undefined;
}

/** The customer has a speaker, for it is silent, and its provider has let go: nobody takes the set back. */
export function isAbandoned({ draft, env }: Context, { customer, epoch, released }: SetRecord): boolean {
  const known = draft.read(keys.speaker(customer));
  if (known === undefined || released?.epoch !== epoch) return false;
  return env.now < known.until && env.now - known.heardAt >= known.silentMs;
}

/** Whatever an edge signs is its sign of life, the epoch that it was given too; edges without a speaker need none. */
export function noteHeard(draft: Draft, now: number, { by, body }: SignedTx, isDone: boolean): void {
  const { payload } = body;
  const taker = isDone && payload.type === 'epoch/take' ? [payload.request.by] : [];
  for (const edge of [by, ...taker]) {
    const known = draft.read(keys.speaker(edge));
    if (known !== undefined && known.heardAt !== now)
      draft.put(keys.speaker(edge), { ...known, heardAt: now });
  }
}
