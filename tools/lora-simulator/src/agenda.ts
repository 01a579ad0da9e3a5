import type { Clock } from './clock.ts';
import { createTimeHeap } from './heap.ts';

/** Actions at monotonic times, on one timer. */
export interface Agenda {
  readonly size: number;
  at(monoMs: number, action: () => void): void;
  close(): void;
}

/** An agenda whose actions run at or shortly after their time, in order of time. */
export function createAgenda(clock: Clock): Agenda {
  const heap = createTimeHeap<() => void>();
  let timer: NodeJS.Timeout | undefined;
  let timerAt = Infinity;

  const arm = (): void => {
    const nextAt = heap.nextAt();
    if (nextAt >= timerAt || nextAt === Infinity) return;
    clearTimeout(timer);
    timerAt = nextAt;
    timer = setTimeout(run, Math.max(0, Math.ceil(nextAt - clock.monoMs())));
  };
  const run = (): void => {
    timerAt = Infinity;
    while (heap.nextAt() <= clock.monoMs()) heap.pop()?.();
    arm();
  };
  return {
    get size() {
      return heap.size;
    },
    at(monoMs, action) {
      heap.push(monoMs, action);
      arm();
    },
    close() {
      clearTimeout(timer);
      timerAt = -Infinity;
      heap.clear();
    },
  };
}
