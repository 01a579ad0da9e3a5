import { AntirioError } from '@antirio/kernel';
import { UnixFS } from 'ipfs-unixfs';
import { varint } from 'multiformats';
import type { CID } from './block.ts';

const FILE = 2;
const FIELD = { type: 0x08, fileSize: 0x18, blockSizes: 0x20 } as const;

/**
 * The UnixFS message of a file node without content of its own (UnixFS specification, `Data`). Written here because the
 * encoder of `ipfs-unixfs` 13.1 garbles sizes from 2^31 to 2^32 - 1, which would give such files CIDs of their own.
 */
export function encodeFileData(blockSizes: readonly number[]): Uint8Array {
  const fields: [number, number][] = [
    [FIELD.type, FILE],
    [FIELD.fileSize, blockSizes.reduce((sum, size) => sum + size, 0)],
    ...blockSizes.map((size): [number, number] => [FIELD.blockSizes, size]),
  ];
  const bytes = new Uint8Array(fields.reduce((sum, [, value]) => sum + 1 + varint.encodingLength(value), 0));
  let at = 0;
  for (const [tag, value] of fields) {
    bytes[at] = tag;
    varint.encodeTo(value, bytes, at + 1);
    at += 1 + varint.encodingLength(value);
  }
  return bytes;
}

/** @throws AntirioError invalidInput when a node has no UnixFS message. */
export function decodeData(cid: CID, data: Uint8Array | undefined): UnixFS {
  try {
    if (data === undefined) throw new AntirioError('invalidInput', 'a node without data');
    return UnixFS.unmarshal(data);
  } catch (cause) {
    throw new AntirioError(
      'invalidInput',
      `block ${cid.toString()} is no UnixFS node`,
      { cid: cid.toString() },
      cause,
    );
  }
}
