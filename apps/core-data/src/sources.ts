import type { Database } from '@antirio/host';
import { createOrderedRows, type Arm } from './ordered-rows.ts';

export interface SourceNames {
  readonly device: string;
  readonly source: string;
}

/** What is known of the events of one source, whatever their profile. */
export interface Sources {
  all(): readonly SourceNames[];
  eventCount(device: string, source: string): number;
  /** The origin (up to `until`) after which so many newer ones come; undefined when there are not so many. */
  originAt(
    device: string,
    source: string,
    until: bigint | undefined,
    newer: number,
  ): Promise<bigint | undefined>;
}

interface Row {
  readonly id: number;
  readonly series: number;
  readonly events: number;
}

export function createSources(db: Database): Sources {
  const all = db.prepare('SELECT DISTINCT device, name AS source FROM source WHERE events > 0');
  const named = db.prepare(
    'SELECT id, series, events FROM source WHERE device = ? AND name = ? AND events > 0',
  );
  const ordered = createOrderedRows(db);
  const rowsOf = (device: string, source: string): Row[] => named.all(device, source) as unknown as Row[];
  return {
    all: () => all.all() as unknown as SourceNames[],
    eventCount: (device, source) => rowsOf(device, source).reduce((sum, { events }) => sum + events, 0),
    async originAt(device, source, until, newer) {
      const arms = rowsOf(device, source).map(({ id, series, events }): Arm => ({
        table: series === 0 ? 'event' : 'single',
        key: id,
        rows: events,
      }));
      const range = { start: -(2n ** 63n), end: until ?? 2n ** 63n - 1n };
      const [row] = await ordered.page(arms, range, newer, 1);
      return row?.origin;
    },
  };
}
