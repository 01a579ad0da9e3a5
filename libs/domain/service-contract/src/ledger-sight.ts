/** A block as somebody saw it: whoever restores a ledger from an old backup cannot show it any more. */
export interface LedgerSight {
  readonly height: number;
  readonly stateHash: string;
}

export type Sighted =
  | { readonly ok: true; readonly highest: LedgerSight }
  /** The log lacks what was seen: nothing that follows from it may be believed. */
  | { readonly ok: false; readonly seen: LedgerSight; readonly head: LedgerSight };

/**
 * The highest block seen, after a look at a ledger's head; `atSeen` is what its log has at the height of the highest block
 * seen before.
 */
export function sight(seen: LedgerSight | undefined, head: LedgerSight, atSeen: string | undefined): Sighted {
  if (seen === undefined) return { ok: true, highest: head };
  const lacks = head.height < seen.height || atSeen !== seen.stateHash;
  return lacks ? { ok: false, seen, head } : { ok: true, highest: head };
}
