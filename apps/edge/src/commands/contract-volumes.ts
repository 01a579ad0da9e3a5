import { z } from 'zod';
import { parseInput } from '@antirio/host';
import type { EdgeConfig } from '../config.ts';
import { askRoom } from './ask-room.ts';

const trouble = z.looseObject({ reason: z.string(), times: z.number() });
const snapshot = z.looseObject({ seq: z.number(), cid: z.string(), bytes: z.number().optional() });

const volumeView = z.looseObject({
  contractId: z.string(),
  role: z.string(),
  newest: snapshot.optional(),
  held: z.union([z.number(), snapshot.extend({ size: z.number() })]).optional(),
  heldAgeMs: z.number().optional(),
  away: z.boolean().optional(),
  restored: z.looseObject({ seq: z.number(), at: z.number().optional() }).optional(),
  unrestored: trouble.optional(),
  failed: trouble.optional(),
  refused: trouble.optional(),
  home: z
    .looseObject({
      epoch: z.number(),
      cid: z.string().optional(),
      outcome: z.string().optional(),
      none: z.string().optional(),
      reason: z.string().optional(),
    })
    .optional(),
  kept: z.array(z.looseObject({ path: z.string(), conflict: z.boolean() })).default([]),
});
type VolumeView = z.output<typeof volumeView>;

const seconds = (ms: number | undefined): string =>
  ms === undefined ? '' : `, ${Math.round(ms / 1000)} s old`;
const said = (what: string, found: VolumeView['failed']): string[] =>
  found === undefined ? [] : [`volumes: ${what} (${found.times} times): ${found.reason}`];

function heldLine({ held, heldAgeMs, newest, away }: VolumeView): string {
  const age = seconds(heldAgeMs);
  if (typeof held === 'object')
    return `volumes: snapshot ${held.seq} is here, ${held.size} bytes sealed${age}`;
  if (newest === undefined) return 'volumes: no snapshot yet';
  const there = held === newest.seq ? `the provider holds it${age}` : `the provider holds ${held ?? 'none'}`;
  const where = away === true ? 'the provider serves' : there;
  return `volumes: newest snapshot ${newest.seq}, ${newest.bytes ?? 0} bytes; ${where}`;
}

function restoredLines({ restored }: VolumeView): string[] {
  if (restored === undefined) return [];
  return [
    `volumes: the service here began ${restored.seq === 0 ? 'empty' : `from snapshot ${restored.seq}`}`,
  ];
}

function homeLines({ home }: VolumeView): string[] {
  if (home === undefined) return [];
  const { epoch, outcome, cid, none = '', reason = '' } = home;
  const what = outcome ?? (cid === undefined ? `nothing (${none})` : 'sealed');
  return [`volumes: home from epoch ${epoch}: ${what} ${cid ?? reason}`.trimEnd()];
}

/** For people: what of a service's state is where. */
export function linesOfVolumes(view: VolumeView): string[] {
  const { unrestored, failed, refused, kept } = view;
  return [
    heldLine(view),
    ...restoredLines(view),
    ...homeLines(view),
    ...said('not restored', unrestored),
    ...said('no snapshot', failed),
    ...said('refused', refused),
    ...kept.map(({ path, conflict }) => `volumes: ${conflict ? 'CONFLICT, ' : ''}kept in ${path}`),
  ];
}

/** Nothing where the contract’s terms name none. */
export async function volumeLines(config: EdgeConfig, id: string, terms: unknown): Promise<string[]> {
  if (terms === undefined) return [];
  const found = await askRoom('orchestrator', config, { path: '/orchestrator/v1/volume' });
  const { volumes } = parseInput(z.looseObject({ volumes: z.array(volumeView) }), found);
  return volumes.filter(({ contractId }) => contractId === id).flatMap(linesOfVolumes);
}
