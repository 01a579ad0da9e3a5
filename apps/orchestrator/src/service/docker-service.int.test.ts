import { join } from 'node:path';
import { afterAll, beforeAll, expect } from '@jest/globals';
import Docker from 'dockerode';
import { callJson } from '@antirio/host';
import { localNodeFiles, testWhen } from '@antirio/testing';
import { openTestEdge, until, type TestEdge } from '../testing/edge.ts';
import { writeTinyService } from '../testing/tiny-service.ts';

const docker = new Docker();
const available = await docker.ping().then(
  () => true,
  () => false,
);
const engineTest = testWhen(available, 'no container engine answers');
const SECRETS = { keyVersion: 4, sessions: [] };

let edge: TestEdge;
let archive: string;

beforeAll(async () => {
  edge = await openTestEdge();
  if (!available) return;
  archive = join(edge.dir, 'service.tar');
  await writeTinyService(archive, 'one', localNodeFiles());
  edge.rooms.migration.answer = ({ method }) =>
    method === 'POST' ? { status: 202, json: {} } : { json: { state: 'DOWNLOADED', archive } };
  edge.rooms.coreData.answer = () => ({ status: 201, json: {} });
  await edge.start({ runtime: 'docker' });
}, 60_000);
afterAll(() => edge.close(), 30_000);

interface Seen {
  readonly observed: string;
  readonly instance?: { readonly state: string };
  readonly serviceStatus?: { readonly keyVersion?: number };
}

for (const standby of ['hot', 'warm', 'cold'])
  engineTest(
    `a ${standby} standby in a container becomes active, stands down and leaves nothing`,
    async () => {
      const id = `d${process.pid}-${standby}`;
      const path = `/orchestrator/v1/service/${id}`;
      const get = async (): Promise<Seen> => (await callJson(edge.http, { path })) as Seen;
      const service = { serviceName: 'device-lora', devices: [{ name: 'm', profileName: 'p' }] };
      const put = (more: object): Promise<unknown> =>
        callJson(edge.http, {
          method: 'PUT',
          path,
          json: { desired: 'standby', standby, imageCid: 'bafyimage', archive, service, epoch: 2, ...more },
        });
      const reached = (observed: string, state?: string): Promise<Seen> =>
        until(`${observed} ${state ?? ''}`, async () => {
          const seen = await get();
          return seen.observed === observed && seen.instance?.state === state ? seen : undefined;
        });
      const contract = {
        contractId: id,
        edgeId: 'theirs',
        imageName: 'lora',
        imageHash: 'bafyimage',
        config: 'bafyconfig',
      };
      await callJson(edge.http, {
        method: 'POST',
        path: '/orchestrator/service_provider/contract',
        json: contract,
      });
      await put({});
      await reached('standby', { hot: 'running', warm: 'frozen' }[standby]);
      await put({ desired: 'active', secrets: SECRETS });
      expect((await reached('active', 'running')).serviceStatus).toMatchObject({ keyVersion: 4 });
      await put({});
      await reached('standby', { hot: 'running', warm: 'frozen' }[standby]);
      await callJson(edge.http, { method: 'DELETE', path });
      await until('gone', async () => ((await edge.http.call({ path })).status === 404 ? true : undefined));
      const filters = { label: [`antirio.contract=${id}`] };
      expect(await docker.listContainers({ all: true, filters })).toEqual([]);
    },
    60_000,
  );
