import { AntirioError } from '@antirio/kernel';
import { frequencyOf, stepsOf } from '../region/cf-list.ts';

/** Some bits of a command's payload, and what they mean. */
export interface Kind<Value> {
  readonly bits: number;
  read(raw: number): Value;
  /** @throws AntirioError invalidInput for what does not fit; the error is told of `what`. */
  write(value: Value, what: string): number;
}

function checked(value: number, bits: number, what: string): number {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** bits)
    throw new AntirioError('invalidInput', `${what}: ${value} does not fit ${bits} bits`);
  return value;
}

export const uint = (bits: number): Kind<number> => ({
  bits,
  read: (raw) => raw,
  write: (value, what) => checked(value, bits, what),
});

/** Two's complement. */
export const int = (bits: number): Kind<number> => ({
  bits,
  read: (raw) => (raw >= 2 ** (bits - 1) ? raw - 2 ** bits : raw),
  write: (value, what) => (checked(value + 2 ** (bits - 1), bits, what) + 2 ** (bits - 1)) % 2 ** bits,
});

export const flag: Kind<boolean> = { bits: 1, read: (raw) => raw === 1, write: Number };

/** Hz. */
export const frequency: Kind<number> = { bits: 24, read: frequencyOf, write: stepsOf };

/** Bits between fields that nobody looks at. */
export interface Reserved {
  readonly reserved: number;
}

export const reserved = (bits: number): Reserved => ({ reserved: bits });

/** A field of a command, by its name in it. */
export type Field = readonly [name: string, kind: Kind<number> | Kind<boolean>];

const widthOf = (field: Field | Reserved): number => ('reserved' in field ? field.reserved : field[1].bits);

/** Bytes of a payload with these fields. */
export const lengthOf = (fields: readonly (Field | Reserved)[]): number =>
  Math.ceil(fields.reduce((sum, field) => sum + widthOf(field), 0) / 8);

/** Reads a payload, least significant byte and bit first; it has the length of its fields. */
export function readFields(
  fields: readonly (Field | Reserved)[],
  payload: Uint8Array,
): Record<string, number | boolean> {
  // at most five bytes: a number holds them
  let rest = payload.reduceRight((value, byte) => value * 256 + byte, 0);
  const values: Record<string, number | boolean> = {};
  for (const field of fields) {
    const size = 2 ** widthOf(field);
    if (!('reserved' in field)) values[field[0]] = field[1].read(rest % size);
    rest = Math.floor(rest / size);
  }
  return values;
}

/** Fills a payload of the length of its fields. @throws AntirioError invalidInput for what does not fit its field. */
export function writeFields(
  fields: readonly (Field | Reserved)[],
  command: Readonly<Record<string, unknown>>,
  payload: Uint8Array,
): void {
  let value = 0;
  let place = 1;
  for (const field of fields) {
    if (!('reserved' in field)) {
      const [name, kind] = field as readonly [string, Kind<unknown>];
      value += kind.write(command[name], `${String(command['type'])}.${name}`) * place;
    }
    place *= 2 ** widthOf(field);
  }
  for (let i = 0; i < payload.length; i++, value = Math.floor(value / 256)) payload[i] = value % 256;
}
