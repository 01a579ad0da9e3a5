import { AntirioError } from '@antirio/kernel';
import { frequencyAt, putFrequency } from '../region/cf-list.ts';

/** Reads the payload of one command, least significant byte and bit first; the caller has checked its length. */
export interface FieldReader {
  byte(at: number): number;
  bits(at: number, first: number, count: number): number;
  flag(at: number, bit: number): boolean;
  uint(at: number, bytes: number): number;
  /** Hz. */
  frequency(at: number): number;
}

export function fieldReader(payload: Uint8Array): FieldReader {
  const byte = (at: number): number => payload[at] ?? 0;
  return {
    byte,
    bits: (at, first, count) => (byte(at) >>> first) & ((1 << count) - 1),
    flag: (at, bit) => (byte(at) & (1 << bit)) !== 0,
    uint: (at, bytes) => {
      let value = 0;
      for (let i = bytes - 1; i >= 0; i--) value = value * 256 + byte(at + i);
      return value;
    },
    frequency: (at) => frequencyAt(payload, at),
  };
}

/** Writes the payload of one command. Each throws AntirioError invalidInput for what does not fit. */
export interface FieldWriter {
  bits(at: number, first: number, count: number, value: number): void;
  flag(at: number, bit: number, value: boolean): void;
  uint(at: number, bytes: number, value: number): void;
  frequency(at: number, value: number): void;
}

export function fieldWriter(payload: Uint8Array, what: string): FieldWriter {
  const check = (value: number, bits: number): void => {
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** bits)
      throw new AntirioError('invalidInput', `${what}: ${value} does not fit ${bits} bits`);
  };
  const or = (at: number, value: number): void => {
    payload[at] = (payload[at] ?? 0) | value;
  };
  return {
    bits(at, first, count, value) {
      check(value, count);
      or(at, value << first);
    },
    flag: (at, bit, value) => {
      if (value) or(at, 1 << bit);
    },
    uint(at, bytes, value) {
      check(value, bytes * 8);
      for (let i = 0, rest = value; i < bytes; i++, rest = Math.floor(rest / 256))
        payload[at + i] = rest % 256;
    },
    frequency: (at, value) => {
      putFrequency(payload, at, value);
    },
  };
}
