import { describeError } from '@antirio/kernel';
import type { Check } from '@antirio/host';

/** What could not be done for a reason of our own, such as a full disk; it is begun again a little later, until it is done. */
export interface Retries<Item> {
  add(item: Item, error: unknown): void;
  /** Forgets all of it. */
  clear(): void;
  check(): Check;
}

const AGAIN_MS = 1000;

/** Not bounded by itself: who adds an item keeps room for it. */
export function createRetries<Item>(again: (item: Item) => void): Retries<Item> {
  let items: Item[] = [];
  let why = '';
  let timer: NodeJS.Timeout | undefined;

  const tryAgain = (): void => {
    const waiting = items;
    items = [];
    timer = undefined;
    for (const item of waiting) again(item);
  };
  return {
    add(item, error) {
      items.push(item);
      why = describeError(error);
      timer ??= setTimeout(tryAgain, AGAIN_MS);
    },
    clear() {
      clearTimeout(timer);
      timer = undefined;
      items = [];
    },
    check: () =>
      items.length === 0 ? { ok: true } : { ok: false, detail: `${items.length} frames wait: ${why}` },
  };
}
