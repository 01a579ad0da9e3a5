import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { callJson, repeat, silentLog, type Repeating } from '@antirio/host';
import { openTestEdge, secretsInMemory, until, type TestEdge } from '../testing/edge.ts';
import { orchestratorProcess, type RoomProcess } from '../testing/room-process.ts';
import { migrationOf } from '../testing/stub-rooms.ts';
import { writeTinyService } from '../testing/tiny-service.ts';

const ID = 'k';
/** Of this run alone: others look for theirs in the same memory. */
const KEY = `deadfee1${process.pid.toString(16).padStart(8, '0')}`;
const SECRETS = {
  keyVersion: 4,
  sessions: [{ devEui: '0011223344556677', devAddr: '26011f4a', nwkSKey: KEY }],
};
const PATH = `/orchestrator/v1/service/${ID}`;
const CONTRACTS = '/orchestrator/service_provider/contract';
const PREFIX = `contract/${ID}/`;

interface Version {
  readonly serviceId: string;
  readonly observed: string;
  readonly desired: string;
  readonly imageCid: string;
  readonly imageId?: string;
  readonly instance?: { readonly pid?: number };
  readonly serviceStatus?: { readonly state: string; readonly accepted: number };
}
interface Seen extends Version {
  readonly next?: Version & { readonly data?: string };
}
interface Down {
  readonly image: string;
  readonly pid: number;
  readonly seq: number;
}

let edge: TestEdge;
let room: RoomProcess;
let hearing: Repeating;
/** What migration holds: archives by the name of the fetch. */
const held = new Map<string, string>();
/** Newest frame of the ring. */
let head = 0;
const stored = new Set<number>();
const downs: Down[] = [];
/** Cursors behind what was read before: a version that begins anew reads all of its ring again. */
const steppedBack: [number, number][] = [];
let furthest = 0;

const archiveOf = (image: string): string => join(edge.dir, `${image}.tar`);
const services = (): string[] => readdirSync(join(edge.dir, 'orchestrator', 'services'));
const runtimeOf = (what: string): string[] => readdirSync(join(edge.dir, 'orchestrator', 'runtime', what));

beforeAll(async () => {
  edge = await openTestEdge();
  for (let n = 1; n <= 7; n++) await writeTinyService(archiveOf(`v${n}`), `v${n}`);
  edge.rooms.migration.answer = migrationOf(held, archiveOf);
  edge.rooms.coreData.answer = ({ text }) => {
    const seq = /-9000-(\d{12})/.exec(text)?.[1];
    if (seq !== undefined) stored.add(Number(seq));
    return { status: 201, json: {} };
  };
  await edge.bus.subscribe(`${PREFIX}frames/ask`, async (_topic, payload) => {
    const cursor = Number(Buffer.from(payload).toString());
    if (cursor < furthest - 1) steppedBack.push([cursor, furthest]);
    furthest = Math.max(furthest, cursor);
    if (cursor < head) await edge.bus.publish(`${PREFIX}frames/give`, String(cursor + 1));
  });
  await edge.bus.subscribe(`${PREFIX}gateway/all/command/down`, (_topic, payload) => {
    downs.push(JSON.parse(Buffer.from(payload).toString()) as Down);
  });
  // The ring goes on hearing whatever happens to the orchestrator
  hearing = repeat('hear', 250, silentLog, () => {
    head++;
  });
  room = await orchestratorProcess(edge, { SWITCH_OVER_MS: 60_000, SERVICE_SILENCE_MS: 5000 });
  await room.start();
});
afterAll(async () => {
  await hearing.stop();
  await room.kill();
  room.http.close();
  await edge.close();
});

const get = async (): Promise<Seen> => (await callJson(room.http, { path: PATH })) as Seen;

async function sent(image: string): Promise<void> {
  const json = {
    ...{ contractId: ID, edgeId: 'theirs', imageName: 'lora' },
    ...{ imageHash: image, config: `config-${image}` },
  };
  await callJson(room.http, { method: 'POST', path: CONTRACTS, json });
}

const put = (): Promise<unknown> =>
  callJson(room.http, {
    method: 'PUT',
    path: PATH,
    json: {
      ...{ desired: 'active', standby: 'hot', imageCid: 'v1', archive: archiveOf('v1'), secrets: SECRETS },
      service: {
        serviceName: 'device-lora',
        // So that there is a moment to kill it at
        ...{ frames: true, slowMs: 300 },
        devices: [{ name: 'mote-1', profileName: 'thermometer' }],
      },
    },
  });

