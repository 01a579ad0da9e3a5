/**
 * Why a value has not one and the same canonical text on every machine (RFC 8785): nested deeper than `maxDepth`, a string or a key that is
 * no Unicode, a number that is not finite. Undefined where it has. What a stranger sends is asked this before it is signed, hashed or compared.
 */
export function jsonProblem(value: unknown, maxDepth: number): string | undefined {
  if (typeof value === 'string') return value.isWellFormed() ? undefined : 'a string is not Unicode';
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : 'a number is not finite';
  if (typeof value !== 'object' || value === null) return undefined;
  if (maxDepth === 0) return 'nested too deeply';
  const keys = Array.isArray(value) ? [] : Object.keys(value);
  if (!keys.every((key) => key.isWellFormed())) return 'a name is not Unicode';
  for (const one of Object.values(value)) {
    const problem = jsonProblem(one, maxDepth - 1);
    if (problem !== undefined) return problem;
  }
  return undefined;
}
