import { z } from 'zod';
import type { HttpRim } from '@antirio/host';
import type { AlarmBoard } from './alarms.ts';
import type { LedgerWatch } from './ledger-watch.ts';
import { localOnly } from './operator-routes.ts';

const head = z.strictObject({ height: z.int().min(0), stateHash: z.string().regex(/^[0-9a-f]{64}$/) });

/** What was seen of the ledger, and the operator's way on where it is lost for good. */
export function addLedgerSightRoutes(rim: HttpRim, watch: LedgerWatch): void {
  const path = '/arbitrator/v1/ledger';
  rim.route(
    'get',
    path,
    { summary: 'the highest block seen, and whether the ledger has it' },
    ({ request }) => {
      localOnly(request);
      return watch.status();
    },
  );
  const accepting = {
    summary: 'accept that what this head of the ledger lacks is lost for good',
    body: head,
  };
  rim.route('post', `${path}/accept`, accepting, async ({ request, body }) => {
    localOnly(request);
    await watch.accept(body);
    return watch.status();
  });
}

export function tellOfRollback(alarms: AlarmBoard, watch: LedgerWatch): void {
  const { rolledBack, seen, head: at } = watch.status();
  const detail = `the ledger is at block ${at?.height ?? 0} and lacks block ${seen?.height ?? 0}, which was seen`;
  if (rolledBack) alarms.raise({ name: 'ledgerRolledBack', about: 'central', detail });
  else alarms.clear('ledgerRolledBack', 'central');
}