/** The service is told something, and says that it will do it. */
async function told(): Promise<void> {
  const path = `/orchestrator/v1/foreign/${ID}/api/v3/device/name/${ID}.mote-1/temperature`;
  const answer = await room.http.call({ method: 'PUT', path, json: { temperature: '1' } });
  expect(answer.status).toBe(200);
}

async function begun(): Promise<void> {
  await sent('v1');
  await until('loaded', async () => {
    const all = (await callJson(room.http, { path: CONTRACTS })) as { status: string }[];
    return all[0]?.status === 'LOADED' ? true : undefined;
  });
  await put();
  await until('active', async () => ((await get()).observed === 'active' ? true : undefined));
}

/** Goes on from the disk, with keys that the arbitrator gives again when they are asked for. */
async function switched(image: string): Promise<Seen> {
  return until(
    `switched to ${image}`,
    async () => {
      const seen = await get();
      if (seen.observed === 'needsSecrets') await put();
      const { imageCid, observed, next } = seen;
      return imageCid === image && observed === 'active' && next === undefined ? seen : undefined;
    },
    45_000,
  );
}

/** Just the current version is left, and it acts alone: pids of others say nothing any more. */
async function onlyOne({ serviceId, imageId, instance }: Seen): Promise<void> {
  const expected = {
    fetches: [serviceId],
    images: [String(imageId).replace('sha256:', '')],
    instances: [serviceId],
    data: [serviceId],
  };
  const left = () => ({
    fetches: [...held.keys()],
    images: runtimeOf('images'),
    instances: runtimeOf('instances'),
    data: services(),
  });
  await until('cleaned up', () =>
    JSON.stringify(left()) === JSON.stringify(expected) ? true : undefined,
  ).catch(() => expect(left()).toEqual(expected));
  const from = downs.length;
  const heard = head;
  await until('all that was heard is stored', () => (isStored(heard) ? true : undefined), 45_000);
  await until('something is answered', () => (downs.length > from ? true : undefined), 45_000);
  expect([...new Set(downs.slice(from).map(({ pid }) => pid))]).toEqual([instance?.pid]);
}

const isStored = (upTo: number): boolean => {
  for (let seq = 1; seq <= upTo; seq++) if (!stored.has(seq)) return false;
  return true;
};

const loadedVersions = async (): Promise<number> => {
  const all = (await callJson(room.http, { path: CONTRACTS })) as { status: string }[];
  return all.filter(({ status }) => status === 'LOADED').length;
};

const KILLS: readonly [string, (before: Seen) => Promise<boolean>][] = [
  ['before the next version is begun', async () => (await loadedVersions()) === 1],
  ['while the next version is loaded', async () => (await get()).next !== undefined],
  ['while both are stopped', async () => (await get()).next?.data === 'taken'],
  ['once the next version has the data', async () => (await get()).next?.data === 'given'],
  ['once the next version takes over', async () => (await get()).next?.desired === 'active'],
  // The one before is on its way out, and may be halfway gone
  [
    'once the next version has the place of the one before',
    async ({ serviceId }) => (await get()).serviceId !== serviceId,
  ],
];

test('killed with SIGKILL anywhere in a change of versions it goes on from its disk: one version acts, all is read, nothing is left', async () => {
  await begun();
  for (const [place, [what, isNow]] of KILLS.entries()) {
    const image = `v${place + 2}`;
    const before = await get();
    await told();
    await sent(image);
    const killed = await until(what, async () => ((await isNow(before)) ? true : undefined), 30_000, 10);
    await room.kill();
    expect(killed).toBe(true);
    await room.start();
    const after = await switched(image);
    await onlyOne(after);
    // Whatever it was told, in whichever version, it still means to do
    expect(after.serviceStatus?.accepted).toBe(place + 1);
  }
  expect(steppedBack).toEqual([]);
  await callJson(room.http, { method: 'DELETE', path: PATH });
  await until('gone', async () => ((await room.http.call({ path: PATH })).status === 404 ? true : undefined));
  await until('let go', () => (held.size + runtimeOf('images').length === 0 ? true : undefined));
  expect([runtimeOf('instances'), services(), secretsInMemory(KEY)]).toEqual([[], [], undefined]);
});
