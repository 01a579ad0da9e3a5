import type { Clock } from '@antirio/kernel';
import { radioOf, type Reception } from './event-up.ts';

/** Brings the receptions of one transmission by several gateways together. */
export interface Gathering {
  /** A gateway of this edge hears something. */
  noted(gatewayId: string): void;
  /**
   * Waits for the other gateways' receptions, where others than one were heard lately; `done` gets them, the strongest first. It is
   * called before this returns where there is nothing to wait for.
   */
  begin(key: string, first: Reception, done: (receptions: readonly Reception[]) => void): void;
  /** One more reception; false where it is not waited for (any more). */
  add(key: string, reception: Reception): boolean;
  /** Forgets what is waited for: its `done` is never called. */
  clear(): void;
}

interface Open {
  readonly receptions: Reception[];
  readonly timer: NodeJS.Timeout;
  readonly close: () => void;
}

/** A gateway that was silent for so long is not waited for. */
const LATELY_MS = 600_000;

export function createGathering(windowMs: number, clock: Clock): Gathering {
  const gateways = new Map<string, number>();
  const open = new Map<string, Open>();

  const gatewaysNow = (): number => {
    const since = clock.monotonic() - LATELY_MS;
    for (const [id, at] of gateways) if (at < since) gateways.delete(id);
    return gateways.size;
  };
  return {
    noted: (gatewayId) => void gateways.set(gatewayId, clock.monotonic()),
    begin(key, first, done) {
      if (windowMs === 0 || gatewaysNow() <= 1) {
        done([radioOf(first)]);
        return;
      }
      const receptions = [radioOf(first)];
      const close = (): void => {
        open.delete(key);
        done(receptions.sort((a, b) => b.rssi - a.rssi));
      };
      open.set(key, { receptions, close, timer: setTimeout(close, windowMs) });
    },
    add(key, reception) {
      const found = open.get(key);
      if (found === undefined) return false;
      const { receptions } = found;
      if (receptions.every(({ gatewayId }) => gatewayId !== reception.gatewayId))
        receptions.push(radioOf(reception));
      if (receptions.length >= gatewaysNow()) {
        clearTimeout(found.timer);
        found.close();
      }
      return true;
    },
    clear() {
      for (const { timer } of open.values()) clearTimeout(timer);
      open.clear();
    },
  };
}
