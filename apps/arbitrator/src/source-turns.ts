/**
 * What a customer's contract wants of the ring that the edge's own ring is filled from: `now` where the return waits for it,
 * `guard` while the contract lives, `rest` for what is left after its end.
 */
export type SourceWant = 'now' | 'guard' | 'rest';

/** The edge's own ring is filled from one other ring at a time: contracts take turns. */
export interface SourceTurns {
  /** Whether it is this contract's turn; it is to be asked again and again, for as long as the contract wants one. */
  isUp(contractId: string, want: SourceWant): boolean;
  leave(contractId: string): void;
  /** Nobody wants anything. */
  idle(): boolean;
}

const TURN_MS: Readonly<Record<SourceWant, number>> = { now: 10_000, guard: 10_000, rest: 5000 };

export function createSourceTurns(monotonic: () => number): SourceTurns {
  const wants = new Map<string, SourceWant>();
  let up: { readonly contractId: string; readonly since: number } | undefined;

  const contenders = (): string[] => {
    const all = [...wants.keys()];
    const pressing = all.filter((id) => wants.get(id) === 'now');
    return pressing.length > 0 ? pressing : all;
  };
  /** Whether it goes on being the turn of the one that is up. */
  const isStill = (ids: readonly string[], now: number): boolean => {
    if (up === undefined || !ids.includes(up.contractId)) return false;
    return ids.length === 1 || now - up.since < TURN_MS[wants.get(up.contractId) ?? 'rest'];
  };
  const choose = (): void => {
    const now = monotonic();
    const ids = contenders();
    if (isStill(ids, now)) return;
    const at = ids.indexOf(up?.contractId ?? '');
    // The newest begins; after that they go round.
    const next = at < 0 ? ids.at(-1) : ids[(at + 1) % ids.length];
    up = next === undefined ? undefined : { contractId: next, since: now };
  };
  return {
    isUp(contractId, want) {
      wants.set(contractId, want);
      choose();
      return up?.contractId === contractId;
    },
    leave(contractId) {
      wants.delete(contractId);
    },
    idle: () => wants.size === 0,
  };
}
