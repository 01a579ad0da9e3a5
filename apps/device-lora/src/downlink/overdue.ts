import type { Log } from '@antirio/host';
import type { Clock } from '@antirio/kernel';
import type { Desk } from './desk.ts';
import type { DownlinkStore } from './store.ts';

/** A service that stands by again for longer than a restart takes does no more what it was told then. */
const OVERDUE_MS = 600_000;
export const OVERDUE = 'not done while this edge served the device last, and it would be late now';

export interface Overdue {
  readonly store: Pick<DownlinkStore, 'waiting' | 'open'>;
  readonly desk: Pick<Desk, 'end'>;
  readonly clock: Pick<Clock, 'now'>;
}

/**
 * Ends what was encrypted for counters by which this edge may act no more, but for what is at a gateway now. How many there were.
 */
export function endEncrypted({
  store,
  desk,
}: Pick<Overdue, 'store'> & { readonly desk: Pick<Desk, 'busy' | 'requeue'> }): number {
  const open = store
    .waiting()
    .flatMap((devEui) => (desk.busy.has(devEui) ? [] : store.open(devEui)))
    .filter(({ isEncrypted }) => isEncrypted);
  desk.requeue(open, 'this edge serves the device no more');
  return open.length;
}

/**
 * Ends what has waited since an earlier time of serving, for its age by this host's wall clock: whoever sent it has the device's
 * own edge to send by since, and a sluice must not open at the next takeover. How many there were.
 */
export function endOverdue({ store, desk, clock }: Overdue): number {
  const now = clock.now();
  const overdue = store
    .waiting()
    .flatMap((devEui) => store.open(devEui))
    // what another edge gave us ends with the right to act that it was given for
    .filter(({ createdAt, given }) => given === undefined && now - createdAt > OVERDUE_MS);
  for (const downlink of overdue) desk.end(downlink, 'failed', OVERDUE);
  return overdue.length;
}

/** What becomes of downlinks when a service that stands in for the devices' own edge begins to serve, and when it ends. */
export function whileServing(
  ports: Parameters<typeof endOverdue>[0] & Parameters<typeof endEncrypted>[0] & { readonly log: Log },
): {
  readonly onBegin: () => void;
  readonly onEnd: () => void;
} {
  const { log } = ports;
  return {
    onBegin() {
      const overdue = endOverdue(ports);
      if (overdue > 0) log.warn({ overdue }, 'downlinks of an earlier time of serving are not sent any more');
    },
    onEnd() {
      const ended = endEncrypted(ports);
      if (ended > 0)
        log.warn({ ended }, 'downlinks that were encrypted for this edge’s counters are not sent any more');
    },
  };
}
