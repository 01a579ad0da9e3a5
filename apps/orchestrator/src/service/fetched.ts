import { z } from 'zod';
import { callJson, type HttpPeer } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { parseAnswer } from '../flow/answers.ts';

const fetchSchema = z.looseObject({
  state: z.enum(['FETCHING', 'READY2DOWNLOAD', 'DOWNLOADED', 'FAILED']),
  archive: z.string().optional(),
  configuration: z.unknown().optional(),
  /** Further images that the configuration names. */
  services: z
    .array(z.looseObject({ name: z.string(), imageCid: z.string(), archive: z.string().optional() }))
    .optional(),
  progress: z.unknown().optional(),
  error: z.string().optional(),
});
export type FetchStatus = z.output<typeof fetchSchema>;

/** How far migration is with one contract's image. */
export async function fetchStatus(migration: HttpPeer, contractId: string): Promise<FetchStatus> {
  return parseAnswer(fetchSchema, await callJson(migration, { path: `/migration/v1/fetch/${contractId}` }));
}

/**
 * Only bytes that migration fetched by CID for this contract may run.
 * @throws AntirioError forbidden when the archive is not the one that it did fetch.
 */
export async function requireFetched(
  migration: HttpPeer,
  contractId: string,
  archive: string,
): Promise<void> {
  const { state, archive: fetched } = await fetchStatus(migration, contractId);
  if (state !== 'DOWNLOADED' || fetched !== archive)
    throw new AntirioError('forbidden', 'the archive is not one that migration fetched for this contract', {
      contractId,
      state,
    });
}
