import type { Block, CID } from '@antirio/content-store';
import type { Check } from '@antirio/host';
import type { StoragePrice } from './price.ts';

/** Where something is held: the thesis's S_f = [CID, minerID], made plural. */
export interface StorageRef {
  readonly cid: CID;
  /** Of all its different blocks. */
  readonly bytes: number;
  /** Who took it; what a name means is the network's own matter. */
  readonly providers: readonly string[];
  /** Filecoin: what the CAR of it is known by there (PieceCIDv2). */
  readonly pieceCid?: string;
  /** Filecoin: the data set that the piece was added to. */
  readonly dataSetId?: string;
}

/** A whole DAG that can be read as often as needed. */
export interface Dag {
  readonly root: CID;
  /** Of all its different blocks. */
  readonly bytes: number;
  /** Depth first, parents before children, each once. @throws AntirioError notFound | corrupt where it is no longer whole. */
  blocks(): AsyncIterable<Block>;
}

/**
 * absent: nobody keeps it there for us, though blocks of it may still lie about. stored: kept, by fewer than were asked for.
 * replicated: by as many as were asked for. proven: the network has a proof of it that is not too old.
 */
export type HoldingState = 'absent' | 'stored' | 'replicated' | 'proven';

export interface Holding {
  readonly state: HoldingState;
  /** Who is known to hold it now. */
  readonly providers: readonly string[];
  /** Of the last proof, in milliseconds since the Unix epoch. */
  readonly provenAt?: number;
  /** For a person: what is missing, and why. */
  readonly detail?: string;
}

export interface PutWatch {
  readonly signal?: AbortSignal;
  /** Told the bytes of blocks that are there by now, those that were there before included. */
  readonly onProgress?: (bytes: number) => void;
}

export interface GetOptions {
  /** What of it is here. It is asked of single blocks: to have a node says nothing about what is below it. */
  readonly have?: (cid: CID) => boolean;
  /** Gives a block that `have` says is here, so that what is missing below it is found without it being sent again. */
  readonly read?: (cid: CID) => Promise<Uint8Array>;
  readonly signal?: AbortSignal;
  /** Without a byte for so long the get is given up, in milliseconds (default 15000). */
  readonly idleMs?: number;
}

/** As a network sent it: nothing has been checked. Valid until the next one is asked for; whoever keeps the bytes copies them. */
export interface UncheckedBlock {
  readonly cid: CID;
  readonly bytes: Uint8Array;
}

/**
 * Storage beyond this edge. Blocks are made and verified in our own store first, the network gets them from there; whatever comes
 * from it is verified into our store (`receiveDag`). Every call fails with an AntirioError: unavailable or timeout where the network
 * does not answer, or not sensibly; storageFull where it has no room; forbidden or unauthenticated where it does not let us.
 */
export interface StorageNetwork {
  readonly kind: 'embedded' | 'kubo' | 'filecoin';
  /**
   * Resolves once all of it is durable there and kept under `name`; a name keeps one root, the last one. Asked again for what is
   * there, it moves nothing; one that was broken off may be done again.
   */
  put(name: string, dag: Dag, watch?: PutWatch): Promise<StorageRef>;
  /**
   * Blocks as they come, parents before children, UNVERIFIED: the caller checks each. What `have` says is here is not sent where
   * the network can leave it out; a get that was broken off is asked again with a `have` that knows of more.
   * @throws AntirioError notFound where nobody there has it, or part of it
   */
  get(
    ref: Pick<StorageRef, 'cid' | 'providers' | 'pieceCid'>,
    options?: GetOptions,
  ): AsyncIterable<UncheckedBlock>;
  /** Whether the block of this CID is there now. */
  has(cid: CID): Promise<boolean>;
  /** Keeps under a name what is there. @throws AntirioError notFound where it is not, or not whole */
  pin(name: string, ref: StorageRef): Promise<void>;
  /** What no name keeps may be collected there. False where nothing had that name. */
  unpin(name: string): Promise<boolean>;
  /**
   * Lets go of all that is kept there for us under other names than those that are wanted, whether or not anything is known of it here. What
   * is kept for `present` is left alone, where that is the same place by another address.
   * @returns how many pieces are yet to leave, for which it is to be asked again
   */
  keepOnly(isWanted: (name: string) => boolean, present?: StorageNetwork): Promise<number>;
  status(ref: StorageRef): Promise<Holding>;
  price(): StoragePrice;
  /** Not ok where a put would fail now. Never throws. */
  health(): Promise<Check>;
  close(): Promise<void>;
}
