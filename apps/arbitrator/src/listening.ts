import type { Observed, Standing } from '@antirio/service-contract';
import type { Clock } from '@antirio/kernel';
import type { ContractStore } from './contract-store.ts';
import type { MacHandback } from './mac-handback.ts';
import type { MacHome } from './mac-home.ts';
import { hasToldAll, type MacSnapshots } from './mac-snapshots.ts';

/** How a contract's devices listen: it goes with them to who serves them, and comes home. */
export interface Listening {
  /** Whether our devices are not to be sent to yet, as it is on its way home. */
  holdsFence(): boolean;
  /** What our guest made of it, under an epoch that is over. Never rejects. */
  handBack(epoch: number): Promise<void>;
  /** What we know goes to our provider now, as our word follows. Never rejects. */
  sendNow(): Promise<void>;
  /** Whether READY waits for the customer's, where everything else is there. */
  isAwaited(phase: string, service: Observed['service']): boolean;
}

export interface ListeningPorts {
  readonly store: Pick<ContractStore, 'document'>;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly drivers: ReadonlyMap<string, Standing>;
  readonly macs: Pick<MacSnapshots, 'sendNow'>;
  readonly macHome: Pick<MacHome, 'holdsFence'>;
  readonly handback: Pick<MacHandback, 'handBack'>;
}

/** READY waits so long for a customer that says nothing of its devices, as those of older versions do. */
const PATIENCE_MS = 10_000;

export function listeningOf(ports: ListeningPorts, terms: Standing['terms']): Listening {
  const { store, clock, drivers, macs, macHome, handback } = ports;
  const { contractId, set, confidentiality } = terms;
  const isFed = confidentiality !== 'relay' && set.devices.length > 0;
  let since: number | undefined;
  return {
    // whichever contract of the set has the say in its fence
    holdsFence: () =>
      [...drivers.values()].some((one) => one.terms.set.setId === set.setId && macHome.holdsFence(one)),
    handBack: (epoch) => handback.handBack(terms, epoch),
    sendNow: () => macs.sendNow(contractId),
    isAwaited(phase, service) {
      if (!isFed || phase !== 'preparing' || service !== 'standby') return false;
      since ??= clock.monotonic();
      return clock.monotonic() - since < PATIENCE_MS && !hasToldAll(store, contractId);
    },
  };
}
