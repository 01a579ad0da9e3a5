/** Keeps retained messages, which stay in memory until they are replaced, within a budget for each owner. */
export interface RetainedBudget {
  /** Notes what is about to be retained; false when the owner's budget does not hold it. An empty payload frees the topic. */
  admit(owner: string, topic: string, bytes: number): boolean;
  readonly messages: number;
}

export interface RetainedLimits {
  readonly messages: number;
  readonly bytes: number;
}

/** What a message costs beside its payload. */
const OVERHEAD = 256;

export function createRetainedBudget(limitsOf: (owner: string) => RetainedLimits): RetainedBudget {
  const topics = new Map<string, { readonly owner: string; readonly bytes: number }>();
  const used = new Map<string, { messages: number; bytes: number }>();

  const change = (owner: string, messages: number, bytes: number): void => {
    const now = used.get(owner) ?? { messages: 0, bytes: 0 };
    const next = { messages: now.messages + messages, bytes: now.bytes + bytes };
    if (next.messages === 0) used.delete(owner);
    else used.set(owner, next);
  };
  const free = (topic: string): void => {
    const known = topics.get(topic);
    if (known === undefined) return;
    topics.delete(topic);
    change(known.owner, -1, -known.bytes);
  };
  const fits = (owner: string, topic: string, cost: number): boolean => {
    const known = topics.get(topic);
    const own = known?.owner === owner ? known : undefined;
    const now = used.get(owner) ?? { messages: 0, bytes: 0 };
    const limits = limitsOf(owner);
    const messages = now.messages + (own === undefined ? 1 : 0);
    return messages <= limits.messages && now.bytes - (own?.bytes ?? 0) + cost <= limits.bytes;
  };
  return {
    get messages() {
      return topics.size;
    },
    admit(owner, topic, bytes) {
      const cost = bytes + topic.length + OVERHEAD;
      if (bytes > 0 && !fits(owner, topic, cost)) return false;
      free(topic);
      if (bytes > 0) {
        topics.set(topic, { owner, bytes: cost });
        change(owner, 1, cost);
      }
      return true;
    },
  };
}
