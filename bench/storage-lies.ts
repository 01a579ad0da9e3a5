import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { carOf, makeBlock, RAW, type Block } from '@antirio/content-store';
import type { BenchPorts } from './benchmark.ts';
import { figureOf, rounded, type Figure } from './figure.ts';
import { inFolder } from './storage-setting.ts';

const BLOCK_BYTES = 2048;
const BATCH = 500;

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

function blockOf(n: number): Block {
  const bytes = Buffer.alloc(BLOCK_BYTES, digest(`lie ${n}`));
  return makeBlock(RAW, new Uint8Array(bytes));
}

/** One bit is another one, somewhere. */
function altered(bytes: Uint8Array, n: number): Uint8Array {
  const at = digest(`bit ${n}`).readUInt32LE(0) % (bytes.length * 8);
  const other = new Uint8Array(bytes);
  other[at >> 3] = (other[at >> 3] ?? 0) ^ (1 << (at & 7));
  return other;
}

interface Liar {
  readonly url: string;
  /** Wrong blocks that were given out. */
  readonly told: number;
  close(): void;
}

/** A gateway that has every block that it is asked for, with one bit turned. */
async function startLiar(
  blocks: ReadonlyMap<string, { readonly block: Block; readonly n: number }>,
): Promise<Liar> {
  let told = 0;
  const server: Server = createServer((request, response) => {
    const [, cid = '', format = ''] = /^\/ipfs\/(\w+)\?format=(raw|car)$/.exec(request.url ?? '') ?? [];
    const known = blocks.get(cid);
    if (known === undefined) {
      response.writeHead(404).end();
      return;
    }
    told++;
    const bytes = altered(known.block.bytes, known.n);
    if (format === 'raw') response.end(bytes);
    else Readable.from(carOf(known.block.cid, [{ cid: known.block.cid, bytes }])).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get told() {
      return told;
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

export async function* runLies({ options, say, signal }: BenchPorts): AsyncGenerator<Figure> {
  const count = options.quick ? 100 : 5000;
  const blocks = new Map(
    Array.from({ length: count }, (_, n) => [blockOf(n).cid.toString(), { block: blockOf(n), n }]),
  );
  yield* inFolder(signal, async function* (setting) {
    const liar = await startLiar(blocks);
    try {
      const store = await setting.start();
      const cids = [...blocks.keys()];
      let accepted = 0;
      for (let at = 0; at < cids.length; at += BATCH) {
        const result = await store.run({ do: 'believe', cids: cids.slice(at, at + BATCH), url: liar.url });
        accepted += result.accepted ?? NaN;
      }
      say(`${accepted} of ${liar.told} wrong blocks taken`);
      yield figureOf({
        figure: 'storage.lies.accepted',
        unit: 'blocks',
        values: [accepted],
        goal: 0,
        judged: 'worst',
        context: { told: liar.told, kBEach: rounded(BLOCK_BYTES / 1000, 1) },
      });
    } finally {
      liar.close();
    }
  });
}
