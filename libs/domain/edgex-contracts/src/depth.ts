import { AntirioError } from '@antirio/kernel';

/** Far over what anything of EdgeX has, and far under what writing JSON again can take. */
const MAX_DEPTH = 256;

/** The value itself. @throws AntirioError invalidInput when it is nested too deeply. */
export function checkDepth<T>(value: T): T {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > MAX_DEPTH) throw new AntirioError('invalidInput', `exceeded max depth: ${MAX_DEPTH} levels`);
    level = level.flatMap((one) =>
      typeof one === 'object' && one !== null ? (Object.values(one) as unknown[]) : [],
    );
  }
  return value;
}
