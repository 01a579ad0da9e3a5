import { z } from 'zod';
import type { HttpRim } from '@antirio/host';
import {
  AntirioError,
  parseEdgeId,
  sha256Hex,
  canonicalBytes,
  type Clock,
  type EdgeId,
} from '@antirio/kernel';
import type { ContractRecord } from '@antirio/ledger-machine';
import type { ContractTerms } from '@antirio/service-contract';
import type { BookedContract, CustomerBook } from './customer-book.ts';
import type { CustomerFollow } from './customer-follow.ts';
import { isRootOf } from './root-claims.ts';
import { localOnly } from './operator-routes.ts';
import { speakerReport, type ContractReport } from './speaker-report.ts';

export interface SpeakerDeskPorts {
  readonly clock: Pick<Clock, 'now'>;
  readonly book: CustomerBook;
  readonly follow: Pick<CustomerFollow, 'heard' | 'silenceOf'>;
  readonly customers: readonly EdgeId[];
}

const idParam = z.object({ id: z.uuid() });

/** Why nothing of it is kept; undefined where it is. */
function problemOf(
  known: BookedContract | undefined,
  edge: EdgeId,
  report: ContractReport,
): string | undefined {
  if (known === undefined) return 'not followed yet';
  const { customer, provider } = known.record as Pick<ContractTerms, 'customer' | 'provider'>;
  if (customer !== edge) return 'the contract is of another customer';
  return report.roots.every((root) => isRootOf(root, report.contractId, provider))
    ? undefined
    : 'a root is not the provider’s';
}

/** What customers' edges tell the arbitrator that speaks for them, and what it knows. */
export function addSpeakerRoutes(rim: HttpRim, { clock, book, follow, customers }: SpeakerDeskPorts): void {
  const base = '/arbitrator/v1/speaker';
  const take = (report: ContractReport): void => {
    const { contractId, roots } = report;
    const at = clock.now();
    for (const root of roots)
      book.note(contractId, { name: `root/${sha256Hex(canonicalBytes(root.body))}`, at, value: root });
    book.putReport(contractId, { at, value: report });
  };
  const summary = (one: BookedContract) => {
    const { provider, life, activation, settlement } = one.record as ContractRecord;
    const { contractId, customer, closed } = one;
    const { unheardMs, appointed } = follow.silenceOf(parseEdgeId(customer));
    const edge = { unheardS: Math.floor(unheardMs / 1000), appointed };
    const known = { state: life.state, epoch: activation?.epoch, settled: settlement?.row, closed };
    return { contractId, customer, provider, ...known, edge, report: book.report(contractId) };
  };
  rim.route(
    'post',
    `${base}/report`,
    { summary: 'how the contracts of an edge stand, from that edge', body: speakerReport },
    ({ body, request }) => {
      const peer = request.get('x-antirio-peer');
      const edge = customers.find((one) => one === peer);
      if (edge === undefined)
        throw new AntirioError('forbidden', 'this arbitrator does not speak for that edge');
      follow.heard(edge);
      const refused: { readonly contractId: string; readonly reason: string }[] = [];
      for (const report of body.contracts) {
        const { contractId } = report;
        const reason = problemOf(book.get(contractId), edge, report);
        if (reason === undefined) take(report);
        else refused.push({ contractId, reason });
      }
      return { taken: body.contracts.length - refused.length, refused };
    },
  );
  rim.route(
    'get',
    base,
    { summary: 'contracts of the edges that this arbitrator speaks for' },
    ({ request }) => {
      localOnly(request);
      return book.all().map(summary);
    },
  );
  const one = { summary: 'one of them, with all that is kept of it', params: idParam };
  rim.route('get', `${base}/:id`, one, ({ params, request }) => {
    localOnly(request);
    const found = book.get(params.id);
    if (found === undefined) throw new AntirioError('notFound', `no contract ${params.id} is followed`);
    return { ...summary(found), record: found.record, facts: book.facts(params.id) };
  });
}
