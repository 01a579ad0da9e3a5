import { join } from 'node:path';
import { afterAll, beforeAll, expect } from '@jest/globals';
import Docker from 'dockerode';
import { callJson, silentLog, systemClock } from '@antirio/host';
import { createRuntime, type Runtime } from '@antirio/runtime';
import { findEngines, localNodeFiles, onEachEngine } from '@antirio/testing';
import { openTestEdge, until, type TestEdge } from '../testing/edge.ts';
import { writeTinyCompanion, writeTinyService } from '../testing/tiny-service.ts';

const SECRETS = { keyVersion: 4, sessions: [] };

interface Seen {
  readonly observed: string;
  readonly instance?: { readonly state: string };
  readonly serviceStatus?: { readonly keyVersion?: number };
}

onEachEngine(await findEngines(), (engineTest) => {
  let edge: TestEdge;
  let archive: string;
  let docker: Docker;
  let runtime: Runtime;
  let kept: string;

  beforeAll(async () => {
    edge = await openTestEdge();
    docker = new Docker();
    archive = join(edge.dir, 'service.tar');
    const base = localNodeFiles();
    await writeTinyService(archive, 'one', base);
    const companion = join(edge.dir, 'companion.tar');
    await writeTinyCompanion(companion, base);
    const services = [{ name: 'db', imageCid: 'bafydb', archive: companion }];
    edge.rooms.migration.answer = ({ method }) =>
      method === 'POST' ? { status: 202, json: {} } : { json: { state: 'DOWNLOADED', archive, services } };
    edge.rooms.coreData.answer = () => ({ status: 201, json: {} });
    runtime = await createRuntime('docker', {
      dir: join(edge.dir, 'runtime'),
      graceMs: 500,
      clock: systemClock,
      log: silentLog,
    });
    // Stands on the same base, so that this is loaded once and not by each test.
    const other = join(edge.dir, 'other.tar');
    kept = await writeTinyService(other, 'other', base);
    await runtime.load(other);
    await edge.start({}, runtime);
  });
  afterAll(async () => {
    await edge.close();
    await runtime.unload(kept);
  });

  for (const standby of ['hot', 'warm', 'cold'])
    engineTest(
      `a ${standby} standby in a container becomes active, stands down and leaves nothing`,
      async () => {
        const id = `d${process.pid}-${standby}`;
        const path = `/orchestrator/v1/service/${id}`;
        const get = async (): Promise<Seen> => (await callJson(edge.http, { path })) as Seen;
        // One of them is a contract of two images
        const db = { imageName: 'db:1', imageCid: 'bafydb' };
        const beside = standby === 'warm' ? { configuration: { services: { db } } } : {};
        const service = { serviceName: 'device-lora', devices: [{ name: 'm', profileName: 'p' }], ...beside };
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
        const left = await docker.listContainers({ all: true });
        expect(left.filter(({ Labels }) => Labels['antirio.contract']?.startsWith(id))).toEqual([]);
      },
    );
});
