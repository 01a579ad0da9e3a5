import { describeError, type EdgeId } from '@antirio/kernel';
import type { Log } from '@antirio/host';
import type { LeaseFacts, LeaseRequest } from '@antirio/service-contract';

export interface LeaseAsked {
  readonly from: EdgeId;
  readonly request: LeaseRequest;
  readonly receivedAt: number;
}

/** Where lease requests wait for what the ledger says. */
export interface LeaseDesk {
  ask(asked: LeaseAsked): void;
  /** Requests that were given up for newer ones, for want of room, or because the ledger did not answer. */
  dropped(): number;
}

/** Holders whose sets are being looked up at once. */
const MAX_AT_ONCE = 256;

/**
 * Of one holder's requests only the newest is answered: a ledger that was slow for a while leaves no queue behind
 * that would make every later answer late.
 */
export function createLeaseDesk(
  factsOf: (setId: string, from: EdgeId) => Promise<LeaseFacts>,
  answer: (asked: LeaseAsked, facts: LeaseFacts) => void,
  log: Log,
): LeaseDesk {
  /** The request that comes next, for each that is being read for. */
  const next = new Map<string, LeaseAsked | undefined>();
  let dropped = 0;

  const serve = async (key: string, first: LeaseAsked): Promise<void> => {
    for (let asked: LeaseAsked | undefined = first; asked !== undefined; asked = next.get(key)) {
      next.set(key, undefined);
      try {
        answer(asked, await factsOf(asked.request.setId, asked.from));
      } catch (error) {
        dropped += 1;
        log.debug({ error: describeError(error) }, 'lease request not served');
      }
    }
    next.delete(key);
  };
  return {
    ask(asked) {
      const { setId, bootId, sequence } = asked.request;
      const key = `${asked.from}/${bootId}/${setId}`;
      const waiting = next.get(key);
      if (!next.has(key) && next.size < MAX_AT_ONCE) {
        void serve(key, asked);
        return;
      }
      if (next.has(key) && (waiting === undefined || waiting.request.sequence < sequence))
        next.set(key, asked);
      if (waiting !== undefined || !next.has(key)) dropped += 1;
    },
    dropped: () => dropped,
  };
}
