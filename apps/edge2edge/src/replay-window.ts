import type { EdgeId } from '@antirio/kernel';

/**
 * Lets each datagram through once. Per edge and start of it a window over sequence numbers (as in RFC 4303, section 3.4.3); the newest
 * few starts of an edge are remembered. A recording from before those, or from before our own start, passes: what is said in
 * datagrams proves its freshness by itself, with nonces.
 */
export interface ReplayWindow {
  isNew(from: EdgeId, boot: string, seq: number): boolean;
}

const SIZE = 1024n;
const MASK = (1n << SIZE) - 1n;
const MAX_BOOTS = 8;

interface Window {
  highest: number;
  seen: bigint;
}

function oldestBeyond<K>(map: Map<K, unknown>, max: number): void {
  const oldest = map.size > max ? map.keys().next().value : undefined;
  if (oldest !== undefined) map.delete(oldest);
}

function mark(window: Window, seq: number): boolean {
  const ahead = seq - window.highest;
  if (ahead > 0) {
    window.seen = BigInt(ahead) >= SIZE ? 1n : ((window.seen << BigInt(ahead)) & MASK) | 1n;
    window.highest = seq;
    return true;
  }
  const bit = 1n << BigInt(-ahead);
  if (BigInt(-ahead) >= SIZE || (window.seen & bit) !== 0n) return false;
  window.seen |= bit;
  return true;
}

export function createReplayWindow(maxEdges: number): ReplayWindow {
  const edges = new Map<EdgeId, Map<string, Window>>();
  return {
    isNew(from, boot, seq) {
      const boots = edges.get(from) ?? new Map<string, Window>();
      edges.delete(from);
      edges.set(from, boots);
      oldestBeyond(edges, maxEdges);
      const window = boots.get(boot) ?? { highest: 0, seen: 0n };
      boots.delete(boot);
      boots.set(boot, window);
      oldestBeyond(boots, MAX_BOOTS);
      return mark(window, seq);
    },
  };
}
