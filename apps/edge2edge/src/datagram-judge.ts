import type { Clock, EdgeId } from '@antirio/kernel';
import { decodeDatagram, MAX_DATAGRAM_BYTES, type Datagram } from './datagram-codec.ts';
import type { Directory } from './directory.ts';
import type { Edge2EdgeOptions } from './options.ts';
import { createRateLimit } from './rate-limit.ts';
import { createReplayWindow } from './replay-window.ts';

export const DROPS = [
  'oversized',
  'garbage',
  'misdirected',
  'unknown',
  'forged',
  'replayed',
  'tooMany',
  'unsent',
] as const;
/**
 * Why a datagram was dropped. In: over 1200 bytes; no datagram; for another edge; of an edge not known here; with a wrong signature;
 * seen before; too many. Out: not sent (no address, too large, not understood).
 */
export type Drop = (typeof DROPS)[number];

const FROM_ONE_SOURCE_PER_SECOND = 1000;
const IN_ALL_PER_SECOND = 4000;

export interface JudgeParts {
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly own: EdgeId;
  readonly directory: Directory;
  readonly options: Pick<Edge2EdgeOptions, 'datagramsPerSecond' | 'maxPeers'>;
}

/** What bytes from the network say, or why they are dropped. The cheap questions come first. */
export function createDatagramJudge(
  parts: JudgeParts,
): (bytes: Uint8Array, source: string) => Datagram | Drop {
  const { clock, own, directory, options } = parts;
  const bySource = createRateLimit(clock, FROM_ONE_SOURCE_PER_SECOND, 1024);
  const inAll = createRateLimit(clock, IN_ALL_PER_SECOND, 1);
  const byEdge = createRateLimit(clock, options.datagramsPerSecond, 2048);
  const replays = createReplayWindow(options.maxPeers);

  const isKnown = (edge: EdgeId): boolean => {
    if (directory.get(edge) !== undefined) return true;
    // Looked up for the next one; a beat comes again.
    directory.refresh(edge);
    return false;
  };
  return (bytes, source) => {
    if (bytes.length > MAX_DATAGRAM_BYTES) return 'oversized';
    if (!bySource.admit(source) || !inAll.admit('')) return 'tooMany';
    const received = decodeDatagram(bytes);
    if (received === undefined) return 'garbage';
    const { datagram } = received;
    if (datagram.to !== own) return 'misdirected';
    if (!received.isGenuine()) return 'forged';
    if (!byEdge.admit(datagram.from)) return 'tooMany';
    if (!isKnown(datagram.from)) return 'unknown';
    return replays.isNew(datagram.from, datagram.boot, datagram.seq) ? datagram : 'replayed';
  };
}
