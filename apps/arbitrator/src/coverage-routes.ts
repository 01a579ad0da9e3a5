import { z } from 'zod';
import { callJson, type HttpPeer, type HttpRim } from '@antirio/host';
import { AntirioError, type Clock, type Identity } from '@antirio/kernel';
import { markRequest } from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';
import type { Contracts } from './contracts.ts';
import { claimView } from './coverage-claim-view.ts';
import { keptJudgement } from './coverage-judge.ts';
import { countersign } from './coverage-provider.ts';
import { downlinksView } from './downlink-shares.ts';
import { coverageView } from './coverage-store.ts';
import { countersignRoot, newestRoot, proofView, rootRequest } from './ring-roots.ts';

const idParam = z.object({ id: z.uuid() });

export interface CoverageRoutes {
  readonly contracts: Pick<Contracts, 'get' | 'ledger'>;
  readonly clock: Clock;
  readonly store: ContractStore;
  readonly identity: Identity;
  readonly bridge: HttpPeer;
}

/** Marks of how well a provider hears: signed by it, and shown at both. */
export function addCoverageRoutes(
  rim: HttpRim,
  { contracts, store, identity, bridge, clock }: CoverageRoutes,
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
    async ({ params, request }) => {
      if (request.get('x-antirio-peer') !== undefined)
        throw new AntirioError('forbidden', 'this is for the edge itself');
      const { terms } = contracts.get(params.id);
      const claim = await claimView(contracts.ledger, terms);
      const downlinks = downlinksView(store, terms);
      const outage = keptJudgement(store, terms.contractId);
      return { ...coverageView(store, terms), downlinks, outage, claim };
    },
  );
  addRootRoutes(rim, { contracts, store, identity, clock });
}

function addRootRoutes(
  rim: HttpRim,
  { contracts, store, identity, clock }: Omit<CoverageRoutes, 'bridge'>,
): void {
  const base = '/arbitrator/v1/contract/:id';
  rim.route(
    'post',
    `${base}/root`,
    { summary: 'the root of our provider’s ring, to be signed', params: idParam, body: rootRequest },
    ({ params, body, request }) => {
      const { terms, role } = contracts.get(params.id);
      if (role !== 'customer' || request.get('x-antirio-peer') !== terms.provider)
        throw new AntirioError('forbidden', 'only the provider has its roots signed');
      return countersignRoot({ identity, store, clock }, terms, body.root);
    },
  );
  rim.route(
    'get',
    `${base}/root`,
    { summary: 'the newest root that our provider has shown us', params: idParam },
    ({ params, request }) => {
      const { terms, role } = contracts.get(params.id);
      if (role !== 'customer' || request.get('x-antirio-peer') !== terms.provider)
        throw new AntirioError('forbidden', 'only the provider asks for its roots');
      return newestRoot(store, params.id);
    },
  );
  rim.route(
    'get',
    `${base}/proof`,
    { summary: 'roots of the provider’s ring, and what they prove', params: idParam },
    ({ params, request }) => {
      if (request.get('x-antirio-peer') !== undefined)
        throw new AntirioError('forbidden', 'this is for the edge itself');
      return proofView(store, contracts.ledger, contracts.get(params.id).terms);
    },
  );
}
