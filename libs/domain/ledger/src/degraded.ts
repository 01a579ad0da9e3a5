import { findContract, step, type LiveContract } from './contracts.ts';
import type { Context } from './context.ts';
import { done, refuse, type Outcome } from './receipt.ts';
import { keys, type ContractRecord } from './records.ts';
import type { PayloadOf } from './transaction.ts';

/** Stretches that are remembered at once. Each is as long as a provider must be silent, at least. */
const STRETCHES_KEPT = 64;
/** How long after the time to take over a breach may still be ruled for what was before, ms. */
const RULED_WITHIN_MS = 3_600_000;

/** The provider hears nothing itself: it stands by no more, and is not in breach by that. */
export function contractDegrade(context: Context, tx: PayloadOf<'contract/degrade'>): Outcome {
  const { draft, env, by } = context;
  const found = findContract(draft, tx.contractId);
  if ('ok' in found) return found;
  const { contract, terms } = found;
  if (contract.provider !== by) return refuse('forbidden', 'only the provider says that it is degraded');
  // so that nobody goes in and out to be forgotten
  if (env.now < (contract.readyAt ?? 0) + terms.hearing.silentMs)
    return refuse('conflict', 'it was READY just now');
  const exposed = contract.life.state === 'READY_EXPOSED';
  const degraded = step(context, contract, { step: 'degrade' });
  if ('ok' in degraded) return degraded;
  draft.put(keys.contract(contract.id), { ...degraded, degraded: { at: env.now, exposed } });
  return done();
}

/** It hears again, and is what it was before. */
export function recover(context: Context, { contract, terms }: LiveContract): Outcome {
  const { draft, env } = context;
  const exposed = contract.degraded?.exposed === true;
  const ready = step(context, contract, exposed ? { step: 'rearm', exposed } : { step: 'ready' });
  if ('ok' in ready) return ready;
  const { degraded, ...rest } = ready;
  const until = degraded?.at ?? env.now;
  const matters = env.now - terms.takeoverSlaMs - RULED_WITHIN_MS;
  const before = (contract.stoodBy ?? []).filter((one) => one.until > matters);
  const stoodBy = [...before, { from: contract.readyAt ?? until, until }].slice(-STRETCHES_KEPT);
  draft.put(keys.contract(contract.id), { ...rest, readyAt: env.now, stoodBy });
  return done();
}

/** Whether the provider was to take over at a time: by what it had said of itself until then. */
export function stoodByAt({ life, readyAt, degraded, stoodBy = [] }: ContractRecord, at: number): boolean {
  if (stoodBy.some(({ from, until }) => from <= at && at < until)) return true;
  if (readyAt === undefined || readyAt > at) return false;
  return life.state !== 'DEGRADED' || (degraded !== undefined && at < degraded.at);
}
