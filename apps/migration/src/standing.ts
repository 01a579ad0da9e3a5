import { z } from 'zod';
import { callJson, parseInput, type HttpPeer } from '@antirio/host';
import type { SentRecord, Standing } from './records.ts';

const answerSchema = z.looseObject({
  versions: z
    .array(
      z.looseObject({
        imageHash: z.string(),
        config: z.string(),
        status: z.enum([
          'REQUESTED',
          'FETCHING',
          'READY2DOWNLOAD',
          'DOWNLOADED',
          'LOADED',
          'ENDING',
          'ENDED',
          'FAILED',
        ]),
        role: z.enum(['current', 'next']).optional(),
        error: z.string().optional(),
        givenUp: z.looseObject({ reason: z.string() }).optional(),
      }),
    )
    .min(1),
});

type Version = z.output<typeof answerSchema>['versions'][number];

const MAX_REASON = 4096;
const given = (reason: string): { reason: string } => ({ reason: reason.slice(0, MAX_REASON) });

const ENDED: readonly Version['status'][] = ['ENDING', 'ENDED'];

/** Undefined while it is there, or on its way. */
function whyOut({
  status,
  error = 'no reason given',
  givenUp,
}: Version): Omit<Standing, 'checkedAt'> | undefined {
  if (givenUp !== undefined) return { state: 'GIVEN_UP', ...given(givenUp.reason) };
  if (ENDED.includes(status)) return { state: 'GONE', ...given('the provider has let go of this version') };
  return status === 'FAILED' ? { state: 'FAILED', ...given(error) } : undefined;
}

function stateOf(version: Version | undefined): Omit<Standing, 'checkedAt'> {
  if (version === undefined) return { state: 'GONE', ...given('the provider knows nothing of this version') };
  const { status, role, error } = version;
  const out = whyOut(version);
  if (out !== undefined) return out;
  if (role === 'current') return { state: 'RUNS' };
  if (role === 'next' || status === 'LOADED') return { state: 'LOADED' };
  return { state: 'COMING', ...(error === undefined ? {} : given(error)) };
}

/**
 * What the provider says became of a version that it was sent: its own signed word, over edge2edge.
 * @throws AntirioError where it says nothing of this contract, or cannot be asked
 */
export async function askStanding(
  edge2edge: HttpPeer,
  { contractId, providerEdgeId, imageCid, configCid }: SentRecord,
): Promise<Omit<Standing, 'checkedAt'>> {
  const path = `/orchestrator/orchestrator/service_provider/contract/${contractId}`;
  const answer = await callJson(edge2edge, { path: `/edge2edge/peer/${providerEdgeId}${path}` });
  const { versions } = parseInput(answerSchema, answer);
  return stateOf(versions.find(({ imageHash, config }) => imageHash === imageCid && config === configCid));
}

/** It is not there any more, and comes again only when it is sent again. */
export const isOut = ({ state }: Pick<Standing, 'state'>): boolean =>
  state === 'GIVEN_UP' || state === 'GONE' || state === 'FAILED';
