import type { Clock } from '@antirio/kernel';
import {
  areMotesDeaf,
  downlinkView,
  motesThatAnswered,
  type ContractTerms,
  type DownlinkShare,
} from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';

const KIND = 'downlink';

/** Where it is kept what a sensor made of the provider's drill downlinks; the same at both parties. */
export function shareName(devEui: string): string {
  return `${KIND}/${devEui}`;
}

export function keptShares(store: Pick<ContractStore, 'documents'>, contractId: string): DownlinkShare[] {
  return [...store.documents(contractId, KIND).values()] as DownlinkShare[];
}

export function keptShare(
  store: Pick<ContractStore, 'document'>,
  contractId: string,
  devEui: string,
): DownlinkShare | undefined {
  return store.document(contractId, shareName(devEui)) as DownlinkShare | undefined;
}

/** Whether too few sensors hear the provider, by the terms. */
export function areSensorsDeaf(store: Pick<ContractStore, 'documents'>, terms: ContractTerms): boolean {
  return terms.downlinkDrills.degradedBelow > 0 && areMotesDeaf(terms, keptShares(store, terms.contractId));
}

const LOOK_MS = 5000;

/** The same, for who asks often: all that is kept is looked at only now and then. */
export function createDeafness(
  store: Pick<ContractStore, 'documents'>,
  terms: ContractTerms,
  clock: Pick<Clock, 'monotonic'>,
): () => boolean {
  let lookedAt = -Infinity;
  let areDeaf = false;
  return () => {
    const now = clock.monotonic();
    if (now - lookedAt < LOOK_MS) return areDeaf;
    lookedAt = now;
    areDeaf = areSensorsDeaf(store, terms);
    return areDeaf;
  };
}

/** For operators: of one sensor; undefined where it was sent none. */
export function shareView(store: ContractStore, contractId: string, devEui: string) {
  const share = keptShare(store, contractId, devEui);
  return share === undefined ? undefined : downlinkView(share);
}

/** For operators, without the single sensors. */
export function downlinkTotals(store: ContractStore, terms: ContractTerms) {
  const all = downlinksView(store, terms);
  if (all === undefined) return undefined;
  const { devices: _devices, ...totals } = all;
  return totals;
}

/** For operators: in all; undefined where the terms know no drill downlinks. */
export function downlinksView(store: ContractStore, { contractId, downlinkDrills }: ContractTerms) {
  if (downlinkDrills.motes === 0) return undefined;
  const shares = keptShares(store, contractId);
  const devices = shares.map((share) => ({ devEui: share.devEui, ...downlinkView(share) }));
  const sum = (of: (one: (typeof devices)[number]) => number): number =>
    devices.reduce((total, one) => total + of(one), 0);
  return {
    ...{ sensors: devices.length, sensorsThatAnswered: motesThatAnswered(shares) },
    ...{ sent: sum(({ sent }) => sent), answered: sum(({ answered }) => answered) },
    devices,
  };
}
