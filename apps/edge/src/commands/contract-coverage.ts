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

const claimView = z.looseObject({
  epoch: z.number(),
  state: z.enum(['mayClaim', 'claimed', 'answered', 'ruled']),
  leftMs: z.number().optional(),
  verdict: z.string().optional(),
});

const downlinksView = z.looseObject({
  sensors: z.number(),
  sensorsThatAnswered: z.number(),
  sent: z.number(),
  answered: z.number(),
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
  downlinks: downlinksView.optional(),
  outage: outageView.optional(),
  claim: claimView.optional(),
});

const WORST_SHOWN = 5;
const percent = (part: number): string => `${(part * 100).toFixed(1)} %`;

const VERDICTS = {
  within: 'as its baselines let expect',
  breach: 'too few to be bad luck',
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

const CLAIM_STATES = {
  mayClaim: 'the customer may claim that too little was heard',
  claimed: 'the customer claims that too little was heard; the provider has to answer',
  answered: 'claimed and answered, to be ruled',
  ruled: 'claimed, and ruled',
} as const;

/** What the ledger has of a claim about an outage. */
export function claimLine({ epoch, state, leftMs, verdict }: z.output<typeof claimView>): string {
  const left = leftMs === undefined ? '' : `, ${Math.ceil(leftMs / 1000)} s left`;
  const found = verdict === undefined ? '' : `: ${verdict}`;
  return `claim about epoch ${epoch}: ${CLAIM_STATES[state]}${left}${found}`;
}

/** What the sensors made of the drill downlinks that the provider's gateways sent them. */
export function downlinkLine({
  sensors,
  sensorsThatAnswered,
  sent,
  answered,
}: z.output<typeof downlinksView>): string {
  if (sent === 0) return 'drill downlinks: none was sent yet';
  return `drill downlinks: ${answered} of ${sent} answered; ${sensorsThatAnswered} of ${sensors} sensors hear the provider`;
}

/** How well the provider hears the sensors, by what both edges signed: in all, and of those that it hears worst. */
export async function coverageLines(config: EdgeConfig, id: string): Promise<string[]> {
  const path = `/arbitrator/v1/contract/${encodeURIComponent(id)}/coverage`;
  const answer = await ifThere('arbitrator', config, path);
  if (answer === undefined) return [];
  const found = parseInput(coverageView, answer);
  const { devices, judged: canBe, ofDevices, uplinks, heard, downlinks, outage, claim } = found;
  const judged = [
    ...(downlinks === undefined ? [] : [downlinkLine(downlinks)]),
    ...(outage === undefined ? [] : [outageLine(outage)]),
    ...(claim === undefined ? [] : [claimLine(claim)]),
  ];
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
  ringLives: z.number().default(0),
  roots: z.array(z.unknown()),
  contradicting: z.unknown().optional(),
  proof: z.looseObject({ ownThrough: z.number(), opening: z.number().optional() }).optional(),
});

/** What the provider's ring proves by itself, and what only as far as whoever has the keys is trusted. */
export async function proofLines(config: EdgeConfig, id: string): Promise<string[]> {
  const path = `/arbitrator/v1/contract/${encodeURIComponent(id)}/proof`;
  const answer = await ifThere('arbitrator', config, path);
  if (answer === undefined) return [];
  const { ringLives, roots, contradicting, proof } = parseInput(proofView, answer);
  const broken = [
    ...(contradicting === undefined
      ? []
      : ['proof: the provider signed two roots that contradict each other']),
    ...(ringLives > 1 ? [`proof: the provider's ring began anew, ${ringLives - 1} times`] : []),
  ];
  if (proof === undefined)
    return [...broken, `proof: ${roots.length} roots of the provider's ring, all frames prove themselves`];
  const { ownThrough, opening } = proof;
  const since = opening === undefined ? 'the signature' : `opening ${opening}`;
  return [
    ...broken,
    `proof: frames to ${ownThrough} of the provider's ring prove themselves; later ones are keyShared since ${since}`,
  ];
}
