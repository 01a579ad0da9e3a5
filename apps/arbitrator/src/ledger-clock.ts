import type { Clock } from '@antirio/kernel';

/** The newest block's time stands still while nobody submits anything: it goes on by our own clock until it is heard again. */
export function ledgerClock(clock: Pick<Clock, 'monotonic'>): (heard: number) => number {
  let [at, since] = [-Infinity, 0];
  return (heard) => {
    const now = clock.monotonic();
    if (heard > at + now - since) [at, since] = [heard, now];
    return at + now - since;
  };
}
