import { AntirioError, type EdgeId } from '@antirio/kernel';
import type { Directory } from './directory.ts';
import type { MatchedRoute } from './open-routes.ts';
import type { Edge2EdgeOptions } from './options.ts';
import type { RateLimit } from './rate-limit.ts';

export interface Admission {
  /** @throws AntirioError forbidden, or busy when the edge asks too often; unavailable when it cannot be told now. */
  admit(from: EdgeId, matched: MatchedRoute): Promise<void>;
}

export function createAdmission(
  options: Edge2EdgeOptions,
  directory: Directory,
  byEdge: RateLimit,
): Admission {
  const isParty = async (from: EdgeId, id: string): Promise<boolean> =>
    (await directory.partiesOf(id)).has(from);

  const admitKnown = async (from: EdgeId): Promise<void> => {
    if (await directory.isKnown(from)) return;
    const why =
      options.role === 'central' ? 'neither vetted here nor registered on the ledger' : 'not known here';
    throw new AntirioError('forbidden', `this edge is ${why}`);
  };
  const admitAnyone = async (from: EdgeId): Promise<void> => {
    // Here little depends on it: an answer that cannot be had now is a no.
    if (await directory.isKnown(from).catch(() => false)) return;
    if (!byEdge.admit(`stranger ${from}`, options.strangerRequestsPerSecond))
      throw new AntirioError('busy', 'too many requests of an unknown edge');
  };
  return {
    async admit(from, { route, id = '' }) {
      // Before anybody is asked about it: identities cost nothing.
      if (!byEdge.admit(from)) throw new AntirioError('busy', 'too many requests of this edge');
      switch (route.audience) {
        case 'anyone':
          return admitAnyone(from);
        case 'known':
          return admitKnown(from);
        case 'party':
          if (!(await isParty(from, id)))
            throw new AntirioError('forbidden', 'only for the parties of that contract or match');
      }
    },
  };
}
