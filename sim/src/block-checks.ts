import type { EdgeId } from '@antirio/kernel';
import { ABOVE_RECORD, SLOTS, keepsOnly, type BlockMark } from '@antirio/service-contract';
import type { Judge } from './checks.ts';
import { identities } from './identities.ts';
import type { Emission } from './radio.ts';
import type { EdgeName, NodeName } from './scenario.ts';
import type { SimContract, World } from './world.ts';

type Watched = Pick<World, 'contracts' | 'ledger'>;

/** Whose blocks of FCntDown somebody but their owner has ever had on a disk: no counter is on air that only its sender knows of. */
interface BlockWatch {
  readonly given: (devAddr: string, index: number) => void;
  readonly kept: (node: NodeName, by: EdgeId, marks: readonly BlockMark[]) => void;
  onAir(world: Watched, judge: Judge, emission: Emission): void;
  /** Frames under blocks that stood on promises alone. */
  readonly onPromises: () => number;
}

export function watchBlocks(): BlockWatch {
  const given = new Set<string>();
  /** By address and slot. */
  const highestGiven = new Map<string, number>();
  const kept = new Map<string, number>();
  let onPromises = 0;
  const slotKey = (devAddr: string, index: number): string => `${devAddr}/${index % SLOTS}`;

  /**
   * The other parties of the set's contracts that are not over. Who only keeps frames counts where nobody else is there; instead of it
   * whoever was there until the end of its contract, which the customer may not have heard of.
   */
  const othersOf = ({ contracts, ledger }: Watched, edge: EdgeName, has: (name: NodeName) => boolean) => {
    const isLive = ({ terms }: SimContract): boolean => !ledger.hasEnded(terms.contractId);
    const live = contracts.filter(isLive);
    const eligible = contracts.filter(({ terms }) => !keepsOnly(terms));
    const asked = eligible.some(isLive) ? eligible.filter(isLive) : live;
    const wasThere = eligible.length > 0 && asked === live && eligible.every(({ name }) => has(name));
    const all: NodeName[] = ['A', ...(wasThere ? eligible : asked).map(({ name }) => name)];
    return all.filter((name) => name !== edge);
  };
  return {
    given(devAddr, index) {
      given.add(`${devAddr}/${index}`);
      const key = slotKey(devAddr, index);
      highestGiven.set(key, Math.max(index, highestGiven.get(key) ?? -1));
    },
    kept(node, by, marks) {
      for (const { devAddr, index } of marks) {
        const key = `${node}/${by}/${devAddr}`;
        kept.set(key, Math.max(index, kept.get(key) ?? -1));
      }
    },
    onAir(world, judge, { edge, epoch, devAddr, fcnt }) {
      const index = Math.floor(fcnt / 16);
      if (epoch === 0 || given.has(`${devAddr}/${index}`)) return;
      onPromises += 1;
      const by = identities[edge as EdgeName].edgeId;
      const has = (other: NodeName): boolean => (kept.get(`${other}/${by}/${devAddr}`) ?? -1) >= index;
      for (const other of othersOf(world, edge as EdgeName, has))
        if (!has(other))
          judge.broken(
            'reserved',
            `${edge} uses block ${index} of ${devAddr}, and ${other} never had it on its disk`,
          );
      const recorded = highestGiven.get(slotKey(devAddr, index));
      if (recorded !== undefined && index > recorded + ABOVE_RECORD)
        judge.broken('reserved', `${edge} uses block ${index} of ${devAddr}, where ${recorded} is recorded`);
    },
    onPromises: () => onPromises,
  };
}
