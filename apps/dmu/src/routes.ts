import { z } from 'zod';
import type { HttpPeer, HttpRim } from '@antirio/host';
import { AntirioError, parseEdgeId, uuidV4, type Clock, type EdgeId, type Random } from '@antirio/kernel';
import { demandBody, giveUpMatch, isOver, showDemand, type Demand } from './demand.ts';
import type { Running } from './dmu.ts';
import { committed, freeCapacity } from './offer.ts';
import { checkNetworkServer } from './network-server.ts';
import type { DmuOptions } from './options.ts';
import { completeDemand } from './protected-service.ts';
import { levelsFor } from './proposal.ts';
import { negotiationBody, trialBody } from './provider.ts';

export interface RoutesParts {
  readonly rim: HttpRim;
  readonly options: DmuOptions;
  readonly clock: Clock;
  readonly random: Random;
  /** Knows the addresses of devices that join. */
  readonly deviceLora: HttpPeer | undefined;
  /** @throws AntirioError unavailable before the start */
  readonly running: () => Running;
}

interface Asked {
  get(name: string): string | undefined;
}

function localOnly(request: Asked): void {
  if (request.get('x-antirio-peer') !== undefined)
    throw new AntirioError('forbidden', 'this is for the edge itself');
}

function peerOf(request: Asked): EdgeId {
  const peer = request.get('x-antirio-peer');
  if (peer === undefined)
    throw new AntirioError('unauthenticated', 'this is for neighbours, through edge2edge');
  return parseEdgeId(peer);
}

const demandParam = z.object({ id: z.string().regex(/^[A-Za-z0-9._~-]{1,64}$/) });
const matchParam = z.object({ id: z.string().regex(/^[0-9a-f]{64}$/) });
const hashParam = z.object({ hash: z.string().regex(/^[0-9a-f]{64}$/) });

function addDemandRoutes({ rim, options, clock, random, running, deviceLora }: RoutesParts): void {
  const base = '/dmu/v1/demand';
  const show = (demand: Demand): unknown => {
    const trouble = running().demands.trouble(demand.id);
    return { ...showDemand(demand), ...(trouble === undefined ? {} : { trouble }) };
  };
  const find = (id: string): Demand => {
    const demand = running().store.demand(id);
    if (demand === undefined) throw new AntirioError('notFound', 'there is no such demand');
    return demand;
  };
  const take = { summary: 'demand insurance for a service', body: demandBody, status: 202 };
  rim.route('post', base, take, async ({ body, request }) => {
    localOnly(request);
    const known = body.demandId === undefined ? undefined : running().store.demand(body.demandId);
    if (known !== undefined) return show(known);
    if (running().store.underWay().length >= options.maxDemands)
      throw new AntirioError('busy', `at most ${options.maxDemands} demands at once`);
    const now = clock.now();
    const id = body.demandId ?? uuidV4(random);
    const giveUpAt = now + options.demandLifetimeS * 1000;
    const wanted = await completeDemand(body, options, deviceLora);
    levelsFor(options.policy, wanted);
    await checkNetworkServer(wanted.devices, deviceLora);
    const meanwhile = running().store.demand(id);
    if (meanwhile !== undefined) return show(meanwhile);
    const asked = { id, request: wanted, createdAt: now, since: now, giveUpAt };
    running().store.putDemand({ ...asked, state: 'ACCEPTED', attempt: 0, excluded: [] });
    running().demands.poke();
    return show(find(id));
  });
  rim.route('get', base, { summary: 'all demands, the newest first' }, ({ request }) => {
    localOnly(request);
    return { demands: running().store.demands().map(show) };
  });
  rim.route('get', `${base}/:id`, { summary: 'one demand', params: demandParam }, ({ params, request }) => {
    localOnly(request);
    return show(find(params.id));
  });
  const cancel = { summary: 'want no insurance any more', params: demandParam, status: 202 };
  rim.route('delete', `${base}/:id`, cancel, async ({ params, request }) => {
    localOnly(request);
    const demand = find(params.id);
    if (isOver(demand)) return show(demand);
    const changed = await running().demands.change(params.id, (current) => {
      if (isOver(current)) return current;
      if (current.state === 'SIGNING')
        throw new AntirioError('conflict', 'both arbitrators are signing: cancel the contract instead');
      return { ...giveUpMatch(current, 'cancelled', clock.now(), 0), ending: 'CANCELLED' };
    });
    return show(changed ?? demand);
  });
}

function addProviderRoutes({ rim, options, running }: RoutesParts): void {
  const trial = { summary: 'coverage: start, commitments, reveal', params: matchParam, body: trialBody };
  rim.route('post', '/dmu/v1/trial/:id', trial, ({ params, body, request }) =>
    running().provider.trial(peerOf(request), params.id, body),
  );
  const talk = { summary: 'an offer, an acceptance or a refusal', params: matchParam, body: negotiationBody };
  rim.route('post', '/dmu/v1/negotiation/:id', talk, async ({ params, body, request }) => {
    const answer = await running().provider.negotiate(peerOf(request), params.id, body.offer);
    if (answer.outcome === 'agreed') running().offering.poke();
    return answer;
  });
  for (const what of ['trial', 'negotiation'] as const)
    rim.route(
      'get',
      `/dmu/v1/${what}/:id`,
      { summary: `how far the ${what} is`, params: matchParam },
      ({ params, request }) => running().provider.status(peerOf(request), params.id)[what],
    );
  const agreed = { summary: 'terms that this edge, as the provider, agreed to', params: hashParam };
  rim.route('get', '/dmu/v1/agreed/:hash', agreed, ({ params, request }) => {
    localOnly(request);
    const found = running().store.agreed(params.hash);
    if (found === undefined || found.over)
      throw new AntirioError('notFound', 'no such terms were agreed, or they are over');
    return found;
  });
  rim.route(
    'get',
    '/dmu/v1/offer',
    { summary: 'what this edge offers, and what it has promised' },
    ({ request }) => {
      localOnly(request);
      const promised = committed(running().store);
      const { enabled, capacity, policy, maxContracts } = options.provider;
      const obstacle = running().offering.obstacle();
      return {
        enabled,
        capacity,
        free: freeCapacity({ options, store: running().store }),
        contracts: promised.contracts,
        maxContracts,
        policy,
        obstacle,
      };
    },
  );
}

export function addRoutes(parts: RoutesParts): void {
  addDemandRoutes(parts);
  addProviderRoutes(parts);
}
