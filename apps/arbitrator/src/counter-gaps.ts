import { z } from 'zod';
import { parseInput } from '@antirio/host';
import { fromUtf8 } from '@antirio/kernel';
import { gapState, type CounterGap } from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';

/** Sensors whose downlink counters have run far ahead of what they were proven to hear, as their services tell. */
export interface CounterGaps {
  /** A service tells on the bus: `antirio/fcntdown/gap`, its own or a contract's. */
  readonly onNotice: (topic: string, payload: Uint8Array) => Promise<void>;
  /** Those near the limit or over it; of a contract only while it is `live`. */
  found(live: (contractId: string) => boolean): readonly DeviceGap[];
}

export interface DeviceGap extends CounterGap {
  readonly devAddr: string;
}

export const GAP_TOPIC = 'antirio/fcntdown/gap';

const notice = z.object({
  devAddr: z.string().regex(/^[0-9a-f]{8}$/),
  next: z.int().min(0),
  proven: z.int().min(-1),
});
/** By scope (a contract or `own`) and DevAddr. */
type Kept = Readonly<Record<string, z.output<typeof notice>>>;

const OWN = 'own';
const NAME = 'counterGaps';
const GAPS_KEPT = 10_000;

export function createCounterGaps(store: Pick<ContractStore, 'document' | 'putDocument'>): CounterGaps {
  let known = (store.document(OWN, NAME) ?? {}) as Kept;
  return {
    onNotice(topic, payload) {
      const told = parseInput(notice, JSON.parse(fromUtf8(payload)));
      const scope = topic.startsWith('contract/') ? (topic.split('/')[1] ?? OWN) : OWN;
      const key = `${scope}/${told.devAddr}`;
      const { [key]: _before, ...others } = known;
      const state = gapState(told);
      const isNews = state === 'near' || state === 'exhausted';
      if (!isNews && !(key in known)) return Promise.resolve();
      if (isNews && Object.keys(others).length >= GAPS_KEPT) return Promise.resolve();
      const next = isNews ? { ...others, [key]: told } : others;
      store.putDocument(OWN, NAME, next);
      known = next;
      return Promise.resolve();
    },
    found: (live) =>
      Object.entries(known).flatMap(([key, gap]) => {
        const scope = key.split('/')[0] ?? OWN;
        return scope === OWN || live(scope) ? [gap] : [];
      }),
  };
}
