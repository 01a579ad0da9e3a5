import { AntirioError, isAntirioError } from '@antirio/kernel';
import type { GroupCommit } from '@antirio/host';

/** A store that fails is EdgeX's 500; one that does not keep up, or is away, may be asked again, so that stays 503. @throws AntirioError */
export function asEdgexFailure(error: unknown): never {
  const failed = isAntirioError(error, 'unavailable') || isAntirioError(error, 'storageFull');
  if (!failed || error.cause === undefined) throw error;
  throw new AntirioError('internal', error.message, {}, error.cause);
}

/** A store whose failures are told as EdgeX tells them. */
export function edgexStore(commit: Pick<GroupCommit, 'run'>): Pick<GroupCommit, 'run'> {
  return {
    run: (bytes, work) => commit.run(bytes, work).catch(asEdgexFailure),
  };
}
