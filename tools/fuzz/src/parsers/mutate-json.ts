import type { Draw } from './draw.ts';

type Make = (draw: Draw) => unknown;

const nested = (depth: number): unknown => {
  let value: unknown = [];
  for (let left = depth; left > 0; left--) value = left % 2 === 0 ? [value] : { a: value };
  return value;
};

const NUMBERS = [
  0,
  -0,
  -1,
  1,
  0.5,
  255,
  256,
  0xffff_ffff,
  2 ** 32,
  2 ** 53,
  -(2 ** 53),
  1e21,
  1e308,
  5e-324,
  869.525,
] as const;
const STRINGS = [
  '',
  '0',
  '-1',
  '1s',
  '99999999999999999999',
  '2026-11-21T08:08:17Z',
  '2026-99-99T99:99:99Z',
  '2026-99-99 99:99:99 GMT',
  'SF7BW125',
  'SF13BW125',
  'LORA',
  '4/5',
  'CR_4_5',
  'AQIDBA==',
  '====',
  '\u0000',
  '\ud800',
  '__proto__',
  'constructor',
] as const;

/** What a sender's mistake or malice puts where something else belongs. */
const VALUES: readonly [Make, ...Make[]] = [
  () => null,
  (draw) => draw.once(2),
  (draw) => draw.pick(NUMBERS),
  (draw) => (draw.below(2 ** 31) - 2 ** 30) / draw.pick([1, 10, 1000]),
  (draw) => draw.pick(STRINGS),
  (draw) => Buffer.from(draw.bytes(draw.below(40))).toString(draw.pick(['base64', 'hex', 'latin1'])),
  (draw) => 'x'.repeat(draw.below(400)),
  () => [],
  () => ({}),
  (draw) => nested(draw.below(40)),
  // An own key of that name, as only a parser makes it.
  () => JSON.parse('{"__proto__":{"polluted":1}}') as unknown,
];

const isContainer = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;

function mutatedArray(values: readonly unknown[], draw: Draw): unknown[] {
  const at = draw.below(values.length + 1);
  const kind = draw.below(4);
  if (kind === 0) return values.toSpliced(at, 1);
  if (kind === 1) return values.toSpliced(at, 0, draw.pick(VALUES)(draw));
  if (kind === 2) return values.toSpliced(at, 0, ...values.slice(0, 50));
  return values.with(Math.min(at, values.length - 1), mutatedJson(values[at] ?? null, draw));
}

function mutatedObject(value: Readonly<Record<string, unknown>>, draw: Draw): unknown {
  const entries = Object.entries(value);
  const at = draw.below(Math.max(1, entries.length));
  const [key = 'key', child = null] = entries[at] ?? [];
  const kind = draw.below(8);
  if (kind === 0) return Object.fromEntries(entries.toSpliced(at, 1));
  if (kind === 1) return Object.fromEntries(entries.toSpliced(at, 1, [`${key}_`, child]));
  return { ...value, [key]: mutatedJson(child, draw) };
}

/** Something of the same kind, which may well be taken. */
function likeIt(value: unknown, draw: Draw): unknown {
  if (typeof value === 'number')
    return draw.pick([draw.pick(NUMBERS), value + 1, value - 1, -value, value * 10, value / 7]);
  if (typeof value === 'boolean') return !value;
  if (typeof value !== 'string') return draw.pick(VALUES)(draw);
  const at = draw.below(value.length + 1);
  const letter = String.fromCharCode(32 + draw.below(95));
  return value.slice(0, at) + letter + value.slice(at + draw.below(3));
}

/** The same value with one place in it changed; nothing is changed in place. */
export function mutatedJson(value: unknown, draw: Draw): unknown {
  if (draw.once(16)) return draw.pick(VALUES)(draw);
  if (!isContainer(value)) return draw.once(3) ? draw.pick(VALUES)(draw) : likeIt(value, draw);
  if (Array.isArray(value)) return value.length === 0 ? draw.pick(VALUES)(draw) : mutatedArray(value, draw);
  return mutatedObject(value, draw);
}
