import { z } from 'zod';
import { parseInput } from '@antirio/host';
import type { EdgeConfig } from '../config.ts';
import { ifThere } from './contract-image.ts';

const outageView = z.looseObject({
  epoch: z.number(),
  verdict: z.enum(['within', 'breach', 'notJudged']),
  devices: z.number(),
  expected: z.number(),
  heard: z.number(),
  log10P: z.number().nullable(),
  notJudged: z.record(z.string(), z.number()).default({}),
});

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
  outage: outageView.optional(),
});

const WORST_SHOWN = 5;
const percent = (part: number): string => `${(part * 100).toFixed(1)} %`;

const VERDICTS = {
  within: 'as its baselines let expect',
  breach: 'too few to be bad luck (reported, not punished)',
  notJudged: 'not judged',
} as const;

/** What the newest outage that was stated says of the provider's hearing. */
export function outageLine(outage: z.output<typeof outageView>): string {
  const { epoch, verdict, devices, expected, heard, log10P, notJudged } = outage;
  const why = Object.entries(notJudged).map(([reason, count]) => `${count} ${reason}`);
  const left = why.length === 0 ? '' : `; devices not judged: ${why.join(', ')}`;
  const chance = log10P === null ? 'impossible' : `chance 10^${log10P.toFixed(1)}`;
  const counted = `${heard} of ${expected} uplinks of ${devices} devices, ${chance}: `;
  return `outage of epoch ${epoch}: ${verdict === 'notJudged' ? '' : counted}${VERDICTS[verdict]}${left}`;
}

/** How well the provider hears the sensors, by what both edges signed: in all, and of those that it hears worst. */
export async function coverageLines(config: EdgeConfig, id: string): Promise<string[]> {
  const path = `/arbitrator/v1/contract/${encodeURIComponent(id)}/coverage`;
  const answer = await ifThere('arbitrator', config, path);
  if (answer === undefined) return [];
  const { devices, judged: canBe, ofDevices, uplinks, heard, outage } = parseInput(coverageView, answer);
  const judged = outage === undefined ? [] : [outageLine(outage)];
  if (uplinks === 0) return ['coverage: nothing was shown by the provider yet', ...judged];
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
  return [
    `coverage: ${all}; ${canBe} of ${ofDevices} devices can be judged; heard worst:`,
    ...told,
    ...judged,
  ];
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
