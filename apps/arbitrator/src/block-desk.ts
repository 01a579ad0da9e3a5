import type { EdgeId } from '@antirio/kernel';
import type {
  BlockBook,
  BlockMark,
  BlockRefusal,
  ContractTerms,
  ProtectedDevice,
} from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';

/** One set's book, as the machine of a contract sees it, and the hand that writes in it. */
export interface SetBlocks extends BlockBook {
  /** On the disk when it returns. @throws where the disk takes nothing */
  keep(by: EdgeId, marks: readonly BlockMark[]): void;
}

/** The books of all sets in which this edge is a party. */
export interface BlockDesk {
  bookOf(terms: ContractTerms): SetBlocks;
  readonly refused: (reason: BlockRefusal) => void;
  /** Of this process: what others told and was not kept, by why. */
  counts(): ReadonlyMap<BlockRefusal, number>;
}

interface BlockDeskPorts {
  readonly store: Pick<ContractStore, 'documents' | 'putDocuments' | 'forgetDocument'>;
  readonly addresses: (terms: ContractTerms) => readonly ProtectedDevice[];
  /** Changes whenever the set's addresses may have. */
  readonly joinsSeen: (terms: ContractTerms) => number;
}

type Marks = Map<string, Map<EdgeId, BlockMark>>;

const OWN = 'own';
/** Addresses of no device that have blocks on promises alone. */
const STRAYS_KEPT = 1000;
const kindOf = (setId: string): string => `blocks/${setId}`;
const nothing: ReadonlyMap<EdgeId, BlockMark> = new Map();

/** Kept as `<address>/<party>`; a disk from before there was such a thing has none. */
function load(store: BlockDeskPorts['store'], setId: string): Marks {
  const marks: Marks = new Map();
  for (const [name, mark] of store.documents(OWN, kindOf(setId))) {
    const at = name.indexOf('/');
    note(marks, name.slice(at + 1) as EdgeId, mark as BlockMark);
  }
  return marks;
}

function note(marks: Marks, by: EdgeId, mark: BlockMark): void {
  const ofDevice = marks.get(mark.devAddr) ?? new Map<EdgeId, BlockMark>();
  marks.set(mark.devAddr, ofDevice.set(by, mark));
}

export function createBlockDesk({ store, addresses, joinsSeen }: BlockDeskPorts): BlockDesk {
  const sets = new Map<string, Marks>();
  /** By set and contract: whether it has the address. */
  const members = new Map<string, Map<string, (devAddr: string) => boolean>>();
  const counts = new Map<BlockRefusal, number>();

  const marksOf = (setId: string): Marks => {
    const marks = sets.get(setId) ?? load(store, setId);
    sets.set(setId, marks);
    return marks;
  };
  const forgetDevice = (setId: string, devAddr: string): void => {
    const marks = marksOf(setId);
    for (const by of marks.get(devAddr)?.keys() ?? [])
      store.forgetDocument(OWN, `${kindOf(setId)}/${devAddr}/${by}`);
    marks.delete(devAddr);
  };
  /** With a new address those go that devices of the set do not have any more, by any of its contracts. */
  const prune = (setId: string): void => {
    const having = [...(members.get(setId)?.values() ?? [])];
    const strays = [...marksOf(setId)].filter(([devAddr]) => !having.some((has) => has(devAddr)));
    const isUnrecorded = ([, ofDevice]: (typeof strays)[number]): boolean =>
      [...ofDevice.values()].some(({ index, base }) => index > base);
    // who has just started may not know all addresses yet, and nobody else knows of these blocks
    const kept = new Set(strays.filter(isUnrecorded).slice(-STRAYS_KEPT));
    for (const stray of strays) if (!kept.has(stray)) forgetDevice(setId, stray[0]);
  };
  return {
    bookOf(terms) {
      const { setId } = terms.set;
      let known = { seen: Number.NaN, all: new Set<string>() };
      const has = (devAddr: string): boolean => {
        const seen = joinsSeen(terms);
        if (known.seen !== seen) known = { seen, all: new Set(addresses(terms).map((one) => one.devAddr)) };
        return known.all.has(devAddr);
      };
      const ofSet = members.get(setId) ?? new Map<string, (devAddr: string) => boolean>();
      members.set(setId, ofSet.set(terms.contractId, has));
      return {
        has,
        ofDevice: (devAddr) => marksOf(setId).get(devAddr) ?? nothing,
        all: (by) =>
          [...marksOf(setId).values()]
            .flatMap((ofDevice) => ofDevice.get(by) ?? [])
            .sort((a, b) => (a.devAddr < b.devAddr ? -1 : 1)),
        keep(by, marks) {
          const kept = marksOf(setId);
          if (marks.some(({ devAddr }) => !kept.has(devAddr))) prune(setId);
          const named = marks.map((mark) => [`${kindOf(setId)}/${mark.devAddr}/${by}`, mark] as const);
          store.putDocuments(OWN, named);
          for (const mark of marks) note(kept, by, mark);
        },
      };
    },
    refused(reason) {
      counts.set(reason, (counts.get(reason) ?? 0) + 1);
    },
    counts: () => counts,
  };
}
