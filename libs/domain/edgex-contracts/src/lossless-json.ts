import { AntirioError, fromUtf8, toBase64 } from '@antirio/kernel';

/** ECMAScript's "JSON.parse source text access", which the type library does not know yet. */
interface SourceTextJson {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ): unknown;
  rawJSON(text: string): unknown;
}

const sourceTextJson = JSON as unknown as SourceTextJson;
const INTEGER = /^-?\d+$/;
/** Go's own parser goes no deeper than ten times this; what writes JSON here recurses. */
export const MAX_JSON_DEPTH = 1000;

function keepDigits(_key: string, value: unknown, context: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value) || context.source === undefined) return value;
  return INTEGER.test(context.source) ? BigInt(context.source) : value;
}

const [QUOTE, BACKSLASH, MINUS, ZERO, NINE] = [0x22, 0x5c, 0x2d, 0x30, 0x39];
/** `[` and `{`, `]` and `}` differ in this bit. */
const BRACE = 0x20;
const [OPENING, CLOSING] = [0x7b, 0x7d];
const NUMBER = /[-+.eE\d]+/y;
/** A number with so few characters is safe: the shortest others are `1e16` and the like. */
const SHORT = 3;

/** Where the string that begins at `from` ends: behind its closing quote. */
function behindString(text: string, from: number): number {
  for (let end = text.indexOf('"', from + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let first = end;
    while (text.charCodeAt(first - 1) === BACKSLASH) first -= 1;
    if ((end - first) % 2 === 0) return end + 1;
  }
  return text.length;
}

/** The integers of a text beyond 2^53, by what JSON.parse makes of them. */
export type LongIntegers = ReadonlyMap<number, bigint>;

const NONE: LongIntegers = new Map();

/**
 * Notes a number of the text; false where another one would be taken for it.
 * @throws AntirioError invalidInput when it is beyond all floats, as in Go.
 */
function note(source: string, longs: Map<number, bigint>): boolean {
  const value = Number(source);
  if (Math.abs(value) === Infinity) throw new AntirioError('invalidInput', 'a number is out of range');
  if (!Number.isInteger(value) || Number.isSafeInteger(value)) return true;
  if (!INTEGER.test(source)) return false;
  const digits = BigInt(source);
  const other = longs.get(value);
  longs.set(value, digits);
  return other === undefined || other === digits;
}

/** What opens or closes a nesting changes the depth by so much. */
function deeper(code: number): number {
  const either = code | BRACE;
  if (either === OPENING) return 1;
  return either === CLOSING ? -1 : 0;
}

const mayBeginNumber = (code: number): boolean => code === MINUS || (code >= ZERO && code <= NINE);

/**
 * Looks at every number outside of strings, and at the depth. The text need not be JSON yet. Undefined where two of its numbers are one
 * as floats.
 * @throws AntirioError invalidInput when it is too deep, or a number too large.
 */
function scan(text: string): LongIntegers | undefined {
  const longs = new Map<number, bigint>();
  let clear = true;
  let depth = 0;
  for (let i = 0; i < text.length;) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) i = behindString(text, i);
    else if (mayBeginNumber(code)) {
      NUMBER.lastIndex = i;
      const [source = ''] = NUMBER.exec(text) ?? [];
      if (source.length > SHORT) clear = note(source, longs) && clear;
      i += source.length;
    } else {
      depth += deeper(code);
      if (depth > MAX_JSON_DEPTH)
        throw new AntirioError('invalidInput', `the body is deeper than ${MAX_JSON_DEPTH}`);
      i += 1;
    }
  }
  return clear ? longs : undefined;
}

/** Puts the digits back, in place. */
function restore(value: unknown, longs: LongIntegers): unknown {
  if (typeof value === 'number') return longs.get(value) ?? value;
  if (typeof value !== 'object' || value === null) return value;
  const map = value as Record<string, unknown>;
  for (const key in map) {
    const child = map[key];
    if (typeof child === 'number' ? !Number.isSafeInteger(child) : typeof child === 'object')
      map[key] = restore(child, longs);
  }
  return value;
}

/** Parsed JSON in which integers beyond 2^53 may be rounded numbers still: `longs` has what each of them was. */
export interface RoughJson {
  readonly value: unknown;
  readonly longs: LongIntegers;
}

/** The integer that a number of rough JSON stands for; undefined for what is no integer. */
export function integerIn(longs: LongIntegers, value: unknown): bigint | undefined {
  if (typeof value === 'bigint') return value;
  if (typeof value !== 'number') return undefined;
  return Number.isSafeInteger(value) ? BigInt(value) : longs.get(value);
}

/**
 * Parses JSON without the walk through all of it that puts every integer's digits in their place.
 * @throws AntirioError invalidInput when the text is no JSON, nested over 1000 deep, or has numbers beyond those of a float.
 */
export function parseRoughJson(text: string): RoughJson {
  const longs = scan(text);
  try {
    // The engine gives each number's text to a reviver, at ten times the cost of parsing.
    return longs === undefined
      ? { value: sourceTextJson.parse(text, keepDigits), longs: NONE }
      : { value: JSON.parse(text), longs };
  } catch (cause) {
    throw new AntirioError('invalidInput', 'the body is no JSON', {}, cause);
  }
}

/** The value with the digits of all integers, as bigint beyond 2^53. It is changed in place. */
export function exactJson({ value, longs }: RoughJson): unknown {
  return longs.size === 0 ? value : restore(value, longs);
}

/**
 * Parses JSON so that integers beyond 2^53 keep their digits, as bigint; all other numbers are numbers.
 * @throws AntirioError invalidInput when the text is no JSON, nested over 1000 deep, or has numbers beyond those of a float.
 */
export function parseJson(text: string): unknown {
  return exactJson(parseRoughJson(text));
}

/** Bytes that are no UTF-8 count as U+FFFD, as for Go. @throws AntirioError invalidInput as `parseJson` does. */
export function parseJsonBytes(bytes: Uint8Array): unknown {
  return parseJson(fromUtf8(bytes));
}

/** The same with what JSON.stringify cannot write, or would write otherwise, in another form; itself where there is nothing such. */
function writable(value: unknown): unknown {
  if (typeof value === 'bigint') return sourceTextJson.rawJSON(value.toString());
  if (typeof value !== 'object' || value === null) return value;
  // It has a form of its own, as dates have.
  if (typeof (value as { readonly toJSON?: unknown }).toJSON === 'function') return value;
  if (value instanceof Uint8Array) return toBase64(value);
  return Array.isArray(value) ? writableItems(value) : writableFields(value as Record<string, unknown>);
}

function writableItems(items: readonly unknown[]): readonly unknown[] {
  let copy: unknown[] | undefined;
  for (const [i, item] of items.entries()) {
    const other = writable(item);
    if (other !== item) (copy ??= items.slice())[i] = other;
  }
  return copy ?? items;
}

function writableFields(fields: Record<string, unknown>): Record<string, unknown> {
  let copy: Record<string, unknown> | undefined;
  for (const key of Object.keys(fields)) {
    const value = fields[key];
    if (typeof value === 'string') continue;
    const other = writable(value);
    if (other !== value) (copy ??= { ...fields })[key] = other;
  }
  return copy ?? fields;
}

/** JSON text in which a bigint is a plain integer with all its digits, and bytes (of CBOR) are base64, as Go writes them. */
export function stringifyJson(value: unknown): string {
  // A replacer would be called for every field, at twice the cost.
  return JSON.stringify(writable(value));
}
