import { AntirioError, describeError, isAntirioError } from '@antirio/kernel';
import type { HttpPeer } from '@antirio/host';
import { checkBlock, MAX_BLOCK_BYTES, type Block, type CID } from './block.ts';

/** Someone who may have blocks. Nothing it says is believed. */
export interface BlockProvider {
  readonly name: string;
  /** The bytes it gives for a CID. @throws AntirioError notFound where it has none; anything else is a failure of it. */
  fetchBlock(cid: CID, timeoutMs: number): Promise<Uint8Array>;
}

/** A trustless gateway as a provider; `prefix` is what stands before `/ipfs` in its paths. */
export function gatewayProvider(name: string, peer: HttpPeer, prefix = ''): BlockProvider {
  return {
    name,
    async fetchBlock(cid, timeoutMs) {
      const answer = await peer.call({
        path: `${prefix}/ipfs/${cid.toString()}?format=raw`,
        headers: { accept: 'application/vnd.ipld.raw' },
        timeoutMs,
        maxAnswerBytes: MAX_BLOCK_BYTES,
      });
      if (answer.status === 200) return answer.body;
      const code = answer.status === 404 || answer.status === 410 ? 'notFound' : 'unavailable';
      throw new AntirioError(code, `HTTP ${answer.status}`, { status: answer.status });
    },
  };
}

export interface ProviderReport {
  readonly name: string;
  readonly blocks: number;
  readonly bytes: number;
  /** Why it is asked no more. */
  readonly dropped?: string;
}

/** The providers of one fetch. */
export interface ProviderPool {
  /** A checked block from whoever gives it. @throws AntirioError notFound | unavailable, corrupt where all have lied. */
  fetch(cid: CID): Promise<Block>;
  report(): ProviderReport[];
}

/** After as many failures in a row a provider is not asked any more in this fetch. */
const FAILURES_ALLOWED = 3;

interface Standing {
  readonly provider: BlockProvider;
  blocks: number;
  bytes: number;
  underWay: number;
  failures: number;
  lastFailure: string;
  lied: boolean;
  dropped?: string;
}

export function createProviderPool(
  providers: readonly BlockProvider[],
  blockTimeoutMs: number,
): ProviderPool {
  const standings = providers.map((provider): Standing => {
    return { provider, blocks: 0, bytes: 0, underWay: 0, failures: 0, lastFailure: '', lied: false };
  });

  const ask = async (standing: Standing, cid: CID): Promise<Block> => {
    standing.underWay++;
    try {
      const block = checkBlock(cid, await standing.provider.fetchBlock(cid, blockTimeoutMs));
      standing.blocks++;
      standing.bytes += block.bytes.length;
      standing.failures = 0;
      return block;
    } catch (error) {
      blame(standing, error);
      throw error;
    } finally {
      standing.underWay--;
    }
  };

  return {
    async fetch(cid) {
      const asked = new Set<Standing>();
      const missing: Standing[] = [];
      for (;;) {
        const next = standings
          .filter((standing) => standing.dropped === undefined && !asked.has(standing))
          .sort((a, b) => a.failures - b.failures || a.underWay - b.underWay)[0];
        if (next === undefined) throw nobody(cid, standings, missing);
        try {
          return await ask(next, cid);
        } catch (error) {
          if (isAntirioError(error, 'notFound')) missing.push(next);
          // One that may only have stumbled is asked again, until it has failed too often.
          if (isAntirioError(error, 'notFound') || next.dropped !== undefined) asked.add(next);
        }
      }
    },
    report: () =>
      standings.map(({ provider, blocks, bytes, dropped }) => ({
        name: provider.name,
        blocks,
        bytes,
        ...(dropped === undefined ? {} : { dropped }),
      })),
  };
}

function blame(standing: Standing, error: unknown): void {
  if (isAntirioError(error, 'notFound')) return;
  standing.lastFailure = describeError(error);
  standing.failures++;
  standing.lied = isAntirioError(error, 'corrupt') || isAntirioError(error, 'tooLarge');
  if (standing.lied) standing.dropped = `lied: ${standing.lastFailure}`;
  else if (standing.failures >= FAILURES_ALLOWED) standing.dropped = `failed: ${standing.lastFailure}`;
}

function nobody(cid: CID, standings: readonly Standing[], missing: readonly Standing[]): AntirioError {
  const reasons = standings.map((standing) => {
    const why = standing.dropped ?? (missing.includes(standing) ? 'does not have it' : standing.lastFailure);
    return `${standing.provider.name} ${why}`;
  });
  const all = (is: (standing: Standing) => boolean): boolean => standings.length > 0 && standings.every(is);
  const allLied = all((standing) => standing.lied);
  const nobodyHasIt = all((standing) => missing.includes(standing));
  const details = { cid: cid.toString(), providers: reasons };
  const message = reasons.length === 0 ? 'no providers' : reasons.join('; ');
  return new AntirioError(
    allLied ? 'corrupt' : nobodyHasIt ? 'notFound' : 'unavailable',
    `nobody gives block ${cid.toString()}: ${message}`,
    details,
  );
}
