import { putDirectory, unixfsV1, type Block, type CID } from '@antirio/content-store';
import { AntirioError } from '@antirio/kernel';

/**
 * A directory with nothing but a DAG in it, named after who keeps it; the same for the same owner and DAG. It is pinned in place of the DAG, of
 * which a node has one pin only: so that nobody's unpinning takes it from another owner, or from a user.
 */
export async function holderOf(owner: string, cid: CID): Promise<Block> {
  const blocks: Block[] = [];
  const sink = {
    put: async (block: Block): Promise<void> => {
      blocks.push(block);
      return Promise.resolve();
    },
  };
  // Without its size, which who lets it go does not know.
  const entry = { name: `kept by ${encodeURIComponent(owner)}`, cid, dagSize: 0 };
  await putDirectory(sink, [entry], unixfsV1);
  const [holder] = blocks;
  if (holder === undefined) throw new AntirioError('internal', 'a directory of one entry has no block');
  return holder;
}
