import { concatBytes } from '@antirio/kernel';
import type { Draw } from './draw.ts';

const EDGES = [0x00, 0x01, 0x0f, 0x10, 0x7f, 0x80, 0xfe, 0xff] as const;

type Mutation = (bytes: Uint8Array, draw: Draw, others: readonly Uint8Array[]) => Uint8Array;

const changed = (bytes: Uint8Array, at: number, value: number): Uint8Array => {
  const copy = Uint8Array.from(bytes);
  if (at < copy.length) copy[at] = value;
  return copy;
};

/** Two places, the first not after the second. */
function span(length: number, draw: Draw): readonly [number, number] {
  const [one, other] = [draw.below(length + 1), draw.below(length + 1)];
  return [Math.min(one, other), Math.max(one, other)];
}

const MUTATIONS: readonly [Mutation, ...Mutation[]] = [
  function flipBit(bytes, draw) {
    const at = draw.below(Math.max(1, bytes.length));
    return changed(bytes, at, (bytes[at] ?? 0) ^ (1 << draw.below(8)));
  },
  function setByte(bytes, draw) {
    return changed(bytes, draw.below(Math.max(1, bytes.length)), draw.below(256));
  },
  function setEdge(bytes, draw) {
    return changed(bytes, draw.below(Math.max(1, bytes.length)), draw.pick(EDGES));
  },
  function insert(bytes, draw) {
    const at = draw.below(bytes.length + 1);
    return concatBytes(bytes.subarray(0, at), draw.bytes(1 + draw.below(8)), bytes.subarray(at));
  },
  function remove(bytes, draw) {
    const [from, to] = span(bytes.length, draw);
    return concatBytes(bytes.subarray(0, from), bytes.subarray(to));
  },
  function truncate(bytes, draw) {
    return bytes.subarray(0, draw.below(bytes.length + 1));
  },
  function repeat(bytes, draw) {
    const [from, to] = span(bytes.length, draw);
    const part = bytes.subarray(from, to);
    const copies = Array.from({ length: 1 + draw.below(4) }, () => part);
    return concatBytes(bytes.subarray(0, to), ...copies, bytes.subarray(to));
  },
  function splice(bytes, draw, others) {
    const other = others[draw.below(others.length)] ?? bytes;
    return concatBytes(
      bytes.subarray(0, draw.below(bytes.length + 1)),
      other.subarray(draw.below(other.length + 1)),
    );
  },
];

/** One to four changes; what `others` hold may be spliced in. */
export function mutatedBytes(bytes: Uint8Array, draw: Draw, others: readonly Uint8Array[]): Uint8Array {
  let result = bytes;
  for (let left = 1 + draw.below(4); left > 0; left--) result = draw.pick(MUTATIONS)(result, draw, others);
  return result;
}
