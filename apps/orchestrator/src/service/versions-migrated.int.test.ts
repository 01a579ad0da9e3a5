import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { callJson } from '@antirio/host';
import { openTestEdge, until, type TestEdge } from '../testing/edge.ts';
import { orchestratorProcess, roomProcess, type RoomProcess } from '../testing/room-process.ts';
import { writeTinyService } from '../testing/tiny-service.ts';

const ID = 'm';
const SECRETS = {
  keyVersion: 4,
  sessions: [{ devEui: '0011223344556677', devAddr: '26011f4a', nwkSKey: 'ab' }],
};
const SERVICE = `/orchestrator/v1/service/${ID}`;
const CONTRACTS = '/orchestrator/service_provider/contract';
const OBJECTS = '/api/v3/storage/object';

interface Fetched {
  readonly contractId: string;
  readonly state: string;
  readonly archive?: string;
}
interface Seen {
  readonly serviceId: string;
  readonly observed: string;
  readonly imageCid: string;
  readonly next?: unknown;
  readonly serviceStatus?: { readonly image: string; readonly state: string };
}

let edge: TestEdge;
let between: Server;
/** The customer's store, and store, migration and orchestrator of the provider. */
let theirs: RoomProcess;
let store: RoomProcess;
let migration: RoomProcess;
let orchestrator: RoomProcess;

/** The way to the customer's blocks, as edge2edge makes it. */
function openBetween(): Server {
  return createServer((incoming, outgoing) => {
    const path = /^\/edge2edge\/peer\/A\/filecoin-interface(\/.*)$/.exec(incoming.url ?? '')?.[1];
    if (path === undefined) {
      outgoing.writeHead(403).end();
      return;
    }
    const asked = request(theirs.url + path, { headers: { 'x-antirio-peer': 'B' } }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 500);
      answer.pipe(outgoing);
    });
    asked.on('error', () => outgoing.writeHead(503).end());
    asked.end();
  });
}

beforeAll(async () => {
  edge = await openTestEdge();
  edge.rooms.coreData.answer = () => ({ status: 201, json: {} });
  const customer = join(edge.dir, 'customer');
  mkdirSync(join(customer, 'images'), { recursive: true });
  between = openBetween().listen(0, '127.0.0.1');
  await once(between, 'listening');
  const EDGE2EDGE_URL = `http://127.0.0.1:${(between.address() as AddressInfo).port}`;
  const quick = { EDGE2EDGE_URL, FIRST_RETRY_MS: 10, MAX_RETRY_MS: 100 };
  theirs = await roomProcess('filecoin-interface', { ...quick, DATA_DIR: customer, EDGE_ID: 'A' });
  const ours = { ...quick, DATA_DIR: edge.dir, EDGE_ID: 'B' };
  store = await roomProcess('filecoin-interface', ours);
  migration = await roomProcess('migration', { ...ours, FILECOIN_INTERFACE_URL: store.url, POLL_MS: 20 });
  orchestrator = await orchestratorProcess(edge, { MIGRATION_URL: migration.url, SERVICE_SILENCE_MS: 5000 });
  await Promise.all([theirs, store, migration, orchestrator].map((room) => room.start()));
});
afterAll(async () => {
  for (const room of [orchestrator, migration, store, theirs]) {
    await room.kill();
    room.http.close();
  }
  between.closeAllConnections();
  between.close();
  await edge.close();
});

/** The customer stores a version, and sends its CIDs. */
async function sent(image: string): Promise<{ imageHash: string; config: string }> {
  await writeTinyService(join(edge.dir, 'customer', 'images', `${image}.tar`), image);
  const keep = async (json: object): Promise<string> => {
    const answer = await callJson(theirs.http, { method: 'POST', path: OBJECTS, json, timeoutMs: 30_000 });
    return (answer as { object: { cid: string } }).object.cid;
  };
  const configuration = {
    ...{ service_customer_id: 'A', serviceName: image },
    ...{ activationEvent: 'offline', event: { interval: '20', ip: '' } },
  };
  const imageHash = await keep({ fileName: `${image}.tar`, kind: 'image' });
  const config = await keep({ json: configuration });
  const json = { contractId: ID, edgeId: 'A', imageName: 'lora', imageHash, config };
  await callJson(orchestrator.http, { method: 'POST', path: CONTRACTS, json });
  return { imageHash, config };
}

