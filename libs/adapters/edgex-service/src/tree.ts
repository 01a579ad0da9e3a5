/** Options, or a part of EdgeX's configuration. */
export type Tree = Readonly<Record<string, unknown>>;

export const isTree = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Both, and of what both have that of the second. */
export function merged(base: Tree, over: Tree): Tree {
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const known = result[key];
    if (value === undefined || key === '__proto__') continue;
    result[key] = isTree(known) && isTree(value) ? merged(known, value) : value;
  }
  return result;
}

/** A tree of this value alone. */
export function treeWith([head, ...rest]: readonly string[], value: unknown): Tree {
  if (head === undefined) return {};
  return { [head]: rest.length === 0 ? value : treeWith(rest, value) };
}

export function valueAt(tree: Tree, [head, ...rest]: readonly string[]): unknown {
  if (head === undefined) return tree;
  const below = Object.hasOwn(tree, head) ? tree[head] : undefined;
  if (rest.length === 0) return below;
  return isTree(below) ? valueAt(below, rest) : undefined;
}

/** The paths of all that is no tree itself. */
export function leavesOf(
  tree: Tree,
  above: readonly string[] = [],
): [path: readonly string[], value: unknown][] {
  return Object.entries(tree).flatMap(([key, value]): [readonly string[], unknown][] => {
    const path = [...above, key];
    return isTree(value) ? leavesOf(value, path) : [[path, value]];
  });
}
