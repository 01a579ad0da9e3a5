import { z } from 'zod';
import type { Observed } from './party.ts';
import { call } from './step.ts';
import type { ProviderState, Step } from './provider-state.ts';

/** A provider that hears nothing itself is no shelter: it says so on the ledger, and comes back when it hears again. */

export const hearingTerms = z.strictObject({
  /** With all of its gateways silent for so long, ms, a provider leaves READY. */
  silentMs: z.int().min(1000).max(86_400_000).default(120_000),
});

/** When one of our own gateways was heard last: at our start, where that is all we know. */
export function heardOf(heardAt: number, { gateways }: Observed, now: number): number {
  const ages = (gateways ?? []).flatMap(({ heardMsAgo }) => heardMsAgo ?? []);
  return ages.length === 0 ? heardAt : Math.max(heardAt, now - Math.min(...ages));
}

const STANDS: ReadonlySet<string> = new Set(['READY', 'READY_EXPOSED']);

/** Why we are no shelter now, undefined where we are. */
function whyDegraded({ terms, observed, heardAt }: ProviderState, now: number): string | undefined {
  // what no sensor on the radio feeds needs no ear
  if (terms.set.devices.length === 0) return undefined;
  const silentMs = Math.round(now - heardAt);
  if (silentMs >= terms.hearing.silentMs)
    return `none of our gateways was heard for ${Math.floor(silentMs / 1000)} s`;
  return observed.motesDeaf === true ? 'the sensors do not hear our drill downlinks' : undefined;
}

/** Goes by what the ledger says we are, and by our own ear. Nothing is said by who does not know its gateways. */
export function tellHearing(state: ProviderState, now: number): Step {
  const { terms, record, observed } = state;
  if (record === undefined || observed.gateways === undefined) return [state, []];
  const reason = whyDegraded(state, now);
  if (reason !== undefined && STANDS.has(record.state)) {
    return call(
      state,
      terms.central,
      { method: 'degrade', args: { contractId: terms.contractId, reason } },
      now,
    );
  }
  if (reason !== undefined || record.state !== 'DEGRADED') return [state, []];
  const { contractId, image } = terms;
  const { imageCid, configCid } = image;
  const args = { contractId, imageCid, configCid, keyVersion: observed.keyVersion ?? 1 };
  return call(state, terms.central, { method: 'ready', args }, now);
}

/** The ledger has it. */
export function onHearingTold(state: ProviderState, method: 'degrade' | 'ready'): Step {
  const milestone = method === 'degrade' ? 'degraded' : 'ready';
  return [{ ...state, record: undefined }, [{ type: 'note', milestone, detail: {} }]];
}