const fetched = async (): Promise<Fetched> =>
  (await callJson(migration.http, { path: `/migration/v1/fetch/${ID}` })) as Fetched;
const seen = async (): Promise<Seen> => (await callJson(orchestrator.http, { path: SERVICE })) as Seen;

/** As the arbitrator asks for it: with the terms of the contract, which go on naming the first image. */
async function wanted(imageCid: string, archive: string | undefined): Promise<void> {
  const service = {
    serviceName: 'device-lora',
    devices: [{ name: 'mote-1', profileName: 'thermometer' }],
  };
  const json = { desired: 'active', standby: 'hot', imageCid, archive, service, secrets: SECRETS };
  await callJson(orchestrator.http, { method: 'PUT', path: SERVICE, json });
}

const acts = (imageCid: string, again?: () => Promise<void>): Promise<Seen> =>
  until(
    `${imageCid} acts`,
    async () => {
      const now = await seen();
      if (now.observed === 'needsSecrets') await again?.();
      return now.imageCid === imageCid && now.observed === 'active' && now.next === undefined
        ? now
        : undefined;
    },
    45_000,
  );

/** CIDs of what the provider's store holds. */
async function kept(): Promise<string[]> {
  const answer = await callJson(store.http, { path: `${OBJECTS}?limit=100` });
  return (answer as { objects: { cid: string }[] }).objects.map(({ cid }) => cid).sort();
}

const leftAs = async (id: string, cids: readonly string[]): Promise<void> => {
  const archives = cids.length === 0 ? [] : [`contract-${id}.tar`];
  const wantedNow = JSON.stringify([[...cids].sort(), archives]);
  await until('the version before is let go', async () => {
    const there = readdirSync(join(edge.dir, 'images')).filter((name) => name.endsWith('.tar'));
    return JSON.stringify([await kept(), there]) === wantedNow ? true : undefined;
  });
};

test('update after update comes through the real migration, also over a SIGKILL, and the store keeps the newest alone', async () => {
  const one = await sent('one');
  await until('there', async () => {
    const is = await fetched().catch(() => undefined);
    return is?.state === 'DOWNLOADED' ? true : undefined;
  });
  await wanted(one.imageHash, (await fetched()).archive);
  expect(await acts(one.imageHash)).toMatchObject({ serviceId: ID, serviceStatus: { image: 'one' } });
  await leftAs(ID, [one.imageHash, one.config]);

  const two = await sent('two');
  const second = await acts(two.imageHash);
  expect(second).toMatchObject({ serviceStatus: { image: 'two', state: 'reading' } });
  await leftAs(second.serviceId, [two.imageHash, two.config]);
  expect(await fetched()).toMatchObject({ contractId: second.serviceId, state: 'DOWNLOADED' });

  const three = await sent('three');
  await until('the third one is there', async () => ((await seen()).next === undefined ? undefined : true));
  await orchestrator.kill();
  await orchestrator.start();
  const third = await acts(three.imageHash, async () => wanted(one.imageHash, (await fetched()).archive));
  expect(third).toMatchObject({ serviceStatus: { image: 'three', state: 'reading' } });
  await leftAs(third.serviceId, [three.imageHash, three.config]);

  await callJson(orchestrator.http, { method: 'DELETE', path: SERVICE });
  await leftAs(ID, []);
  expect(existsSync(join(edge.dir, 'orchestrator', 'services', third.serviceId))).toBe(false);
});
