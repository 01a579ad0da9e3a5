/** PUSH_DATA datagrams that wait for their PUSH_ACK, by token. Bounded by time and by number. */
export interface PushWindow<T> {
  /** Opens an entry and gives its token; `now` in ms. */
  open(value: T, now: number): number;
  /** The entry that this token from this peer acknowledges, once. */
  take(token: number, now: number, matches: (value: T) => boolean): T | undefined;
  /** Forgets what has waited too long, and says how many still wait. */
  expire(now: number): number;
}

const MOST_PENDING = 16_384;

/** `draw` gives candidate tokens (16 bits). */
export function createPushWindow<T>(windowMs: number, draw: () => number): PushWindow<T> {
  const pending = new Map<number, { readonly value: T; readonly at: number }>();
  const expire = (now: number): number => {
    // A Map keeps the order of insertion, so the oldest come first.
    for (const [token, entry] of pending) {
      if (now - entry.at <= windowMs && pending.size < MOST_PENDING) break;
      pending.delete(token);
    }
    return pending.size;
  };
  return {
    open(value, now) {
      expire(now);
      let token = draw();
      while (pending.has(token)) token = (token + 1) & 0xffff;
      pending.set(token, { value, at: now });
      return token;
    },
    take(token, now, matches) {
      expire(now);
      const entry = pending.get(token);
      if (entry === undefined || !matches(entry.value)) return undefined;
      pending.delete(token);
      return entry.value;
    },
    expire,
  };
}
