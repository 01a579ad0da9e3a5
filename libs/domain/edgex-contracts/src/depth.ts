import { AntirioError } from '@antirio/kernel';

/** Far over what anything of EdgeX has, and far under what writing JSON again can take. */
const MAX_DEPTH = 256;

function isWithin(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return true;
  if (levels === 0) return false;
  return Object.values(value).every((child) => isWithin(child, levels - 1));
}

/** The value itself. @throws AntirioError invalidInput when it is nested too deeply. */
export function checkDepth<T>(value: T, maxDepth = MAX_DEPTH): T {
  if (!isWithin(value, maxDepth))
    throw new AntirioError('invalidInput', `exceeded max depth: ${maxDepth} levels`);
  return value;
}
