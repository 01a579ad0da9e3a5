import { z } from 'zod';
import { callJson, type HttpPeer, type HttpRim } from '@antirio/host';
import { AntirioError, type Identity } from '@antirio/kernel';
import { markRequest } from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';
import type { Contracts } from './contracts.ts';
import { countersign } from './coverage-provider.ts';
import { coverageView } from './coverage-store.ts';

const idParam = z.object({ id: z.uuid() });

export interface CoverageRoutes {
  readonly contracts: Pick<Contracts, 'get'>;
  readonly store: ContractStore;
  readonly identity: Identity;
  readonly bridge: HttpPeer;
}

/** Marks of how well a provider hears: signed by it, and shown at both. */
export function addCoverageRoutes(
  rim: HttpRim,
  { contracts, store, identity, bridge }: CoverageRoutes,
): void {
  const path = '/arbitrator/v1/contract/:id/coverage';
  rim.route(
    'post',
    path,
    { summary: 'the customer’s marks of what we hear', params: idParam, body: markRequest },
    async ({ params, body, request }) => {
      const { terms, role } = contracts.get(params.id);
      if (role !== 'provider' || request.get('x-antirio-peer') !== terms.customer)
        throw new AntirioError('forbidden', 'only the customer asks this of its provider');
      const ask = (of: string): Promise<unknown> => callJson(bridge, { path: of });
      return { answers: await countersign({ identity, terms, bridge: ask, store }, body.marks) };
    },
  );
  rim.route(
    'get',
    path,
    { summary: 'how well the provider hears, by marks that both signed', params: idParam },
    ({ params, request }) => {
      if (request.get('x-antirio-peer') !== undefined)
        throw new AntirioError('forbidden', 'this is for the edge itself');
      return coverageView(store, contracts.get(params.id).terms);
    },
  );
}
