import type { Database } from '@antirio/host';
import type { DevAddr } from '@antirio/lorawan';

/** The highest downlink counter that each device surely heard: by an acknowledgement, or an answer to what that downlink asked. */
export interface Proven {
  /** -1 where it heard none of this session yet; undefined where nothing is known. */
  of(devAddr: DevAddr): number | undefined;
  /** Never goes back. Durable when it returns. */
  note(devAddr: DevAddr, fcnt: number): void;
}

export function createProven(db: Database): Proven {
  const get = db.prepare('SELECT proven FROM fcnt_proven WHERE devAddr = ?');
  const raise = db.prepare(
    'INSERT INTO fcnt_proven VALUES (?, ?) ON CONFLICT DO UPDATE SET proven = max(proven, excluded.proven)',
  );
  const of: Proven['of'] = (devAddr) => {
    const row = get.get(devAddr);
    return row === undefined ? undefined : Number(row['proven']);
  };
  return {
    of,
    note(devAddr, fcnt) {
      if (fcnt > (of(devAddr) ?? -Infinity)) raise.run(devAddr, fcnt);
    },
  };
}
