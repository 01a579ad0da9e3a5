const REFERENCE = 8;
const OBJECT = 16;

function childrenOf(value: object): unknown[] {
  const children: unknown[] = Object.values(value);
  if (value instanceof Map || value instanceof Set) children.push(...value);
  // Neither is enumerable.
  if (value instanceof Error) children.push(value.message, value.cause);
  return children;
}

/** Bytes that a value takes, about; stops counting above `most`, also where it contains itself. */
export function sizeOf(value: unknown, most: number): number {
  let size = 0;
  const open: unknown[] = [value];
  while (open.length > 0 && size <= most) {
    const next = open.pop();
    size += REFERENCE;
    if (typeof next === 'string') size += next.length;
    else if (ArrayBuffer.isView(next)) size += OBJECT + next.byteLength;
    else if (typeof next === 'object' && next !== null) {
      size += OBJECT;
      open.push(...childrenOf(next));
    }
  }
  return size;
}
