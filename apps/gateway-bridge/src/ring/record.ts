import { z } from 'zod';
import { AntirioError, fromHex, fromUtf8, toHex, utf8 } from '@antirio/kernel';
import { RADIO, type Reception, type Rx, type Via } from '../frame.ts';

/** How far a ring has been filled from another edge's ring. */
export interface PullPosition {
  readonly edgeId: string;
  readonly ringId: string;
  /** Which life of that ring: sequence numbers mean nothing in another. */
  readonly incarnation: string;
  readonly through: number;
}

export interface Drops {
  readonly budget: number;
  readonly rate: number;
  readonly slots: number;
}

const position = z.object({
  edgeId: z.string(),
  ringId: z.string(),
  incarnation: z.string(),
  through: z.int().min(0),
});
export const dropsSchema = z.object({ budget: z.int(), rate: z.int(), slots: z.int() });

const controlSchema = z.discriminatedUnion('kind', [
  /** The first record of a segment: everything that the ones before it told. */
  z.object({
    kind: z.literal('segment'),
    firstSeq: z.int().min(1),
    nodes: z.array(z.string()),
    acknowledged: z.int().min(0),
    /** Of the source that was read last. */
    pulled: position.optional(),
    /** Of the others, the one that was read longest ago first. */
    pulledBefore: z.array(position).optional(),
    drops: dropsSchema,
  }),
  z.object({ kind: z.literal('acknowledged'), through: z.int().min(0) }),
  z.object({ kind: z.literal('pulled'), position }),
  z.object({ kind: z.literal('drops'), drops: dropsSchema }),
]);

/** What a ring's log holds besides frames. */
export type Control = z.output<typeof controlSchema>;
export type StoredFrame = Reception & { readonly via: Via };
export type LogRecord =
  | { readonly kind: 'frame'; readonly frame: StoredFrame; readonly storedAt: number }
  | { readonly kind: 'control'; readonly control: Control };

const FRAME = 1;
const CONTROL = 2;
const FIXED = 1 + 8 + 8 + 4 + 4 + 1 + 4 + 8 + 8 + 1 + 1 + 1 + 8;

// What few gateways tell comes last, each after a bit in a byte of its own; a record without any ends with its PHYPayload.
const EXTRAS = [
  { name: 'gpsTimeMs', size: 8 },
  { name: 'fineTimeNs', size: 4 },
  { name: 'board', size: 1 },
  { name: 'antenna', size: 1 },
] as const;

function extrasLength(rx: Rx): number {
  let length = 0;
  for (const { name, size } of EXTRAS) if (rx[name] !== undefined) length += size;
  return length === 0 ? 0 : length + 1;
}

function writeExtras(view: DataView, start: number, rx: Rx): void {
  if (start === view.byteLength) return;
  let flags = 0;
  let at = start + 1;
  for (let i = 0; i < EXTRAS.length; i++) {
    const { name, size } = EXTRAS[i] ?? EXTRAS[0];
    const value = rx[name];
    if (value === undefined) continue;
    flags |= 1 << i;
    if (size === 8) view.setFloat64(at, value);
    else if (size === 4) view.setUint32(at, value);
    else view.setUint8(at, value);
    at += size;
  }
  view.setUint8(start, flags);
}

function decodeExtras(view: DataView, start: number): Partial<Pick<Rx, (typeof EXTRAS)[number]['name']>> {
  if (start >= view.byteLength) return {};
  const flags = view.getUint8(start);
  const extras: Partial<Record<(typeof EXTRAS)[number]['name'], number>> = {};
  let at = start + 1;
  for (const [bit, { name, size }] of EXTRAS.entries()) {
    if ((flags & (1 << bit)) === 0) continue;
    extras[name] = size === 8 ? view.getFloat64(at) : size === 4 ? view.getUint32(at) : view.getUint8(at);
    at += size;
  }
  return extras;
}

