import type { EdgeId } from '@antirio/kernel';
import { cancelContract, expireContract, findContract } from './contracts.ts';
import { ruleCoverage } from './coverage-claims.ts';
import type { Context } from './context.ts';
import { done, refuse, type Outcome } from './receipt.ts';
import { keys } from './records.ts';
import { conclude } from './settlement.ts';
import { refuseSpeaker } from './speaker-record.ts';
import { APPOINTED_AT_MOST_MS, type SpeakerAct, type Spoken } from './speaker-transactions.ts';
import type { PayloadOf } from './transaction.ts';

const ACT_OF: { readonly [T in Spoken['type']]: SpeakerAct } = {
  'contract/cancel': 'cancel',
  'contract/expire': 'expire',
  'coverage/rule': 'coverage',
};

/** Said again with the same words it is renewed: the edge lives. */
export function appointSpeaker(context: Context, tx: PayloadOf<'speaker/appoint'>): Outcome {
  const { draft, env, by, genesis } = context;
  const { speaker, acts, silentMs, until } = tx;
  if (speaker === by) return refuse('invalidInput', 'an edge is not its own speaker');
  if (speaker === genesis.arbitrator) return refuse('forbidden', 'who rules speaks for nobody');
  if (draft.read(keys.identity(speaker)) === undefined)
    return refuse('notFound', 'the speaker is not registered');
  if (until <= env.now || until > env.now + APPOINTED_AT_MOST_MS)
    return refuse('invalidInput', `a speaker is appointed for ${APPOINTED_AT_MOST_MS} ms at most`);
  const appointedAt = draft.read(keys.speaker(by))?.appointedAt ?? env.now;
  draft.put(keys.speaker(by), { speaker, acts, silentMs, until, appointedAt, heardAt: env.now });
  draft.emit('speaker/appointed', keys.speaker(by), { edge: by, speaker });
  return done();
}

export function dismissSpeaker({ draft, by }: Context): Outcome {
  if (draft.read(keys.speaker(by)) === undefined) return refuse('notFound', 'nobody speaks for this edge');
  draft.remove(keys.speaker(by));
  draft.emit('speaker/dismissed', keys.speaker(by), { edge: by });
  return done();
}

/** A party has its own interest in the contract, and its own voice. */
function refuseParty({ draft, by }: Context, { contractId }: Spoken, edge: EdgeId): Outcome | undefined {
  const found = findContract(draft, contractId);
  if ('ok' in found) return found;
  const { customer, provider } = found.contract;
  if (edge !== customer && edge !== provider) return refuse('forbidden', 'the contract is of others');
  return by === customer || by === provider
    ? refuse('forbidden', 'a party does not speak for the other one')
    : undefined;
}

function actFor(context: Context, act: Spoken): Outcome {
  switch (act.type) {
    case 'contract/cancel':
      return cancelContract(context, act);
    case 'contract/expire':
      return expireContract(context, act);
    case 'coverage/rule':
      return ruleCoverage(context, act, conclude);
  }
}

/** What the edge could say itself, in its place: every rule holds as if it had. */
export function speakFor(context: Context, { edge, act }: PayloadOf<'speaker/speak'>): Outcome {
  const { draft, env, by } = context;
  const refused =
    refuseSpeaker(draft.read(keys.speaker(edge)), by, ACT_OF[act.type], env.now) ??
    refuseParty(context, act, edge);
  if (refused !== undefined) return refused;
  draft.emit('speaker/spoke', keys.contract(act.contractId), { edge, speaker: by, act: act.type });
  return actFor({ ...context, by: edge }, act);
}
