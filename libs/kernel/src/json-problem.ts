function problemOfLeaf(value: unknown): string | undefined {
  if (typeof value === 'string' && !value.isWellFormed()) return 'a string is not Unicode';
  return typeof value === 'number' && !Number.isFinite(value) ? 'a number is not finite' : undefined;
}

function problemOfNames(value: object): string | undefined {
  if (Array.isArray(value)) return undefined;
  return Object.keys(value).every((name) => name.isWellFormed()) ? undefined : 'a name is not Unicode';
}

/**
 * Why a value has not one and the same canonical text on every machine (RFC 8785): nested deeper than `maxDepth`, a string or a name that is
 * no Unicode, a number that is not finite. Undefined where it has. What a stranger sends is asked this before it is signed, hashed or compared.
 */
export function jsonProblem(value: unknown, maxDepth: number): string | undefined {
  if (typeof value !== 'object' || value === null) return problemOfLeaf(value);
  if (maxDepth === 0) return 'nested too deeply';
  let problem = problemOfNames(value);
  for (const one of Object.values(value)) problem ??= jsonProblem(one, maxDepth - 1);
  return problem;
}
