import { z } from 'zod';
import { AntirioError } from '@antirio/kernel';
import type { HttpRim } from '@antirio/host';
import { baseResponse, baseResponseSchema, name } from '@antirio/edgex-contracts';
import {
  registered,
  registrationAnswer,
  registrationRequest,
  registrationsAnswer,
  type Registration,
} from './registrations.ts';
import type { Room } from './room.ts';

const idParam = z.object({ serviceId: name });

function addWrites(rim: HttpRim, { commit, registrations, checks, ports }: Room): void {
  const now = (): number => Math.trunc(ports.clock.now());
  const watch = (of: Registration): void => {
    if (of.status === 'HALT') checks.forget(of.serviceId);
    else checks.watch(of);
  };
  rim.route(
    'post',
    '/api/v3/registry',
    { summary: 'registers a service', body: registrationRequest, answer: baseResponseSchema, status: 201 },
    async ({ body }) => {
      const added = registered(body.registration, now());
      await commit.run(0, () => registrations.add(added));
      watch(added);
      return { ...baseResponse(201), serviceName: added.serviceId };
    },
  );
  rim.route(
    'put',
    '/api/v3/registry',
    { summary: 'changes the registration of a service', body: registrationRequest, status: 204 },
    async ({ body }) => {
      const { serviceId } = body.registration;
      const changed = await commit.run(0, () => {
        const before = registrations.get(serviceId);
        if (before === undefined)
          throw new AntirioError('notFound', `registration of ${serviceId} does not exist`);
        const after = registered(body.registration, now(), before);
        registrations.replace(after);
        return after;
      });
      watch(changed);
    },
  );
  rim.route(
    'delete',
    '/api/v3/registry/serviceId/:serviceId',
    { summary: 'forgets a service', params: idParam, status: 204 },
    async ({ params }) => {
      await commit.run(0, () => registrations.remove(params.serviceId));
      checks.forget(params.serviceId);
    },
  );
}

export function addRegistryRoutes(rim: HttpRim, room: Room): void {
  const { registrations, checks } = room;
  const current = (of: Registration): Registration => ({
    ...of,
    lastConnected: checks.lastConnected(of.serviceId) ?? of.lastConnected,
  });
  addWrites(rim, room);
  rim.route(
    'get',
    '/api/v3/registry/all',
    {
      summary: 'all services, with `deregistered=true` those that were halted too',
      answer: registrationsAnswer,
    },
    ({ query }) => {
      const halted = (query as Record<string, unknown>)['deregistered'] === 'true';
      const all = registrations.all().filter(({ status }) => halted || status !== 'HALT');
      return { ...baseResponse(200), totalCount: all.length, registrations: all.map(current) };
    },
  );
  rim.route(
    'get',
    '/api/v3/registry/serviceId/:serviceId',
    { summary: 'the registration of a service', params: idParam, answer: registrationAnswer },
    ({ params }) => {
      const found = registrations.get(params.serviceId);
      if (found === undefined) throw new AntirioError('notFound', 'registration not found by serviceId');
      return { ...baseResponse(200), registration: current(found) };
    },
  );
}
