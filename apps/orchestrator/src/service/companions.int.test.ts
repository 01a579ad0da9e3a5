import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { callJson } from '@antirio/host';
import { openTestEdge, until, type TestEdge } from '../testing/edge.ts';
import { writeTinyCompanion, writeTinyService } from '../testing/tiny-service.ts';

const CONTRACT = 'with-companions';
const TWIN = 'drill-of-it';
const SERVICE = `/orchestrator/v1/service/${CONTRACT}`;
const CONTRACTS = '/orchestrator/service_provider/contract';
let edge: TestEdge;
let archive: string;
let companionArchive: string;
/** As migration tells them; the configuration names others where they differ. */
let fetched: { name: string; imageCid: string; archive: string }[];

interface Seen {
  readonly observed: string;
  readonly detail: string;
  readonly instance?: { readonly pid?: number };
}

const services = (db: object = {}) => ({
  cache: { imageName: 'cache:1', imageCid: 'bafycache', depends_on: ['db'], env: { NEEDS: 'db' } },
  db: { imageName: 'db:1', imageCid: 'bafydb', readyWithinMs: 2000, ...db },
});
const wish = (db: object = {}) => ({
  desired: 'standby',
  standby: 'hot',
  imageCid: 'bafyimage',
  archive,
  service: {
    serviceName: 'device-lora',
    devices: [{ name: 'mote-1', profileName: 'thermometer' }],
    configuration: { serviceName: 'device-lora', depends_on: ['cache'], services: services(db) },
  },
});

beforeAll(async () => {
  edge = await openTestEdge();
  [archive, companionArchive] = [join(edge.dir, 'service.tar'), join(edge.dir, 'companion.tar')];
  await writeTinyService(archive, 'one');
  await writeTinyCompanion(companionArchive);
  fetched = ['cache', 'db'].map((name) => ({ name, imageCid: `bafy${name}`, archive: companionArchive }));
  edge.rooms.migration.answer = ({ method, path }) =>
    method === 'POST'
      ? { status: 202, json: {} }
      : path.includes(TWIN)
        ? { status: 404, json: { statusCode: 404, message: 'nothing was fetched for it' } }
        : { json: { state: 'DOWNLOADED', archive, configuration: {}, services: fetched, progress: {} } };
  edge.rooms.coreData.answer = () => ({ status: 201, json: { apiVersion: 'v3', statusCode: 201 } });
  edge.rooms.coreMetadata.answer = ({ method }) =>
    method === 'POST' ? { status: 207, json: [{ statusCode: 201 }] } : { json: { apiVersion: 'v3' } };
  await edge.start();
  const json = {
    ...{ contractId: CONTRACT, edgeId: '12D3KooWCustomer', imageName: 'lora' },
    ...{ imageHash: 'bafyimage', config: 'bafyconfig' },
  };
  await callJson(edge.http, { method: 'POST', path: CONTRACTS, json });
  await until('loaded', async () => {
    const [one] = (await callJson(edge.http, { path: CONTRACTS })) as { status: string }[];
    return one?.status === 'LOADED' ? true : undefined;
  });
});
afterAll(() => edge.close());

const get = async (): Promise<Seen> => (await callJson(edge.http, { path: SERVICE })) as Seen;
const put = (json: object): Promise<unknown> => callJson(edge.http, { method: 'PUT', path: SERVICE, json });
const seen = (what: string, is: (now: Seen) => boolean): Promise<Seen> =>
  until(what, async () => {
    const now = await get();
    return is(now) ? now : undefined;
  });
const remove = async (): Promise<void> => {
  await callJson(edge.http, { method: 'DELETE', path: SERVICE });
  await until('removed', async () =>
    ((await callJson(edge.http, { path: '/orchestrator/v1/service' })) as unknown[]).length === 0
      ? true
      : undefined,
  );
};

/** What the services beside it wrote into their folders when they began, the newest of each. */
function began(): { pid: number; at: number }[] {
  const folder = join(edge.dir, 'orchestrator', 'services');
  const all = existsSync(folder) ? readdirSync(folder).filter((name) => /-s[0-9a-f]{10}$/.test(name)) : [];
  return all.flatMap((name) => {
    const lines = readFileSync(join(folder, name, 'began'), 'utf8')
      .trim()
      .split('\n');
    return [JSON.parse(lines.at(-1) ?? '') as { pid: number; at: number }];
  });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test('a contract of three images stands by when all are there, starts anew when one ends, and leaves nothing', async () => {
  await put(wish());
  const first = await seen('standby', ({ observed }) => observed === 'standby');
  const [one, other] = began();
  if (one === undefined || other === undefined) throw new TypeError('the services beside it have not begun');
  expect([one.pid, other.pid].every(isAlive)).toBe(true);
  process.kill(one.pid, 'SIGKILL');
  const again = await seen('started anew', ({ observed, instance }) => {
    return observed === 'standby' && instance?.pid !== undefined && instance.pid !== first.instance?.pid;
  });
  expect(again.observed).toBe('standby');
  const pids = began().map(({ pid }) => pid);
  expect(pids.every(isAlive)).toBe(true);
  const { configuration: _none, ...service } = wish().service;
  const path = `/orchestrator/v1/service/${TWIN}`;
  await callJson(edge.http, { method: 'PUT', path, json: { ...wish(), service, twinOf: CONTRACT } });
  await until('a twin with the same services beside it', async () => {
    const { observed } = (await callJson(edge.http, { path })) as Seen;
    return observed === 'standby' ? true : undefined;
  });
  expect(began()).toHaveLength(4);
  await callJson(edge.http, { method: 'DELETE', path });
  await remove();
  expect(pids.some(isAlive)).toBe(false);
  expect(existsSync(join(edge.dir, 'orchestrator', 'services')) ? began() : []).toEqual([]);
});
