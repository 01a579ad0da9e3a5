import { describeError, type Clock } from '@antirio/kernel';
import type { Log } from '@antirio/host';
import type { Desired } from '@antirio/service-contract';

interface FencePutsPorts {
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly log: Log;
  /** Has the work done when nobody else touches the set's fence. */
  readonly inTurn: (work: () => Promise<void>) => Promise<void>;
  /** What is wanted now. */
  readonly wanted: () => Desired['fence'];
  /** Changes whenever the set's addresses may have. */
  readonly joinsSeen: () => number;
  readonly put: (fence: Desired['fence']) => Promise<void>;
}

interface FencePuts {
  /** Puts the fence where it is not as wanted, and again now and then. */
  apply(): void;
  /** Until the last put is over. */
  settled(): Promise<void>;
}

const AGAIN_MS = 1000;
const RETRY_MS = 100;

export function createFencePuts({ clock, log, inTurn, wanted, joinsSeen, put }: FencePutsPorts): FencePuts {
  let known = '';
  let [putAt, waitMs] = [-Infinity, 0];
  let waits = false;
  let turn: Promise<void> = Promise.resolve();
  const seen = (fence: Desired['fence']): string => JSON.stringify([fence, joinsSeen()]);
  return {
    apply() {
      // What waits its turn, as behind a bridge that hangs, puts the fence as it is wanted then.
      if (waits) return;
      const now = clock.monotonic();
      if (now - putAt < (seen(wanted()) === known ? waitMs : 0)) return;
      waitMs = AGAIN_MS;
      putAt = now;
      waits = true;
      turn = inTurn(async () => {
        waits = false;
        const fence = wanted();
        known = seen(fence);
        await put(fence);
      }).catch((error: unknown) => {
        waitMs = RETRY_MS;
        log.warn({ error: describeError(error) }, 'the fence could not be set');
      });
    },
    settled: () => turn,
  };
}
