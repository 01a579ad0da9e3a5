import { z } from 'zod';
import { rest, restIfThere } from '../rest.ts';
import { waitFor, type Look, type Waiter } from '../wait.ts';
import { DemoError } from '../errors.ts';
import type { PartyNode } from '../nodes.ts';
import { ARCHIVE_NAME, DRONE, SERVICE, type Cast } from './cast.ts';
import { geohashOf } from './route.ts';

const RESOURCE = '/orchestrator/service_customer/contract/testing';
const CONTRACT_MS = 120_000;

const demandSchema = z.looseObject({
  id: z.string(),
  state: z.string(),
  contractId: z.string().optional(),
  progress: z.record(z.string(), z.string()),
  error: z.string().optional(),
  home: z.looseObject({ events: z.int(), hereBefore: z.int() }).optional(),
});
const contractSchema = z.looseObject({
  state: z.string(),
  refused: z.string().optional(),
  terms: z.looseObject({ provider: z.string() }),
});
const noteSchema = z.looseObject({ milestone: z.string(), at: z.number() });
const timelineSchema = z.looseObject({ notes: z.array(noteSchema) });

/** One leg with its contract. */
export interface ContractedLeg {
  readonly demandId: string;
  readonly contractId: string;
  readonly edge: PartyNode;
  readonly cell: string;
  /** Wall ms. */
  readonly window: { readonly from: number; readonly until: number };
}

/** The drone's owner knows the route beforehand: one demand for each leg, for its time and place. */
async function demandLeg({ home, route }: Cast, leg: number, takeOffAt: number) {
  const found = route.legs[leg];
  if (found === undefined) throw new DemoError('badOptions', `the route has no leg ${leg}`);
  const cell = geohashOf(found.place);
  const { fromMs, untilMs } = found.window;
  const window = { from: Math.round(takeOffAt + fromMs), until: Math.round(takeOffAt + untilMs) };
  const configuration = {
    service_customer_id: home.edgeId,
    serviceName: SERVICE,
    activationEvent: 'schedule',
    event: { interval: '20', ip: '', windows: [window] },
  };
  const json = {
    ...{ imageName: SERVICE, fileName: ARCHIVE_NAME, duration: 1, configuration, devices: [] },
    ...{ service: `${SERVICE}.leg-${leg + 1}`, cells: [cell], bringsHome: [DRONE] },
  };
  const { id } = await rest(demandSchema, `${home.url('orchestrator')}${RESOURCE}`, { method: 'POST', json });
  return { demandId: id, cell, window };
}

export async function demandOf({ home }: Cast, demandId: string): Promise<z.output<typeof demandSchema>> {
  const all = await rest(z.array(demandSchema), `${home.url('orchestrator')}${RESOURCE}`);
  const found = all.find(({ id }) => id === demandId);
  if (found === undefined) throw new DemoError('badAnswer', `the home edge forgot its demand ${demandId}`);
  return found;
}

async function signedFor(
  cast: Cast,
  demandId: string,
): Promise<Look<{ contractId: string; provider: string }>> {
  const { state, progress, contractId, error = '' } = await demandOf(cast, demandId);
  if (state === 'FAILED') throw new DemoError('badAnswer', `the demand for a leg has failed: ${error}`);
  if (contractId === undefined) return { seen: `${state} ${Object.values(progress).join(' ')} ${error}` };
  const url = `${cast.home.url('arbitrator')}/arbitrator/v1/contract/${contractId}`;
  const contract = await rest(contractSchema, url);
  if (contract.state === 'signing' || contract.state === 'refused')
    return { seen: contract.refused ?? contract.state };
  return { found: { contractId, provider: contract.terms.provider } };
}

/** Every leg finds an edge near it in the market, and both sign, with their stakes. */
export async function contractLegs(cast: Cast, waiter: Waiter, takeOffAt: number): Promise<ContractedLeg[]> {
  const { edges, route } = cast;
  const demands = [];
  for (let leg = 0; leg < route.legs.length; leg++) demands.push(await demandLeg(cast, leg, takeOffAt));
  return Promise.all(
    demands.map(async ({ demandId, cell, window }, i) => {
      const { contractId, provider } = await waitFor<{ contractId: string; provider: string }>(waiter, {
        subject: `market and negotiation for leg ${i + 1}`,
        withinMs: CONTRACT_MS,
        look: () => signedFor(cast, demandId),
      });
      const edge = edges.find(({ edgeId }) => edgeId === provider);
      if (edge === undefined)
        throw new DemoError('badAnswer', `leg ${i + 1} was given to an edge that is not on the route`);
      waiter.stage.milestone(`leg ${i + 1} in ${cell}: ${edge.title}, contract ${contractId} signed by both`);
      return { demandId, contractId, edge, cell, window };
    }),
  );
}

/** What an edge's arbitrator noted of a contract, by milestone: wall ms of the first one. */
export async function milestonesOf(
  node: PartyNode,
  contractId: string,
): Promise<ReadonlyMap<string, number>> {
  const url = `${node.url('arbitrator')}/arbitrator/v1/contract/${contractId}/timeline`;
  const found = await restIfThere(timelineSchema, url);
  const first = new Map<string, number>();
  for (const { milestone, at } of found?.notes ?? []) if (!first.has(milestone)) first.set(milestone, at);
  return first;
}
