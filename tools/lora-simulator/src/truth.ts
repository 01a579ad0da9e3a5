import { closeSync, existsSync, fstatSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs';
import type { IgnoredReason } from './downlink-reception.ts';
import type { JoinRefusal } from './join.ts';
import type { MacExchange } from './mac-layer.ts';
import type { MacParameters } from './mac-parameters.ts';
import type { MissReason } from './receiver.ts';
import type { ReceiveWindow } from './receive-windows.ts';
import type { JoinTransmissionKind, TransmissionKind } from './transmission.ts';
import { SimulatorError } from './errors.ts';

/** Times named `at` are CLOCK_MONOTONIC in ms (`process.hrtime`); `wallNs` is ns since 1970, in decimal. */
interface Timed {
  readonly at: number;
}

/** First line of a log: what ran. */
export interface RunRecord extends Timed {
  readonly type: 'run';
  readonly version: 1;
  readonly wallNs: string;
  readonly seed: string;
  readonly motes: number;
  readonly gateways: readonly string[];
}

/** A frame went on air: `at` is the start of its preamble, `airMs` its length. */
export interface TxRecord extends Timed {
  readonly type: 'tx';
  readonly id: number;
  readonly kind: TransmissionKind;
  readonly devEui: string;
  readonly devAddr: string;
  /** 32 bits; of a bit flip, the counter before the flip, as payload and fPort. */
  readonly fcnt: number;
  readonly fPort: number;
  /** FRMPayload in the clear, hex. */
  readonly payload: string;
  /** Bytes on air, hex. */
  readonly phyPayload: string;
  readonly confirmed: boolean;
  readonly adr: boolean;
  readonly ack: boolean;
  readonly freqMhz: number;
  readonly datr: string;
  readonly airMs: number;
  readonly wallNs: string;
  /** The transmission that first carried this frame, where that is another one. */
  readonly ofTxId?: number;
  readonly flippedBit?: number;
  /** MAC commands in FOpts, hex, where there are any. */
  readonly fOpts?: string;
  /** Joins of its mote so far, of a mote that joins: the same counters come again after each. */
  readonly session?: number;
}

/** A JoinRequest went on air; ids are those of all transmissions, `heard` and `acked` refer to them. */
export interface JoinRequestRecord extends Timed {
  readonly type: 'joinRequest';
  readonly id: number;
  readonly kind: JoinTransmissionKind;
  readonly devEui: string;
  readonly joinEui: string;
  readonly devNonce: number;
  /** 1, 2, 3 ... since the mote began to join. */
  readonly attempt: number;
  readonly phyPayload: string;
  readonly freqMhz: number;
  readonly datr: string;
  readonly airMs: number;
  readonly wallNs: string;
  readonly ofTxId?: number;
}

/** A mote accepted a JoinAccept and has a session from now on. */
export interface JoinedRecord extends Timed {
  readonly type: 'joined';
  readonly downlinkId: number;
  readonly devEui: string;
  readonly gateway: string;
  readonly window: ReceiveWindow;
  /** 1, 2, 3 ... of this mote. */
  readonly session: number;
  readonly devNonce: number;
  readonly joinNonce: number;
  readonly netId: string;
  readonly devAddr: string;
  readonly nwkSKey: string;
  readonly appSKey: string;
  readonly rx1DrOffset: number;
  readonly rx2DataRate: number;
  readonly rxDelayS: number;
  readonly cfListMhz: readonly number[];
}

/** A gateway received a transmission. */
export interface HeardRecord extends Timed {
  readonly type: 'heard';
  readonly txId: number;
  readonly gateway: string;
  readonly tmst: number;
  readonly rssi: number;
  readonly snr: number;
}

/** A gateway would have received a transmission but for another, its own, or one too many at a time. */
export interface MissedRecord extends Timed {
  readonly type: 'missed';
  readonly txId: number;
  readonly gateway: string;
  readonly reason: MissReason;
}

/** Its server acknowledged the PUSH_DATA that carried it. */
export interface AckedRecord extends Timed {
  readonly type: 'acked';
  readonly txId: number;
  readonly gateway: string;
}

/** A gateway put a downlink on air. Fields of the frame are null where it is no data downlink. */
export interface DownlinkRecord extends Timed {
  readonly type: 'downlink';
  readonly id: number;
  readonly gateway: string;
  readonly phyPayload: string;
  readonly devAddr: string | null;
  /** 16 bits, from FHDR. */
  readonly fcntDown: number | null;
  readonly confirmed: boolean;
  readonly ack: boolean;
  readonly tmst: number;
  readonly freqMhz: number;
  readonly datr: string;
  readonly airMs: number;
  readonly wallNs: string;
}

/** A gateway put a downlink not on air; `txError` is what its TX_ACK said, null where none was sent. */
export interface DownlinkRefusedRecord extends Timed {
  readonly type: 'downlinkRefused';
  readonly gateway: string;
  readonly reason: string;
  readonly txError: string | null;
  readonly phyPayload: string | null;
}

/** A mote accepted a downlink; `fcntDown` has 32 bits, `payload` is in the clear. */
export interface DownlinkReceivedRecord extends Timed {
  readonly type: 'downlinkReceived';
  readonly downlinkId: number;
  readonly devEui: string;
  readonly gateway: string;
  readonly window: ReceiveWindow;
  readonly fcntDown: number;
  readonly confirmed: boolean;
  readonly ack: boolean;
  readonly fPort: number | null;
  readonly fOpts: string;
  readonly payload: string;
}

/** A downlink told a mote's MAC layer something; `answers` (hex) go into its next uplink, `parameters` hold from now on. */
export interface MacRecord extends Timed, MacExchange {
  readonly type: 'mac';
  readonly downlinkId: number;
  readonly devEui: string;
  readonly parameters: MacParameters;
}

/** A downlink on air that its mote did not take; `devEui` is null where no mote has its DevAddr. */
export interface DownlinkIgnoredRecord extends Timed {
  readonly type: 'downlinkIgnored';
  readonly downlinkId: number;
  readonly devEui: string | null;
  readonly gateway: string;
  readonly reason: IgnoredReason | JoinRefusal | 'tooWeak' | 'loss' | 'noMote' | 'notData';
}

/** What the simulator was told to do. */
export interface CommandRecord extends Timed {
  readonly type: 'command';
  readonly command: string;
  readonly wallNs: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** Last line of a log that was ended in order. */
export interface EndRecord extends Timed {
  readonly type: 'end';
  readonly wallNs: string;
}

export type TruthRecord =
  | RunRecord
  | TxRecord
  | JoinRequestRecord
  | JoinedRecord
  | HeardRecord
  | MissedRecord
  | AckedRecord
  | DownlinkRecord
  | DownlinkRefusedRecord
  | DownlinkReceivedRecord
  | DownlinkIgnoredRecord
  | MacRecord
  | CommandRecord
  | EndRecord;

/** Where the truth goes. */
export interface TruthLog {
  append(record: TruthRecord): void;
  /** Writes what is pending; with `close` no more can be appended. */
  close(): void;
}

/** Files of a bounded log: the one that is written, and these older ones, `.1` being the newest. */
export const OLDER_LOGS = [1, 2, 3] as const;

function openEmpty(file: string): number {
  const fd = openSync(file, 'a', 0o600);
  if (fstatSync(fd).size === 0) return fd;
  closeSync(fd);
  throw new SimulatorError('logExists', `${file} is not empty: a truth log holds one run`);
}

// The oldest is lost; the others move up by one.
function rotate(file: string): void {
  for (const number of OLDER_LOGS.toReversed()) {
    const newer = number === 1 ? file : `${file}.${String(number - 1)}`;
    if (existsSync(newer)) renameSync(newer, `${file}.${String(number)}`);
  }
}

class FileLog implements TruthLog {
  readonly #file: string;
  readonly #maxBytes: number;
  #fd: number;
  #bytes = 0;
  #lines: string[] = [];
  #firstLine = '';
  #isOpen = true;

  constructor(file: string, maxBytes: number) {
    this.#file = file;
    // A log in four files of this size.
    this.#maxBytes = maxBytes / (OLDER_LOGS.length + 1);
    this.#fd = openEmpty(file);
    if (maxBytes < Infinity && existsSync(`${file}.1`)) {
      closeSync(this.#fd);
      throw new SimulatorError('logExists', `${file}.1 is there: a truth log holds one run`);
    }
  }

  append(record: TruthRecord): void {
    if (!this.#isOpen) return;
    if (this.#lines.length === 0) setImmediate(() => this.#isOpen && this.#flush());
    const line = `${JSON.stringify(record)}\n`;
    if (record.type === 'run') this.#firstLine = line;
    this.#lines.push(line);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#flush();
    fsyncSync(this.#fd);
    closeSync(this.#fd);
  }

  #flush(): void {
    if (this.#lines.length === 0) return;
    const bytes = Buffer.from(this.#lines.join(''), 'utf8');
    this.#lines = [];
    if (this.#bytes > 0 && this.#bytes + bytes.length > this.#maxBytes) this.#startNext();
    this.#write(bytes);
  }

  #startNext(): void {
    closeSync(this.#fd);
    rotate(this.#file);
    this.#fd = openEmpty(this.#file);
    this.#bytes = 0;
    this.#write(Buffer.from(this.#firstLine, 'utf8'));
  }

  #write(bytes: Buffer): void {
    for (let written = 0; written < bytes.length;) written += writeSync(this.#fd, bytes, written);
    this.#bytes += bytes.length;
  }
}

/**
 * A truth log in a new or empty file (JSON lines). Records reach the operating system within the same turn of the
 * event loop, so a killed simulator leaves all but its last turn. Of a log that would grow above `maxBytes` the oldest
 * part is dropped: it is then spread over this file and `.1` to `.3`, which `readTruth` reads as one. Throws `logExists`
 * where the file holds anything: one log is one run. A failed write throws from the event loop and ends the process: a
 * truth with holes is none.
 */
export function openTruthLog(file: string, maxBytes = Infinity): TruthLog {
  return new FileLog(file, maxBytes);
}

/** A log for whoever only wants the traffic. */
export const noTruthLog: TruthLog = { append: () => undefined, close: () => undefined };
