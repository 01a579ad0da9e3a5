import { join } from 'node:path';
import { z } from 'zod';
import { parseInput, type HttpRim } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { contractId } from '../flow/records.ts';
import { SERVICE_SOCKET } from '../rim/foreign-rim.ts';
import { passToService } from '../rim/service-proxy.ts';
import { serviceBody } from './service-record.ts';
import type { ServiceRoom } from './service-room.ts';
import type { Services } from './services.ts';

const byContract = z.object({ contractId });
const SERVICE = '/orchestrator/v1/service/:contractId';
const FOREIGN = '/orchestrator/v1/foreign/';

function addProxy(rim: HttpRim, room: ServiceRoom, services: Services): void {
  rim.app.all(`${FOREIGN}:contractId/*path`, async (request, response) => {
    const id = parseInput(contractId, request.params['contractId']);
    const serviceId = services.current(id);
    if ((await room.runtime.instance(serviceId))?.state !== 'running')
      throw new AntirioError('unavailable', `the service of contract ${id} does not run`, { contractId: id });
    const [path = ''] = request.originalUrl.split('?', 1);
    const behind = path.split('/').slice(FOREIGN.split('/').length);
    const socket = join(room.folders.of(serviceId).runDir, SERVICE_SOCKET);
    await passToService(id, socket, `/${behind.join('/')}`, request, response);
  });
}

/** What the arbitrator asks for, and the way to the services for the rooms of this edge. */
export function addServiceRoutes(rim: HttpRim, room: ServiceRoom, services: Services): void {
  rim.route(
    'put',
    SERVICE,
    {
      summary: 'how a contract’s service is wanted; idempotent',
      params: byContract,
      body: serviceBody,
      status: 202,
    },
    ({ params, body }) => {
      services.want(params.contractId, body);
      return { contractId: params.contractId, desired: body.desired };
    },
  );
  rim.route('get', SERVICE, { summary: 'how it is', params: byContract }, ({ params }) =>
    services.get(params.contractId),
  );
  rim.route('get', '/orchestrator/v1/service', { summary: 'all of them' }, () => services.all());
  rim.route(
    'delete',
    SERVICE,
    { summary: 'ends it and removes what it left', params: byContract, status: 202 },
    async ({ params }) => {
      const { contractId: id } = await services.get(params.contractId);
      services.want(id, { desired: 'absent' });
      return { contractId: id, desired: 'absent' };
    },
  );
  rim.route(
    'get',
    `${SERVICE}/logs`,
    { summary: 'the newest output of the service', params: byContract },
    async ({ params, response }) => {
      const text = await room.runtime.logs(services.current(params.contractId));
      response.type('text/plain').send(text);
    },
  );
  rim.route(
    'get',
    `${SERVICE}/stats`,
    { summary: 'what the service uses', params: byContract },
    ({ params }) => room.runtime.stats(services.current(params.contractId)),
  );
  addProxy(rim, room, services);
}
