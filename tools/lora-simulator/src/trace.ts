import { z } from 'zod';
import type { HeardRecord, JoinRequestRecord, TruthRecord, TxRecord } from './truth.ts';
import { SimulatorError } from './errors.ts';
import { channelAt } from './eu868.ts';
import { isoMicroseconds } from './rxpk.ts';

/** One frame as one gateway once received it. */
export interface TraceFrame {
  /** Of the trace, from 1. */
  readonly line: number;
  /** When it was received, ms of a clock that all lines share. */
  readonly atMs: number;
  /** EUI in lower-case hex. */
  readonly gateway: string;
  /** As in a PUSH_DATA. */
  readonly rxpk: Readonly<Record<string, unknown>>;
}

/** Reads a trace line by line: recorded rxpk, or a truth log. */
export interface TraceReader {
  /** Lines that are no JSON, as a torn last one. */
  readonly unreadable: number;
  /** The frame of this line; undefined where it has none. Throws `badTrace`. */
  read(line: string): TraceFrame | undefined;
}

const frameSchema = z
  .strictObject({
    /** ms since anything. */
    at: z.number().optional(),
    /** ISO 8601. */
    time: z.iso.datetime({ offset: true }).optional(),
    gateway: z.string().regex(/^[0-9a-fA-F]{16}$/, '8 bytes in hex'),
    rxpk: z.looseObject({ data: z.string().regex(/^[A-Za-z0-9+/]+={0,2}$/, 'base64') }),
  })
  .refine(({ at, time }) => (at === undefined) !== (time === undefined), 'either at or time');

type OnAir = TxRecord | JoinRequestRecord;

// A frame is received when it ends; by then not many others began.
const TRANSMISSIONS_KEPT = 20_000;

function rxpkOf(tx: OnAir, heard: HeardRecord): Record<string, unknown> {
  const { chan, rfch, freqMhz } = channelAt(tx.freqMhz);
  const bytes = Buffer.from(tx.phyPayload, 'hex');
  return {
    time: isoMicroseconds(BigInt(tx.wallNs) + BigInt(Math.round(tx.airMs * 1e6))),
    ...{ tmst: heard.tmst, chan, rfch, freq: freqMhz, stat: 1, modu: 'LORA', datr: tx.datr, codr: '4/5' },
    ...{ lsnr: heard.snr, rssi: heard.rssi, size: bytes.length, data: bytes.toString('base64') },
  };
}

class Reader implements TraceReader {
  readonly #onAir = new Map<number, OnAir>();
  #line = 0;
  #unreadable = 0;

  get unreadable(): number {
    return this.#unreadable;
  }

  read(text: string): TraceFrame | undefined {
    this.#line += 1;
    const record = this.#parse(text);
    if (record === undefined) return undefined;
    const isTruth = typeof record === 'object' && record !== null && 'type' in record;
    return isTruth ? this.#truth(record as TruthRecord) : this.#recorded(record);
  }

  #parse(text: string): unknown {
    try {
      return text.trim() === '' ? undefined : JSON.parse(text);
    } catch {
      this.#unreadable += 1;
      return undefined;
    }
  }

  #truth(record: TruthRecord): TraceFrame | undefined {
    if (record.type === 'tx' || record.type === 'joinRequest') {
      this.#onAir.set(record.id, record);
      // A Map keeps the order of insertion, so the oldest comes first.
      const [oldest] = this.#onAir.keys();
      if (this.#onAir.size > TRANSMISSIONS_KEPT && oldest !== undefined) this.#onAir.delete(oldest);
    }
    if (record.type !== 'heard') return undefined;
    const tx = this.#onAir.get(record.txId);
    if (tx === undefined) return undefined;
    return { line: this.#line, atMs: record.at, gateway: record.gateway, rxpk: rxpkOf(tx, record) };
  }

  #recorded(record: unknown): TraceFrame {
    const parsed = frameSchema.safeParse(record);
    if (!parsed.success) {
      const reason = `line ${String(this.#line)}: ${z.prettifyError(parsed.error)}`;
      throw new SimulatorError('badTrace', reason, { cause: parsed.error });
    }
    const { at, time, gateway, rxpk } = parsed.data;
    return { line: this.#line, atMs: at ?? Date.parse(time ?? ''), gateway: gateway.toLowerCase(), rxpk };
  }
}

export function createTraceReader(): TraceReader {
  return new Reader();
}
