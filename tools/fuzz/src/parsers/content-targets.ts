import { concatBytes, utf8 } from '@antirio/kernel';
import {
  carOf,
  fixedChunker,
  importFile,
  makeBlock,
  putDirectory,
  RAW,
  TAR_END,
  tarEntry,
  unixfsV0,
  type Block,
} from '@antirio/content-store';
import { blockKey, decodeCid, readCar, readNode, readTar } from '@antirio/content-store/parsers';
import type { Filled, Target } from './target.ts';

/** Nodes as they are stored: a leaf, a file, a directory, and a sharded one with one of its shards. */
async function nodes(): Promise<Filled<Uint8Array>> {
  const kept: Block[] = [];
  const sink = {
    put: async (block: Block) => void kept.push({ ...block, bytes: block.bytes.slice() }),
  };
  async function* content() {
    yield utf8('some content of a file that has a few chunks');
  }
  const file = await importFile(sink, content(), { profile: unixfsV0, chunker: fixedChunker(9) });
  await putDirectory(sink, [
    { name: 'one', ...file },
    { name: 'two', ...file },
  ]);
  const entries = Array.from({ length: 60 }, (_, i) => ({ name: `a name that is long ${i}`, ...file }));
  await putDirectory(sink, entries, { ...unixfsV0, maxDirectoryBytes: 1000 });
  const [first, ...others] = kept.map(({ bytes }) => bytes);
  return [first ?? new Uint8Array(), ...others];
}

async function tar(): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (const name of ['folder', `${'long/'.repeat(25)}name`]) {
    const text = utf8(`content of ${name}`);
    for await (const part of tarEntry({ name, type: 'file', mode: 0o644, size: text.length }, [text]))
      parts.push(part);
  }
  return concatBytes(...parts, TAR_END);
}

/** Blocks of each kind, and a CAR without any. */
async function cars(): Promise<Filled<Uint8Array>> {
  const kept: Block[] = [];
  const sink = { put: async (block: Block) => void kept.push({ ...block, bytes: block.bytes.slice() }) };
  async function* content() {
    yield utf8('some content of a file that has a few chunks');
  }
  const { cid } = await importFile(sink, content(), { profile: unixfsV0, chunker: fixedChunker(9) });
  const carWith = async (blocks: readonly Block[]): Promise<Uint8Array> => {
    const parts: Uint8Array[] = [];
    for await (const part of carOf(cid, blocks)) parts.push(part.slice());
    return concatBytes(...parts);
  };
  return [await carWith(kept), await carWith([]), await carWith([makeBlock(RAW, utf8('raw'))])];
}

const CIDS: Filled<Uint8Array> = [
  utf8(makeBlock(RAW, utf8('x')).cid.toString()),
  utf8('QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn'),
  utf8('bafkqaaa'),
];

export const contentTargets: readonly Target[] = [
  { name: 'UnixFS node', seeds: await nodes(), format: 'bytes', longest: 2 << 20, read: readNode },
  { name: 'tar', seeds: [await tar()], format: 'bytes', longest: 1 << 20, read: readTar },
  { name: 'CAR', seeds: await cars(), format: 'bytes', longest: 1 << 20, read: readCar },
  {
    name: 'CID',
    seeds: CIDS,
    format: 'bytes',
    longest: 2048,
    read: (input) => blockKey(decodeCid(Buffer.from(input).toString('latin1'))),
  },
];
