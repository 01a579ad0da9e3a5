import { join } from 'node:path';
import { z } from 'zod';
import { parseInput, readFileIfThere, writeFileDurably } from '@antirio/host';
import { AntirioError, fromUtf8, type EdgeId } from '@antirio/kernel';
import { edgeId, peerAddress, sealKey, type Edge2EdgeOptions } from './options.ts';

const source = z.enum(['config', 'told', 'ledger']);

/** What is known of another edge, and from where: our configuration, a room or operator that told us, the ledger. */
const bookEntry = peerAddress.extend({
  sealKey: sealKey.optional(),
  name: z.string().max(64).optional(),
  source,
});
export type BookEntry = z.output<typeof bookEntry>;

const bookFile = z.record(z.string(), bookEntry);

/** Where other edges are. Survives a restart; the configuration's addresses win over all others. */
export interface AddressBook {
  get(edge: EdgeId): BookEntry | undefined;
  all(): readonly (readonly [EdgeId, BookEntry])[];
  /** Durable when it returns. @throws AntirioError busy when the book is full. */
  put(edge: EdgeId, entry: BookEntry): void;
}

function load(path: string): Map<EdgeId, BookEntry> {
  const bytes = readFileIfThere(path);
  if (bytes === undefined) return new Map();
  try {
    const entries = parseInput(bookFile, JSON.parse(fromUtf8(bytes)));
    return new Map(Object.entries(entries).map(([edge, entry]) => [parseInput(edgeId, edge), entry]));
  } catch (cause) {
    throw new AntirioError(
      'corrupt',
      `${path} is damaged: remove it, edges will be looked up again`,
      { path },
      cause,
    );
  }
}

/** What the configuration fixes. @throws AntirioError badConfig where a neighbour's name is no edge id. */
function fixed(options: Edge2EdgeOptions): Map<EdgeId, BookEntry> {
  const entries = new Map<EdgeId, BookEntry>();
  const { central, neighbours } = options;
  if (central !== undefined)
    entries.set(central.edgeId, { url: central.url, udp: central.udp, source: 'config' });
  for (const [name, address] of Object.entries(neighbours)) {
    const edge = edgeId.safeParse(name);
    if (!edge.success) throw new AntirioError('badConfig', `neighbours.${name}: not an edge id`);
    entries.set(edge.data, { ...address, source: 'config' });
  }
  return entries;
}

export function openAddressBook(options: Edge2EdgeOptions): AddressBook {
  const path = join(options.dataDir, 'edge2edge', 'peers.json');
  const config = fixed(options);
  const known = load(path);

  const get = (edge: EdgeId): BookEntry | undefined => {
    const entry = known.get(edge);
    const wins = config.get(edge);
    if (wins === undefined) return entry;
    return { ...entry, ...wins, udp: wins.udp ?? entry?.udp };
  };
  return {
    get,
    all: () =>
      [...new Set([...config.keys(), ...known.keys()])].flatMap((edge) => {
        const entry = get(edge);
        return entry === undefined ? [] : [[edge, entry] as const];
      }),
    put(edge, entry) {
      const before = known.get(edge);
      if (JSON.stringify(before) === JSON.stringify(entry)) return;
      if (before === undefined && known.size >= options.maxPeers)
        throw new AntirioError('busy', `the address book holds ${options.maxPeers} edges already`);
      known.set(edge, entry);
      try {
        writeFileDurably(path, `${JSON.stringify(Object.fromEntries(known), undefined, 1)}\n`);
      } catch (error) {
        if (before === undefined) known.delete(edge);
        else known.set(edge, before);
        throw error;
      }
    },
  };
}