/** The bytes of a frame in a ring's log, about 65 and those of the PHYPayload; `storedAt` is wall ms of this edge. */
export function encodeFrame(frame: StoredFrame, storedAt: number): Uint8Array {
  const { rx } = frame;
  const via = utf8(frame.via === RADIO ? '' : frame.via);
  const codeRate = utf8(rx.codeRate);
  const time = utf8(rx.time ?? '');
  const texts = [via, codeRate, time, frame.phyPayload];
  if (texts.some((text) => text.length > 255))
    throw new AntirioError('tooLarge', 'a field of the frame is over 255 bytes');
  const bytes = new Uint8Array(texts.reduce((sum, text) => sum + 1 + text.length, FIXED + extrasLength(rx)));
  const view = new DataView(bytes.buffer);
  view.setUint8(0, FRAME);
  view.setFloat64(1, frame.receivedAt);
  bytes.set(fromHex(frame.gatewayId, 8), 9);
  view.setUint32(17, rx.tmst);
  view.setUint32(21, rx.frequency);
  view.setUint8(25, rx.spreadingFactor);
  view.setUint32(26, rx.bandwidth);
  view.setFloat64(30, rx.rssi);
  view.setFloat64(38, rx.snr);
  view.setUint8(46, rx.channel);
  view.setUint8(47, rx.rfChain);
  view.setUint8(48, rx.crcOk ? 1 : 0);
  view.setFloat64(49, storedAt);
  let at = FIXED;
  for (const text of texts) {
    view.setUint8(at, text.length);
    bytes.set(text, at + 1);
    at += 1 + text.length;
  }
  writeExtras(view, at, rx);
  return bytes;
}

/** Of what `encodeFrame` made; nothing is copied. Anything else gives nonsense, or throws. */
export function decodeFrame(bytes: Uint8Array): { readonly frame: StoredFrame; readonly storedAt: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = FIXED;
  const next = (): Uint8Array => {
    const end = at + 1 + view.getUint8(at);
    const text = bytes.subarray(at + 1, end);
    at = end;
    return text;
  };
  const [via, codeRate, time] = [fromUtf8(next()), fromUtf8(next()), fromUtf8(next())];
  const phyPayload = next();
  const frame = {
    receivedAt: view.getFloat64(1),
    gatewayId: toHex(bytes.subarray(9, 17)),
    via: via === '' ? RADIO : via,
    phyPayload,
    rx: {
      tmst: view.getUint32(17),
      frequency: view.getUint32(21),
      spreadingFactor: view.getUint8(25),
      bandwidth: view.getUint32(26),
      codeRate,
      rssi: view.getFloat64(30),
      snr: view.getFloat64(38),
      channel: view.getUint8(46),
      rfChain: view.getUint8(47),
      crcOk: view.getUint8(48) === 1,
      ...(time === '' ? {} : { time }),
      ...decodeExtras(view, at),
    },
  };
  return { frame, storedAt: view.getFloat64(49) };
}

export function encodeControl(control: Control): Uint8Array {
  const text = utf8(JSON.stringify(control));
  const bytes = new Uint8Array(1 + text.length);
  bytes[0] = CONTROL;
  bytes.set(text, 1);
  return bytes;
}

/** @throws AntirioError corrupt for bytes that neither of the two encoders wrote. */
export function decodeRecord(bytes: Uint8Array): LogRecord {
  try {
    if (bytes[0] === FRAME) return { kind: 'frame', ...decodeFrame(bytes) };
    if (bytes[0] === CONTROL)
      return { kind: 'control', control: controlSchema.parse(JSON.parse(fromUtf8(bytes.subarray(1)))) };
  } catch (cause) {
    throw new AntirioError('corrupt', 'a ring holds a record that cannot be read', {}, cause);
  }
  throw new AntirioError('corrupt', `a ring holds a record of unknown kind ${String(bytes[0])}`);
}
