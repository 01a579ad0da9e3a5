import { z } from 'zod';
import { parseInput, type Log } from '@antirio/host';
import { describeError, isAntirioError, type Clock } from '@antirio/kernel';
import { keys, stoodByAt } from '@antirio/ledger-machine';
import { grantedSet, neverTookOver, standsBy } from '@antirio/service-contract';
import { recordOf, type CentralFacts } from './central-facts.ts';
import type { CentralHost } from './central-host.ts';
import type { LedgerClient } from './ledger-client.ts';
import type { PatientSubmit } from './patient-submit.ts';

const contracts = z.array(
  z.looseObject({ id: z.string(), setId: z.string(), life: z.looseObject({ state: z.string() }) }),
);

export interface BreachWatch {
  readonly clock: Clock;
  readonly ledger: LedgerClient;
  /** What the ledger refuses is not said again and again. */
  readonly submit: PatientSubmit;
  readonly facts: CentralFacts;
  readonly host: CentralHost;
  readonly log: Log;
}

/** Who should have taken over by now and did not: READY, the customer's lease over for longer than agreed, the epoch still its. */
export async function findBreaches({ clock, ledger, submit, facts, host, log }: BreachWatch): Promise<void> {
  const ready = parseInput(contracts, await ledger.range('contract/')).filter(({ life }) =>
    standsBy(life.state),
  );
  for (const { id, setId, life } of ready) {
    const [terms, set] = await Promise.all([facts.termsOf(id), facts.setOf(setId)]);
    if (terms === undefined) continue;
    const { promise, acts } = grantedSet(host.state().grantor, setId);
    const overMs = neverTookOver(terms, life.state, recordOf(set), promise, clock.monotonic(), acts);
    if (overMs === undefined) continue;
    const customerLeaseEndedAt = Math.floor(clock.now() - overMs);
    const contract = await ledger.fetch(keys.contract(id));
    if (contract === undefined || !stoodByAt(contract, customerLeaseEndedAt)) continue;
    const evidence = {
      kind: 'neverTookOver' as const,
      customerLeaseEndedAt,
      details: { overMs: Math.floor(overMs) },
    };
    try {
      await submit(`neverTookOver ${id}`, {
        type: 'contract/rule',
        contractId: id,
        ruling: { row: 'providerBreach', evidence },
      });
      log.warn({ contract: id, overMs }, 'ruled: the provider never took over');
    } catch (error) {
      const level = isAntirioError(error, 'busy') ? 'debug' : 'warn';
      log[level]({ contract: id, error: describeError(error) }, 'the ruling was refused');
    }
  }
}
