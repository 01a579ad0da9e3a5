import { z } from 'zod';
import { parseInput } from '@antirio/host';
import type { EdgeConfig } from '../config.ts';
import { ifThere } from './contract-image.ts';

const coverageView = z.looseObject({
  devices: z.array(
    z.looseObject({
      devEui: z.string(),
      uplinks: z.number(),
      heard: z.number(),
      atLeast: z.number().optional(),
    }),
  ),
  judged: z.number(),
  ofDevices: z.number(),
  uplinks: z.number(),
  heard: z.number(),
});

const WORST_SHOWN = 5;
const percent = (part: number): string => `${(part * 100).toFixed(1)} %`;

/** How well the provider hears the sensors, by what both edges signed: in all, and of those that it hears worst. */
export async function coverageLines(config: EdgeConfig, id: string): Promise<string[]> {
  const path = `/arbitrator/v1/contract/${encodeURIComponent(id)}/coverage`;
  const answer = await ifThere('arbitrator', config, path);
  if (answer === undefined) return [];
  const { devices, judged, ofDevices, uplinks, heard } = parseInput(coverageView, answer);
  if (uplinks === 0) return ['coverage: nothing was shown by the provider yet'];
  const ratio = ({ heard: part, uplinks: of }: { heard: number; uplinks: number }): number => part / of;
  const worst = devices
    .filter((one) => one.uplinks > 0)
    .toSorted((a, b) => ratio(a) - ratio(b))
    .slice(0, WORST_SHOWN);
  const told = worst.map((one) => {
    const sure = one.atLeast === undefined ? 'too few to judge by' : `surely ${percent(one.atLeast)}`;
    return `  ${one.devEui}: ${one.heard} of ${one.uplinks} uplinks (${percent(ratio(one))}), ${sure}`;
  });
  const all = `${heard} of ${uplinks} uplinks shown in time (${percent(heard / uplinks)})`;
  return [`coverage: ${all}; ${judged} of ${ofDevices} devices can be judged; heard worst:`, ...told];
}

const proofView = z.looseObject({
  roots: z.array(z.unknown()),
  contradicting: z.unknown().optional(),
  proof: z.looseObject({ ownThrough: z.number(), opening: z.number().optional() }).optional(),
});

/** What the provider's ring proves by itself, and what only as far as whoever has the keys is trusted. */
export async function proofLines(config: EdgeConfig, id: string): Promise<string[]> {
  const path = `/arbitrator/v1/contract/${encodeURIComponent(id)}/proof`;
  const answer = await ifThere('arbitrator', config, path);
  if (answer === undefined) return [];
  const { roots, contradicting, proof } = parseInput(proofView, answer);
  const broken =
    contradicting === undefined ? [] : ['proof: the provider signed two roots that contradict each other'];
  if (proof === undefined)
    return [...broken, `proof: ${roots.length} roots of the provider's ring, all frames prove themselves`];
  const { ownThrough, opening } = proof;
  const since = opening === undefined ? 'the signature' : `opening ${opening}`;
  return [
    ...broken,
    `proof: frames to ${ownThrough} of the provider's ring prove themselves; later ones are keyShared since ${since}`,
  ];
}
