/** What makes the same content the same CID everywhere: the profiles of IPIP-499. */
export interface UnixfsProfile {
  readonly name: string;
  readonly cidVersion: 0 | 1;
  /** Whether leaves are raw blocks; otherwise each is a node of its own. */
  readonly rawLeaves: boolean;
  readonly chunkBytes: number;
  /** Links of one node of a file. */
  readonly maxLinks: number;
  /** Of which size a directory is sharded: that of its block, or of its names and CIDs alone. */
  readonly directorySize: 'block' | 'links';
  /** A directory that is larger is sharded. */
  readonly maxDirectoryBytes: number;
}

/** `unixfs-v0-2015`: what Kubo has made by default since 2015. */
export const unixfsV0: UnixfsProfile = {
  name: 'unixfs-v0-2015',
  cidVersion: 0,
  rawLeaves: false,
  chunkBytes: 256 << 10,
  maxLinks: 174,
  directorySize: 'links',
  maxDirectoryBytes: 256 << 10,
};

/** `unixfs-v1-2025`: what implementations agreed on in 2025. */
export const unixfsV1: UnixfsProfile = {
  name: 'unixfs-v1-2025',
  cidVersion: 1,
  rawLeaves: true,
  chunkBytes: 1 << 20,
  maxLinks: 1024,
  directorySize: 'block',
  maxDirectoryBytes: 256 << 10,
};
