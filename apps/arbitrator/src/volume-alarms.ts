import { z } from 'zod';
import { callJson, parseInput, type HttpPeer } from '@antirio/host';
import { staleAfterMs } from '@antirio/service-contract';
import type { Trouble } from './alarm-rules.ts';

const trouble = z.looseObject({ reason: z.string(), times: z.int() });

/** Volumes under one contract, as the orchestrator tells of them. */
export const volumeFacts = z.looseObject({
  contractId: z.string(),
  role: z.enum(['customer', 'provider']),
  /** Of a customer's: how old what its provider holds is, at least. */
  heldAgeMs: z.number().optional(),
  /** A provider serves. */
  away: z.boolean().optional(),
  failed: trouble.optional(),
  refused: trouble.optional(),
  unrestored: trouble.optional(),
  home: z
    .looseObject({
      epoch: z.int(),
      outcome: z.string().optional(),
      reason: z.string().optional(),
      none: z.string().optional(),
    })
    .optional(),
  kept: z.array(z.looseObject({ path: z.string(), conflict: z.boolean() })).default([]),
});
export type VolumeFacts = z.output<typeof volumeFacts>;

const volumes = z.looseObject({ volumes: z.array(volumeFacts) });

/** Nothing where the orchestrator does not answer. */
export async function volumesNow(orchestrator: HttpPeer | undefined): Promise<readonly VolumeFacts[]> {
  if (orchestrator === undefined) return [];
  try {
    return parseInput(volumes, await callJson(orchestrator, { path: '/orchestrator/v1/volume' })).volumes;
  } catch {
    return [];
  }
}

function ownTrouble(
  { heldAgeMs = 0, away = false, failed, refused, home }: VolumeFacts,
  everyS: number,
): string | undefined {
  if (home?.outcome === 'refused')
    return `what the provider’s service left did not come home: ${String(home.reason)}`;
  if (away || heldAgeMs <= staleAfterMs(everyS)) return undefined;
  const why = (failed ?? refused)?.reason ?? 'the provider does not fetch it';
  return `the newest snapshot at the provider is ${Math.round(heldAgeMs / 1000)} s old: ${why}`;
}

function guestTrouble({ refused, unrestored, home }: VolumeFacts): string | undefined {
  if (unrestored !== undefined)
    return `the customer’s service began with empty volumes: ${unrestored.reason}`;
  if (home?.none !== undefined && home.epoch > 0) return `nothing goes home: ${home.none}`;
  const isNews = refused !== undefined && refused.reason !== 'serving';
  return isNews ? `snapshots are not taken (${refused.times} times): ${refused.reason}` : undefined;
}

/** @param everyS of the contracts that are under way, by contract */
export function volumeTroubles(all: readonly VolumeFacts[], everyS: ReadonlyMap<string, number>): Trouble[] {
  return all.flatMap((one): Trouble[] => {
    const about = one.contractId;
    const every = everyS.get(about);
    const detail =
      every === undefined ? undefined : one.role === 'customer' ? ownTrouble(one, every) : guestTrouble(one);
    const kept = one.kept.filter(({ conflict }) => conflict).map(({ path }) => path);
    return [
      ...(detail === undefined ? [] : [{ name: 'volumes', about, detail } as const]),
      ...(kept.length === 0
        ? []
        : [
            {
              name: 'volumeConflict',
              about,
              detail: `both edges changed it; kept in ${kept.join(', ')}`,
            } as const,
          ]),
    ];
  });
}
