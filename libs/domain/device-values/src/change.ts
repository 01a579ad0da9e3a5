import { sha256Hex, utf8 } from '@antirio/kernel';
import { stringifyJson, type Reading, type ValueType } from '@antirio/edgex-contracts';
import { isIntegerType, isNumericType } from './value-types.ts';

/** What an auto event last told of a resource: its value's text, or the hash of what is long. */
interface Told {
  readonly valueType: ValueType | 'null';
  readonly text: string;
}

/** What an auto event last told, by resource. */
export type LastReadings = ReadonlyMap<string, Told>;

export interface ChangeRules {
  readonly onChange?: boolean | undefined;
  /** A change of a number that is not larger is none. */
  readonly onChangeThreshold?: number | undefined;
}

export interface Change {
  readonly changed: boolean;
  /** What the next readings are compared with. */
  readonly last: LastReadings;
}

const LONG = 128;

function textOf(reading: Reading): string {
  switch (reading.kind) {
    case 'simple':
      return reading.value.length > LONG ? sha256Hex(utf8(reading.value)) : reading.value;
    case 'binary':
      return sha256Hex(reading.binaryValue);
    case 'object':
      return sha256Hex(utf8(stringifyJson(reading.objectValue)));
    case 'null':
      return '';
  }
}

const toldOf = (reading: Reading): Told => ({
  valueType: reading.kind === 'null' ? 'null' : reading.valueType,
  text: textOf(reading),
});

function numbersDiffer(before: Told, now: Told, threshold: number): boolean {
  if (now.valueType !== 'null' && isIntegerType(now.valueType)) {
    const difference = BigInt(now.text) - BigInt(before.text);
    return (difference < 0n ? -difference : difference) > threshold;
  }
  const difference = Math.abs(Number(now.text) - Number(before.text));
  return Number.isNaN(difference) ? true : difference > threshold;
}

function differs(before: Told, now: Told, threshold: number): boolean {
  if (before.valueType === now.valueType && before.text === now.text) return false;
  if (before.valueType !== now.valueType) return true;
  const isNumber = now.valueType !== 'null' && isNumericType(now.valueType);
  return !isNumber || numbersDiffer(before, now, threshold);
}

/**
 * Whether an auto event has news. With onChange only what changed since it last told of it is news: each number is compared with the last
 * one that was told, so that a slow drift is told of in the end, too.
 */
export function changeOf(
  previous: LastReadings | undefined,
  readings: readonly Reading[],
  rules: ChangeRules,
): Change {
  const now = new Map(readings.map((reading) => [reading.resourceName, toldOf(reading)]));
  const isNew =
    rules.onChange !== true ||
    previous === undefined ||
    previous.size !== readings.length ||
    [...now.keys()].some((name) => !previous.has(name));
  if (isNew) return { changed: true, last: now };
  const last = new Map(previous);
  let changed = false;
  for (const [name, told] of now) {
    const before = previous.get(name);
    if (before !== undefined && !differs(before, told, rules.onChangeThreshold ?? 0)) continue;
    last.set(name, told);
    changed = true;
  }
  return { changed, last: changed ? last : previous };
}
