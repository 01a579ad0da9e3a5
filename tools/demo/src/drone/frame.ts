import {
  AntirioError,
  concatBytes,
  equalBytes,
  fromHex,
  hmacSha256,
  toHex,
  utf8,
  uuidV5,
} from '@antirio/kernel';
import type { Picture } from './feed.ts';

/** One frame as the drone sends it. */
export interface Frame {
  /** Of the flight: a UUID. */
  readonly flight: string;
  /** From 0, without gaps. */
  readonly sequence: number;
  /** Wall ms. */
  readonly capturedAt: number;
  readonly picture: Picture;
}

const MAGIC = 'ADF1';
const HEADER = 36;
const MAC = 32;
/** Of frames, and of the service's acknowledgements: neither can be taken for the other. */
const FRAME_PURPOSE = utf8('antirio/drone/frame/1');
const ACK_PURPOSE = utf8('antirio/drone/ack/1');
const NAMESPACE = '0b9d3a86-6b0a-5f2f-9c57-3f0e7c1d2a54';

const flightBytes = (flight: string): Uint8Array => fromHex(flight.replaceAll('-', ''), 16);

function flightText(bytes: Uint8Array): string {
  return toHex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/**
 * `ADF1`, width and height (16 bits each), sequence number (32), capture time (ms, a float of 64), flight (16 bytes), the pixels, and
 * HMAC-SHA-256 of all of it under the flight's key. Big-endian.
 */
export function encodeFrame({ flight, sequence, capturedAt, picture }: Frame, key: Uint8Array): Uint8Array {
  const { width, height, pixels } = picture;
  const header = new Uint8Array(HEADER);
  const view = new DataView(header.buffer);
  header.set(utf8(MAGIC));
  view.setUint16(4, width);
  view.setUint16(6, height);
  view.setUint32(8, sequence);
  view.setFloat64(12, capturedAt);
  header.set(flightBytes(flight), 20);
  return concatBytes(header, pixels, hmacSha256(key, FRAME_PURPOSE, header, pixels));
}

/** @throws AntirioError invalidInput where it is no frame; unauthenticated where it is not of who has the key. */
export function decodeFrame(bytes: Uint8Array, key: Uint8Array): Frame {
  const header = bytes.subarray(0, HEADER);
  if (bytes.length < HEADER + MAC || !equalBytes(header.subarray(0, 4), utf8(MAGIC)))
    throw new AntirioError('invalidInput', 'this is no frame');
  const view = new DataView(header.buffer, header.byteOffset, HEADER);
  const [width, height] = [view.getUint16(4), view.getUint16(6)];
  const pixels = bytes.subarray(HEADER, bytes.length - MAC);
  if (pixels.length !== width * height)
    throw new AntirioError('invalidInput', 'a frame has as many pixels as it says');
  if (!equalBytes(bytes.subarray(bytes.length - MAC), hmacSha256(key, FRAME_PURPOSE, header, pixels)))
    throw new AntirioError('unauthenticated', 'this frame is not of the drone');
  return {
    flight: flightText(header.subarray(20, 36)),
    sequence: view.getUint32(8),
    capturedAt: view.getFloat64(12),
    picture: { width, height, pixels },
  };
}

const identity = (drone: string, flight: string, sequence: number): Uint8Array =>
  utf8(`${drone}/${flight}/${sequence}`);

/** The id of a frame's event, the same wherever it is made. */
export function eventIdOf(drone: string, flight: string, sequence: number): string {
  return uuidV5(NAMESPACE, identity(drone, flight, sequence));
}

/** What the service answers once the frame's event is on the disk: only who has the flight's key can say so. */
export function ackTag(key: Uint8Array, drone: string, flight: string, sequence: number): string {
  return toHex(hmacSha256(key, ACK_PURPOSE, identity(drone, flight, sequence)));
}
