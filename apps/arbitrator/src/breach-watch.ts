import { z } from 'zod';
import { parseInput, type Log } from '@antirio/host';
import { describeError, type Clock } from '@antirio/kernel';
import type { Grantor } from './grantor.ts';
import type { LedgerClient } from './ledger-client.ts';

const contracts = z.array(
  z.looseObject({ id: z.string(), setId: z.string(), life: z.looseObject({ state: z.string() }) }),
);

/** Who should have taken over by now and did not: READY, the customer's lease over for longer than agreed, the epoch still its. */
export async function findBreaches(deps: {
  readonly clock: Clock;
  readonly ledger: LedgerClient;
  readonly grantor: Grantor;
  readonly log: Log;
}): Promise<void> {
  const { clock, ledger, grantor, log } = deps;
  const ready = parseInput(contracts, await ledger.range('contract/')).filter(
    (one) => one.life.state === 'READY',
  );
  for (const { id, setId } of ready) {
    const [terms, set] = await Promise.all([grantor.termsOf(id), grantor.setOf(setId)]);
    // Without a promise of our own since our start we know nothing of the customer's lease, and accuse nobody.
    const promised = grantor.lastPromise(setId);
    if (terms === undefined || set === undefined || promised === undefined) continue;
    const overMs = clock.monotonic() - promised.until;
    if (promised.epoch !== set.epoch || set.released !== undefined || set.holder !== terms.customer) continue;
    if (overMs <= terms.takeoverSlaMs) continue;
    const customerLeaseEndedAt = Math.floor(clock.now() - overMs);
    const evidence = {
      kind: 'neverTookOver' as const,
      customerLeaseEndedAt,
      details: { overMs: Math.floor(overMs) },
    };
    try {
      await ledger.submit({
        type: 'contract/rule',
        contractId: id,
        ruling: { row: 'providerBreach', evidence },
      });
      log.warn({ contract: id, overMs }, 'ruled: the provider never took over');
    } catch (error) {
      log.warn({ contract: id, error: describeError(error) }, 'the ruling was refused');
    }
  }
}
