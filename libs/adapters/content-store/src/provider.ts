import { AntirioError, describeError, isAntirioError } from '@antirio/kernel';
import { sleep } from '@antirio/host';
import { checkBlock, type Block, type CID } from './block.ts';
import { atLeastPace, TooSlow } from './least-pace.ts';

/** Someone who may have blocks. Nothing it says is believed. */
export interface BlockProvider {
  readonly name: string;
  /**
   * The bytes it gives for a CID. @throws AntirioError notFound where it has none, busy (`retryAfterMs` in the details) where it
   * wants to be left alone for now; anything else is a failure of it.
   */
  fetchBlock(cid: CID, timeoutMs: number): Promise<Uint8Array>;
  /** A CAR of all below a CID, where it has such; given up when nothing comes for so long. Throws as `fetchBlock`. */
  fetchCar?(cid: CID, idleMs: number, signal?: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
}

export interface ProviderReport {
  readonly name: string;
  readonly blocks: number;
  readonly bytes: number;
  /** Why it is asked no more. */
  readonly dropped?: string;
}

/** Reads a CAR; gives how many blocks and bytes of it were good. @throws AntirioError corrupt | tooLarge | invalidInput */
export type TakeCar = (car: AsyncIterable<Uint8Array>) => Promise<{ blocks: number; bytes: number }>;

/** The providers of one fetch. */
export interface ProviderPool {
  /** A checked block from whoever gives it. @throws AntirioError notFound | unavailable, corrupt where all have lied. */
  fetch(cid: CID, signal?: AbortSignal): Promise<Block>;
  /**
   * Has somebody's CAR taken; whether it was taken whole. A provider whose CAR is no good is asked for no more of them, one
   * that lied in it for nothing more, and one that was too slow with it after the others.
   */
  tryCar(cid: CID, take: TakeCar, signal?: AbortSignal): Promise<boolean>;
  report(): ProviderReport[];
}

/** After as many failures in a row a provider is not asked any more in this fetch. */
const FAILURES_ALLOWED = 3;
/** As often in a row it may say that it is busy before that is a failure; no wait is longer than this. */
const BUSY_ALLOWED = 10;
const MAX_WAIT_MS = 5000;
/** Bytes a second that a CAR brings at least, over each block's time: where others could be asked, and where nobody else can be. */
const LEAST_PACE = 32 << 10;
const LEAST_PACE_ALONE = 4 << 10;
/** A block that took longer, and came more slowly than the pace, is held against who gave it. */
const SLOW_BLOCK_MS = 1000;

interface Standing {
  readonly provider: BlockProvider;
  blocks: number;
  bytes: number;
  underWay: number;
  failures: number;
  lastFailure: string;
  lied: boolean;
  dropped?: string;
  /** In milliseconds of this process: not asked before. */
  busyUntil: number;
  busyInARow: number;
  noCar: boolean;
  /** What it gave more slowly than the pace. */
  slow: number;
}

export function createProviderPool(
  providers: readonly BlockProvider[],
  blockTimeoutMs: number,
): ProviderPool {
  const standings = providers.map((provider): Standing => {
    const counts = { blocks: 0, bytes: 0, underWay: 0, failures: 0, busyUntil: 0, busyInARow: 0, slow: 0 };
    return { provider, ...counts, lastFailure: '', lied: false, noCar: provider.fetchCar === undefined };
  });

  const ask = async (standing: Standing, cid: CID): Promise<Block> => {
    standing.underWay++;
    const began = performance.now();
    try {
      const block = checkBlock(cid, await standing.provider.fetchBlock(cid, blockTimeoutMs));
      standing.blocks++;
      standing.bytes += block.bytes.length;
      standing.failures = standing.busyInARow = 0;
      const tookMs = performance.now() - began;
      if (tookMs > SLOW_BLOCK_MS && block.bytes.length < (LEAST_PACE * tookMs) / 1000) standing.slow++;
      return block;
    } catch (error) {
      blame(standing, error);
      throw error;
    } finally {
      standing.underWay--;
    }
  };

  const openCar = async (standing: Standing, cid: CID, signal: AbortSignal) => {
    const isAlone = (): boolean =>
      standings.every((other) => other === standing || other.dropped !== undefined);
    const car = await standing.provider.fetchCar?.(cid, blockTimeoutMs, signal);
    if (car === undefined) throw new AntirioError('unavailable', `${standing.provider.name} gives no CARs`);
    return atLeastPace(car, {
      windowMs: blockTimeoutMs,
      leastBytes: () => ((isAlone() ? LEAST_PACE_ALONE : LEAST_PACE) * blockTimeoutMs) / 1000,
    });
  };

  return {
    async fetch(cid, signal) {
      const asked = new Set<Standing>();
      const missing: Standing[] = [];
      for (;;) {
        const next = best(standings.filter((standing) => !asked.has(standing)));
        if (next === undefined) throw nobody(cid, standings, missing);
        const wait = next.busyUntil - performance.now();
        if (wait > 0) {
          await sleep(Math.min(wait, MAX_WAIT_MS), signal);
          if (signal?.aborted === true) throw new AntirioError('timeout', 'the fetch was broken off');
          continue;
        }
        try {
          return await ask(next, cid);
        } catch (error) {
          if (isAntirioError(error, 'notFound')) missing.push(next);
          // One that may only have stumbled is asked again, until it has failed too often.
          if (isAntirioError(error, 'notFound') || next.dropped !== undefined) asked.add(next);
        }
      }
    },
    async tryCar(cid, take, signal) {
      const next = best(standings.filter(({ noCar, busyUntil }) => !noCar && busyUntil <= performance.now()));
      if (next === undefined) return false;
      next.underWay++;
      const over = new AbortController();
      const signals = [over.signal, ...(signal === undefined ? [] : [signal])];
      try {
        const taken = await take(await openCar(next, cid, AbortSignal.any(signals)));
        next.blocks += taken.blocks;
        next.bytes += taken.bytes;
        return true;
      } catch (error) {
        if (error instanceof TooSlow) next.slow++;
        if (!isAntirioError(error) || isAntirioError(error, 'storageFull')) throw error;
        // Not to have it, to give single blocks only, or too much of it, is no failure; a wrong block is one.
        next.noCar = !isAntirioError(error, 'busy');
        if (isAntirioError(error, 'corrupt')) blame(next, error);
        return false;
      } finally {
        // One that is too slow still sends.
        over.abort();
        next.underWay--;
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

/** Who is asked first: who waits for nothing, has failed least, was slow least and has least to do. */
function best(standings: readonly Standing[]): Standing | undefined {
  const now = performance.now();
  const waits = ({ busyUntil }: Standing): number => Math.max(0, busyUntil - now);
  return standings
    .filter((standing) => standing.dropped === undefined)
    .sort(
      (a, b) => waits(a) - waits(b) || a.failures - b.failures || a.slow - b.slow || a.underWay - b.underWay,
    )[0];
}

const isLie = (error: unknown): boolean =>
  isAntirioError(error, 'corrupt') || isAntirioError(error, 'tooLarge');

function blame(standing: Standing, error: unknown): void {
  if (isAntirioError(error, 'notFound')) return;
  standing.lastFailure = describeError(error);
  if (isAntirioError(error, 'busy') && standing.busyInARow < BUSY_ALLOWED) {
    const waitMs = error.details['retryAfterMs'];
    standing.busyInARow++;
    standing.busyUntil = performance.now() + Math.min(typeof waitMs === 'number' ? waitMs : 0, MAX_WAIT_MS);
    return;
  }
  standing.failures++;
  standing.lied = isLie(error);
  if (standing.lied) standing.dropped = `lied: ${standing.lastFailure}`;
  else if (standing.failures >= FAILURES_ALLOWED || isAntirioError(error, 'forbidden'))
    standing.dropped = `failed: ${standing.lastFailure}`;
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
