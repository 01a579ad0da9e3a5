import { AntirioError, isAntirioError } from '@antirio/kernel';
import type { GroupCommit } from '@antirio/host';

/** A store that fails is EdgeX's 500; one that does not keep up may be asked again, so that stays 503. */
export function edgexStore(commit: Pick<GroupCommit, 'run'>): Pick<GroupCommit, 'run'> {
  return {
    async run(bytes, work) {
      try {
        return await commit.run(bytes, work);
      } catch (error) {
        const failed = isAntirioError(error, 'unavailable') || isAntirioError(error, 'storageFull');
        if (!failed || error.cause === undefined) throw error;
        throw new AntirioError('internal', error.message, {}, error.cause);
      }
    },
  };
}
