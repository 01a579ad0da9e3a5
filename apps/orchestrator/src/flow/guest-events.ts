import { z } from 'zod';
import { callJson, parseInput, type HttpPeer, type HttpRim } from '@antirio/host';
import { AntirioError, isAntirioError } from '@antirio/kernel';
import { rewriteAnswer } from '../rim/bodies.ts';
import { createNamespace, stripNames } from '../rim/names.ts';
import { eventsShape } from '../rim/shapes.ts';
import type { OrchestratorStore } from '../store.ts';
import { contractId } from './records.ts';

/** So many events are given at once: their answer fits into what goes between edges. */
export const GUEST_PAGE = 200;
const MAX_ANSWER_BYTES = 4 << 20;

const address = z.object({ contractId, device: z.string().min(1).max(256) });
const ended = z.object({ contractId });
const page = z.object({
  offset: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(GUEST_PAGE).default(GUEST_PAGE),
});

/** As the provider: what a customer's service stored at this edge, for that customer alone, under the customer's own names. */
export function addGuestEventsRoute(
  rim: HttpRim,
  { store, coreData }: { readonly store: OrchestratorStore; readonly coreData: HttpPeer },
): void {
  const forCustomer = (id: string, peer: string | undefined): void => {
    if (peer !== undefined && peer !== store.providers.get(id)?.edgeId)
      throw new AntirioError('forbidden', 'these are the readings of another edge', { contractId: id });
  };
  rim.route(
    'get',
    '/orchestrator/v1/guest/:contractId/event/:device',
    { summary: 'events of a customer’s device, for the customer', params: address, query: page },
    async ({ params, query, request, response }) => {
      const { contractId: id, device } = params;
      forCustomer(id, request.get('x-antirio-peer'));
      const namespace = createNamespace(id);
      const name = encodeURIComponent(namespace.add(device));
      const { offset, limit } = parseInput(page, query);
      const path = `/api/v3/event/device/name/${name}?offset=${offset}&limit=${limit}`;
      const answer = await coreData.call({ path, maxAnswerBytes: MAX_ANSWER_BYTES });
      const type = answer.headers['content-type'];
      const contentType = typeof type === 'string' ? type : 'application/json';
      const body = rewriteAnswer(answer.body, contentType, (value) =>
        stripNames(value, eventsShape, namespace),
      );
      response.status(answer.status).type(contentType).end(body);
    },
  );
  const home = { summary: 'all of it has come home: it ages like readings of this edge', params: ended };
  rim.route('post', '/orchestrator/v1/guest/:contractId/home', home, async ({ params, request }) => {
    const { contractId: id } = params;
    forCustomer(id, request.get('x-antirio-peer'));
    try {
      await callJson(coreData, { method: 'DELETE', path: `/api/v3/hold/${id}` });
    } catch (error) {
      // said before, or given up
      if (!isAntirioError(error, 'notFound')) throw error;
    }
    return { contractId: id };
  });
}
