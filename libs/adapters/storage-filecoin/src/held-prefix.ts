import { carOf, inlineBytes, walkDag, type CID } from '@antirio/content-store';
import { AntirioError, isAntirioError } from '@antirio/kernel';
import { varint } from 'multiformats';

export interface Held {
  readonly have?: ((cid: CID) => boolean) | undefined;
  readonly read?: ((cid: CID) => Promise<Uint8Array>) | undefined;
}

/** How many bytes at the beginning of the CAR of a DAG are blocks that are here, its header included; 0 where the first one is not. */
export async function heldPrefix(root: CID, { have, read }: Held): Promise<number> {
  if (have === undefined || read === undefined) return 0;
  const get = async (cid: CID): Promise<Uint8Array> => {
    if (have(cid)) return read(cid);
    throw new AntirioError('notFound', 'not here');
  };
  let bytes = 0;
  try {
    for await (const block of walkDag({ get, has: have }, root)) {
      if (inlineBytes(block.cid) !== undefined) continue;
      const length = block.cid.bytes.length + block.bytes.length;
      bytes += varint.encodingLength(length) + length;
    }
  } catch (error) {
    // A block that is missing, or cannot be read: from there on it is fetched.
    if (!isAntirioError(error)) throw error;
  }
  return bytes === 0 ? 0 : bytes + (await headerBytes(root));
}

async function headerBytes(root: CID): Promise<number> {
  let bytes = 0;
  for await (const part of carOf(root, [])) bytes += part.length;
  return bytes;
}
