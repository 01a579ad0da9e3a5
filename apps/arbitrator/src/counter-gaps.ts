import { z } from 'zod';
import { parseInput } from '@antirio/host';
import { fromUtf8 } from '@antirio/kernel';
import { gapState, type CounterGap, type ProtectedDevice } from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';
import type { Contracts } from './contracts.ts';

/** Sensors whose downlink counters have run far ahead of what they were proven to hear, as their services tell. */
export interface CounterGaps {
  /** A service tells on the bus: `antirio/fcntdown/gap`, its own or a contract's. */
  readonly onNotice: (topic: string, payload: Uint8Array) => Promise<void>;
  /** Those near the limit or over it; of contracts only while they live. */
  found(): readonly DeviceGap[];
}

export interface DeviceGap extends CounterGap {
  readonly devAddr: string;
}

/** The sets that guests of this edge act for, by contract, as long as these live. */
export type GuestSets = () => ReadonlyMap<string, readonly Pick<ProtectedDevice, 'devAddr'>[]>;

export function guestSets({
  drivers,
  addresses,
}: Pick<Contracts, 'drivers' | 'addresses'>): ReturnType<GuestSets> {
  const live = [...drivers].filter(([, one]) => one.role === 'provider' && one.phase().at !== 'ended');
  return new Map(live.map(([contractId, { terms }]) => [contractId, addresses(terms)]));
}

export const GAP_TOPIC = 'antirio/fcntdown/gap';

const notice = z.object({
  devAddr: z.string().regex(/^[0-9a-f]{8}$/),
  next: z.int().min(0),
  proven: z.int().min(-1),
});

const OWN = 'own';
const KIND = 'counterGap';
/** All of them in one document, by scope and DevAddr, as they were kept before. */
const OLD_NAME = 'counterGaps';
/** Of each scope; a contract's are of its set as well. */
const GAPS_KEPT = 10_000;

type Store = Pick<
  ContractStore,
  'document' | 'documents' | 'putDocument' | 'putDocuments' | 'forgetDocument'
>;

function takeOver(store: Store): void {
  const old = store.document(OWN, OLD_NAME) as Readonly<Record<string, DeviceGap>> | undefined;
  if (old === undefined) return;
  for (const [key, gap] of Object.entries(old)) {
    const [scope = OWN, devAddr = ''] = key.split('/');
    store.putDocument(scope, `${KIND}/${devAddr}`, gap);
  }
  store.forgetDocument(OWN, OLD_NAME);
}

export function createCounterGaps(store: Store, setsNow: GuestSets): CounterGaps {
  takeOver(store);
  const byScope = new Map<string, Map<string, DeviceGap>>();
  /** By DevAddr. */
  const keptOf = (scope: string): Map<string, DeviceGap> => {
    const kept =
      byScope.get(scope) ?? new Map(store.documents(scope, KIND) as ReadonlyMap<string, DeviceGap>);
    byScope.set(scope, kept);
    return kept;
  };
  const isOf = (contractId: string, devAddr: string): boolean =>
    (setsNow().get(contractId) ?? []).some((device) => device.devAddr === devAddr);
  return {
    onNotice(topic, payload) {
      const told = parseInput(notice, JSON.parse(fromUtf8(payload)));
      const { devAddr } = told;
      const guest = topic.startsWith('contract/') ? topic.split('/')[1] : undefined;
      // a guest is a customer's image: it speaks of that customer's devices alone
      if (guest !== undefined && !isOf(guest, devAddr)) return Promise.resolve();
      const scope = guest ?? OWN;
      const kept = keptOf(scope);
      const state = gapState(told);
      if (state === 'near' || state === 'exhausted') {
        if (!kept.has(devAddr) && kept.size >= GAPS_KEPT) return Promise.resolve();
        store.putDocument(scope, `${KIND}/${devAddr}`, told);
        kept.set(devAddr, told);
      } else if (kept.has(devAddr)) {
        store.forgetDocument(scope, `${KIND}/${devAddr}`);
        kept.delete(devAddr);
      }
      return Promise.resolve();
    },
    found() {
      const sets = setsNow();
      for (const scope of byScope.keys()) if (scope !== OWN && !sets.has(scope)) byScope.delete(scope);
      const ofGuests = [...sets].flatMap(([scope, devices]) => {
        const kept = keptOf(scope);
        return kept.size === 0 ? [] : devices.flatMap(({ devAddr }) => kept.get(devAddr) ?? []);
      });
      return [...keptOf(OWN).values(), ...ofGuests];
    },
  };
}
