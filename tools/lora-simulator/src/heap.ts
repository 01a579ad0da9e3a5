/** Items in order of time; those of equal time in order of arrival. */
export interface TimeHeap<T> {
  readonly size: number;
  push(at: number, item: T): void;
  /** Time of the earliest item, Infinity where there is none. */
  nextAt(): number;
  pop(): T | undefined;
  clear(): void;
}

interface Entry<T> {
  readonly at: number;
  readonly order: number;
  readonly item: T;
}

const before = (a: Entry<unknown>, b: Entry<unknown>): boolean =>
  a.at < b.at || (a.at === b.at && a.order < b.order);

function siftUp<T>(entries: Entry<T>[], entry: Entry<T>): void {
  let index = entries.length;
  while (index > 0) {
    const parentIndex = (index - 1) >> 1;
    const parent = entries[parentIndex];
    if (parent === undefined || before(parent, entry)) break;
    entries[index] = parent;
    index = parentIndex;
  }
  entries[index] = entry;
}

function siftDown<T>(entries: Entry<T>[], entry: Entry<T>): void {
  let index = 0;
  for (;;) {
    const left = entries[2 * index + 1];
    if (left === undefined) break;
    const right = entries[2 * index + 2];
    const isRight = right !== undefined && before(right, left);
    const child = isRight ? right : left;
    if (before(entry, child)) break;
    entries[index] = child;
    index = 2 * index + (isRight ? 2 : 1);
  }
  entries[index] = entry;
}

/** A binary heap: one queue for thousands of motes, and one timer in front of it. */
export function createTimeHeap<T>(): TimeHeap<T> {
  const entries: Entry<T>[] = [];
  let order = 0;
  return {
    get size() {
      return entries.length;
    },
    push(at, item) {
      siftUp(entries, { at, order, item });
      order += 1;
    },
    nextAt: () => entries[0]?.at ?? Infinity,
    pop() {
      const first = entries[0];
      const last = entries.pop();
      if (first === undefined || last === undefined) return undefined;
      if (entries.length > 0) siftDown(entries, last);
      return first.item;
    },
    clear() {
      entries.length = 0;
    },
  };
}
