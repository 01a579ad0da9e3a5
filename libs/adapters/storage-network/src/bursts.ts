import { setTimeout as after } from 'node:timers/promises';

/**
 * What a source gives, in bursts: one ends where nothing more has come for so long, and the next one begins with what comes then. Whoever sends
 * them is not silent in the middle of one. A burst is to be read before the next one is asked for.
 */
export async function* burstsOf<T>(items: AsyncIterable<T>, gapMs: number): AsyncGenerator<AsyncIterable<T>> {
  const source = items[Symbol.asyncIterator]();
  const pull = (): Promise<IteratorResult<T, unknown>> => {
    const pulled = source.next();
    // What it fails with is met where it is awaited, unless all of it was broken off before.
    pulled.catch(() => undefined);
    return pulled;
  };
  let next = pull();
  const burst = async function* (first: T): AsyncGenerator<T> {
    yield first;
    for (;;) {
      next = pull();
      const item = await within(next, gapMs);
      if (item === undefined || item.done === true) return;
      yield item.value;
    }
  };
  try {
    for (let item = await next; item.done !== true; item = await next) {
      const begun = next;
      yield burst(item.value);
      if (next === begun) next = pull();
    }
  } finally {
    await source.return?.();
  }
}

async function within<T>(awaited: Promise<T>, ms: number): Promise<T | undefined> {
  const stop = new AbortController();
  const late = after(ms, undefined, { signal: stop.signal }).catch(() => undefined);
  try {
    return await Promise.race([awaited, late]);
  } finally {
    stop.abort();
  }
}
