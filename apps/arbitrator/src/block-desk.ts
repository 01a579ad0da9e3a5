import type { EdgeId } from '@antirio/kernel';
import type {
  BlockBook,
  BlockMark,
  BlockRefusal,
  ContractTerms,
  ProtectedDevice,
} from '@antirio/service-contract';
import type { ContractStore, StoredContract } from './contract-store.ts';
import { endingOf } from './retirement.ts';

/** One set's book, as the machine of a contract sees it, and the hand that writes in it. */
export interface SetBlocks extends BlockBook {
  /** On the disk when it returns. @throws where the disk takes nothing */
  keep(by: EdgeId, marks: readonly BlockMark[]): void;
}

/** The books of all sets in which this edge is a party. */
export interface BlockDesk {
  bookOf(terms: ContractTerms): SetBlocks;
  /** Its machine is gone for good. A provider forgets the book with the last contract of the set; the customer keeps its own. */
  leave(contractId: string): void;
  readonly refused: (reason: BlockRefusal) => void;
  /** Of this process: what others told and was not kept, by why. */
  counts(): ReadonlyMap<BlockRefusal, number>;
}

interface BlockDeskPorts {
  readonly store: Pick<
    ContractStore,
    'all' | 'get' | 'document' | 'documents' | 'putDocuments' | 'forgetDocuments'
  >;
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
  const forget = (setId: string, devAddrs: readonly string[]): void => {
    const marks = marksOf(setId);
    const names = devAddrs.flatMap((devAddr) =>
      [...(marks.get(devAddr)?.keys() ?? [])].map((by) => `${kindOf(setId)}/${devAddr}/${by}`),
    );
    store.forgetDocuments(OWN, names);
    for (const devAddr of devAddrs) marks.delete(devAddr);
  };
  /** With a new address those go that devices of the set do not have any more, by any of its contracts. */
  const prune = (setId: string): void => {
    const having = [...(members.get(setId)?.values() ?? [])];
    const marks = marksOf(setId);
    const strays = [...marks.keys()].filter((devAddr) => !having.some((has) => has(devAddr)));
    const isUnrecorded = (devAddr: string): boolean =>
      [...(marks.get(devAddr)?.values() ?? [])].some(({ index, base }) => index > base);
    // who has just started may not know all addresses yet, and nobody else knows of these blocks
    const kept = new Set(strays.filter(isUnrecorded).slice(-STRAYS_KEPT));
    const gone = strays.filter((devAddr) => !kept.has(devAddr));
    if (gone.length > 0) forget(setId, gone);
  };
  const isOver = ({ terms, refused }: StoredContract): boolean =>
    refused !== undefined || endingOf(store, terms.contractId).retired;
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
        parties: () => [...new Set([...marksOf(setId).values()].flatMap((ofDevice) => [...ofDevice.keys()]))],
        keep(by, marks) {
          const kept = marksOf(setId);
          if (marks.some(({ devAddr }) => !kept.has(devAddr))) prune(setId);
          const named = marks.map((mark) => [`${kindOf(setId)}/${mark.devAddr}/${by}`, mark] as const);
          store.putDocuments(OWN, named);
          for (const mark of marks) note(kept, by, mark);
        },
      };
    },
    leave(contractId) {
      const contract = store.get(contractId);
      if (contract === undefined) return;
      const { setId } = contract.terms.set;
      members.get(setId)?.delete(contractId);
      if (contract.role === 'customer' || marksOf(setId).size === 0) return;
      const ofSet = store.all().filter(({ terms }) => terms.set.setId === setId);
      if (!ofSet.every((one) => one.terms.contractId === contractId || isOver(one))) return;
      try {
        forget(setId, [...marksOf(setId).keys()]);
      } catch {
        // a disk that takes nothing now is asked again at the next start
      }
      sets.delete(setId);
      members.delete(setId);
    },
    refused(reason) {
      counts.set(reason, (counts.get(reason) ?? 0) + 1);
    },
    counts: () => counts,
  };
}
