import type { Database } from '@antirio/host';
import { createOrderedRows } from './ordered-rows.ts';
import { createSelections } from './selections.ts';

export interface SourceNames {
  readonly device: string;
  readonly source: string;
}

/** What is known of the events of one source, whatever their profile. */
export interface Sources {
  all(): Promise<readonly SourceNames[]>;
  eventCount(device: string, source: string): Promise<number>;
  /** Of all devices whose names begin so. */
  eventsOf(devicePrefix: string): Promise<number>;
  /** The origin (up to `until`) after which so many newer ones come; undefined when there are not so many. */
  originAt(
    device: string,
    source: string,
    until: bigint | undefined,
    newer: number,
  ): Promise<bigint | undefined>;
}

export function createSources(db: Database, ordered = createOrderedRows(db)): Sources {
  const all = db.prepare('SELECT DISTINCT device, name AS source FROM source WHERE events > 0');
  const count = db.prepare(
    'SELECT coalesce(sum(events), 0) AS events FROM source WHERE device = ? AND name = ?',
  );
  const ofPrefix = db.prepare(
    'SELECT coalesce(sum(events), 0) AS events FROM source WHERE device >= ?1 AND device < ?1 || char(0x10ffff)',
  );
  const selections = createSelections(db);
  return {
    all: async () => all.all() as unknown as SourceNames[],
    eventCount: async (device, source) => Number(count.get(device, source)?.['events']),
    eventsOf: async (devicePrefix) => Number(ofPrefix.get(devicePrefix)?.['events']),
    async originAt(device, source, until, newer) {
      const range = { start: -(2n ** 63n), end: until ?? 2n ** 63n - 1n };
      const [row] = await ordered.page(selections.source(device, source), range, newer, 1);
      return row?.origin;
    },
  };
}
