/** Where a gateway's downlinks go. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/**
 * The address that a gateway's id is held by. The protocol has no authentication: whoever sends a PULL_DATA under the id of a
 * gateway asks for its downlinks. So an address that goes on asking keeps them, and another one has to wait until it is silent.
 */
export interface AddressClaim {
  readonly address: Address;
  /** Its last PULL_DATA, monotonic ms. */
  readonly at: number;
  /** How far apart its PULL_DATA are. */
  readonly keepAliveMs: number;
  /** The port that this one took over from, on the same host: it has the id back if it asks once more. */
  readonly before?: Pick<AddressClaim, 'address' | 'at' | 'keepAliveMs'>;
  /** Somebody else asked last at this time; until then no port is taken over from at once. */
  readonly contestedAt?: number;
}

/**
 * `contested`: the address does not get the id. `reinstated`: the one before was alive after all, so that it is the newer one
 * that is not believed.
 */
export type ClaimOutcome = 'kept' | 'changed' | 'contested' | 'reinstated';

/** That of Semtech's forwarders, until two PULL_DATA tell. */
const KEEP_ALIVE_MS = 10_000;
const SHORTEST_MS = 1000;
const LONGEST_MS = 60_000;
/** A PULL_DATA may be lost on its way. */
const MISSED = 2.5;
const CONTESTED_MS = 600_000;

const sameAddress = (a: Address, b: Address): boolean => a.host === b.host && a.port === b.port;

/** Whether the holder has asked lately enough to be there still. */
export function isHeld(claim: Pick<AddressClaim, 'at' | 'keepAliveMs'>, now: number): boolean {
  return now - claim.at <= MISSED * claim.keepAliveMs;
}

function renewed(claim: AddressClaim, now: number): AddressClaim {
  const gap = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, now - claim.at));
  // longer at once, shorter by and by
  const keepAliveMs = Math.max(gap, claim.keepAliveMs * 0.75);
  return { ...claim, at: now, keepAliveMs };
}

const fresh = (address: Address, now: number): AddressClaim => ({
  address,
  at: now,
  keepAliveMs: KEEP_ALIVE_MS,
});

/**
 * A PULL_DATA of a gateway id. The same host with another port is a forwarder that was restarted, or a router that forgot it:
 * it is believed at once unless the port before is heard again. Another host is believed once the holder is silent.
 */
export function claimAddress(
  held: AddressClaim | undefined,
  from: Address,
  now: number,
): { readonly claim: AddressClaim; readonly outcome: ClaimOutcome } {
  if (held === undefined) return { claim: fresh(from, now), outcome: 'kept' };
  if (sameAddress(held.address, from)) return { claim: renewed(held, now), outcome: 'kept' };
  const { before } = held;
  if (before !== undefined && sameAddress(before.address, from) && isHeld(before, now))
    return { claim: { ...before, at: now, contestedAt: now }, outcome: 'reinstated' };
  if (!isHeld(held, now)) return { claim: fresh(from, now), outcome: 'changed' };
  const quiet = held.contestedAt === undefined || now - held.contestedAt > CONTESTED_MS;
  if (held.address.host === from.host && quiet) {
    const { address, at, keepAliveMs } = held;
    return { claim: { ...fresh(from, now), before: { address, at, keepAliveMs } }, outcome: 'changed' };
  }
  return { claim: { ...held, contestedAt: now }, outcome: 'contested' };
}
