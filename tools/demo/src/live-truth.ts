import { closeSync, openSync, readSync } from 'node:fs';
import type { TruthRecord } from '@antirio/lora-simulator';

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

const READ_BYTES = 1 << 18;

/** Follows a truth log. */
export function followTruth(file: string): LiveTruth {
  const fd = openSync(file, 'r');
  const buffer = Buffer.alloc(READ_BYTES);
  const firstOnAir = new Map<string, number>();
  const downlinks = new Map<string, number>();
  let rest = '';

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
      for (let read = READ_BYTES; read === READ_BYTES;) {
        read = readSync(fd, buffer, 0, READ_BYTES, null);
        const lines = (rest + buffer.toString('latin1', 0, read)).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) take(line);
      }
    },
    close: () => closeSync(fd),
  };
}
