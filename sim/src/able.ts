/** A while in which a provider could have served a customer that nobody else served, true ms. */
interface AbleStretch {
  readonly from: number;
  readonly until: number;
}

/** For how long at a stretch each provider could have served, kept until the world ends: a ruling is about one outage only. */
export interface AbleStretches {
  /** It has been able since then, and still is. */
  saw(provider: string, from: number, now: number): void;
  /** The longest stretch after this time, ms; what was before belongs to outages that are over. */
  longestAfter(provider: string, time: number): number;
}

export function createAbleStretches(): AbleStretches {
  const stretches = new Map<string, AbleStretch[]>();
  return {
    saw(provider, from, until) {
      if (until <= from) return;
      const known = stretches.get(provider) ?? [];
      if (known.at(-1)?.from === from) known.pop();
      stretches.set(provider, [...known, { from, until }]);
    },
    longestAfter: (provider, time) =>
      Math.max(0, ...(stretches.get(provider) ?? []).map(({ from, until }) => until - Math.max(from, time))),
  };
}
