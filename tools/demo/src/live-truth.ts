import { closeSync, openSync } from 'node:fs';
import type { TruthRecord } from '@antirio/lora-simulator';
import { lineReader } from './line-reader.ts';

/** The simulator's log as it grows. */
export interface LiveTruth {
  /** Reads what is new. */
  update(): void;
  /** When (monotonic ms) a mote first put a frame on air; undefined where it did not yet. */
  airAt(devEui: string, fcnt: number): number | undefined;
  readonly uplinks: number;
  /** Downlinks on air so far, by gateway. */
  downlinksFrom(gateway: string): number;
  close(): void;
}

/** Follows a truth log. */
export function followTruth(file: string): LiveTruth {
  const fd = openSync(file, 'r');
  const read = lineReader(fd);
  const firstOnAir = new Map<string, number>();
  const downlinks = new Map<string, number>();

  const take = (line: string): void => {
    const record = JSON.parse(line) as TruthRecord;
    if (record.type === 'tx' && record.kind === 'uplink')
      firstOnAir.set(`${record.devEui}/${record.fcnt}`, record.at);
    if (record.type === 'downlink') downlinks.set(record.gateway, (downlinks.get(record.gateway) ?? 0) + 1);
  };
  return {
    get uplinks() {
      return firstOnAir.size;
    },
    airAt: (devEui, fcnt) => firstOnAir.get(`${devEui.toLowerCase()}/${fcnt}`),
    downlinksFrom: (gateway) => downlinks.get(gateway) ?? 0,
    update() {
      for (const line of read()) take(line);
    },
    close: () => closeSync(fd),
  };
}
