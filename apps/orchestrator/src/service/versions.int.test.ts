import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { callJson } from '@antirio/host';
import { openTestEdge, secretsInMemory, until, type TestEdge } from '../testing/edge.ts';
import { migrationOf } from '../testing/stub-rooms.ts';
import { writeTinyService } from '../testing/tiny-service.ts';

const SECRETS = {
  keyVersion: 4,
  sessions: [{ devEui: '0011223344556677', devAddr: '26011f4a', nwkSKey: 'feedbeef' }],
};
const START = { serviceSilenceMs: 15_000, switchOverMs: 10_000 };

interface Version {
  readonly serviceId: string;
  readonly observed: string;
  readonly imageCid: string;
  readonly imageId?: string;
  readonly instance?: { readonly pid?: number };
  readonly serviceStatus?: {
    readonly state: string;
    readonly image: string;
    readonly keyVersion?: number;
    readonly accepted?: number;
  };
}
interface Seen extends Version {
  readonly next?: Version;
  readonly lastSwitch?: { readonly outcome: string; readonly to: string; readonly reason?: string };
}
/** A status, or a downlink. */
interface Heard {
  readonly image: string;
  readonly state?: string;
  readonly seq?: number;
}
interface Fetched {
  readonly contractId: string;
  readonly versionOf?: string;
  readonly status: string;
}

let edge: TestEdge;
let count = 0;
/** What migration holds: archives by the name of the fetch. */
const held = new Map<string, string>();

beforeAll(async () => {
  edge = await openTestEdge();
  for (const image of ['one', 'two', 'broken', 'mute', 'picky', 'fresh'])
    await writeTinyService(archiveOf(image), image);
  edge.rooms.migration.answer = migrationOf(held, archiveOf, configurationOf);
  edge.rooms.coreData.answer = () => ({ status: 201, json: {} });
  await edge.start(START);
});
afterAll(() => edge.close());

/** The customer says of one image that it cannot go on from another's data. */
const configurationOf = (archive: string): object => (archive.includes('fresh') ? { data: 'fresh' } : {});
const archiveOf = (image: string): string => join(edge.dir, `${image}.tar`);
const CONTRACTS = '/orchestrator/service_provider/contract';
const path = (id: string): string => `/orchestrator/v1/service/${id}`;
const get = async (id: string): Promise<Seen> => (await callJson(edge.http, { path: path(id) })) as Seen;
const fetched = async (id: string): Promise<Fetched[]> =>
  ((await callJson(edge.http, { path: CONTRACTS })) as Fetched[]).filter(
    (one) => one.contractId === id || one.versionOf === id,
  );

/** The customer sends a version of its image, which is fetched and loaded. */
async function sent(contractId: string, image: string): Promise<void> {
  const json = {
    contractId,
    edgeId: 'theirs',
    imageName: 'lora',
    imageHash: image,
    config: `config-${image}`,
  };
  await callJson(edge.http, { method: 'POST', path: CONTRACTS, json });
}

const put = (
  id: string,
  desired: string,
  more: object = {},
  image = 'one',
  service: object = {},
): Promise<unknown> =>
  callJson(edge.http, {
    method: 'PUT',
    path: path(id),
    json: {
      desired,
      standby: 'hot',
      imageCid: image,
      archive: archiveOf(image),
      service: {
        serviceName: 'device-lora',
        devices: [{ name: 'mote-1', profileName: 'thermometer' }],
        ...service,
      },
      ...more,
    },
  });

const seenAs = (id: string, what: string, is: (seen: Seen) => boolean): Promise<Seen> =>
  until(what, async () => {
    const seen = await get(id);
    return is(seen) ? seen : undefined;
  });

async function contract(desired: 'standby' | 'active', service: object = {}): Promise<string> {
  const id = `v-${process.pid}-${++count}`;
  await sent(id, 'one');
  await until('loaded', async () => ((await fetched(id))[0]?.status === 'LOADED' ? true : undefined));
  await put(id, desired, desired === 'active' ? { secrets: SECRETS } : {}, 'one', service);
  await seenAs(id, desired, ({ observed }) => observed === desired);
  return id;
}

/** The service is told something, and says that it will do it. */
async function told(id: string, times: number): Promise<void> {
  for (let n = 0; n < times; n++) {
    const asked = `/orchestrator/v1/foreign/${id}/api/v3/device/name/${id}.mote-1/temperature`;
    const answer = await edge.http.call({ method: 'PUT', path: asked, json: { temperature: '1' } });
    expect(answer.status).toBe(200);
  }
}

/** What versions say and send while `work` goes on, in the order in which it comes. */
async function heardWhile(id: string, work: (heard: readonly Heard[]) => Promise<void>): Promise<Heard[]> {
  const heard: Heard[] = [];
  const filters = ['antirio/service/+/status', 'antirio/service/+/+/status', 'gateway/all/command/down'];
  const listening = await Promise.all(
    filters.map((filter) =>
      edge.bus.subscribe(`contract/${id}/${filter}`, (_topic, payload) => {
        heard.push(JSON.parse(Buffer.from(payload).toString()) as Heard);
      }),
    ),
  );
  await work(heard);
  for (const subscription of listening) await subscription.close();
  return heard;
}

const images = (): string[] => readdirSync(join(edge.dir, 'orchestrator', 'runtime', 'images'));

async function ended(id: string): Promise<void> {
  await callJson(edge.http, { method: 'DELETE', path: path(id) });
  await until('gone', async () =>
    (await edge.http.call({ path: path(id) })).status === 404 ? true : undefined,
  );
  await until('let go', async () =>
    (await fetched(id)).every(({ status }) => status === 'ENDED') ? true : undefined,
  );
}

/** What is left of a contract anywhere. */
const leftOf = (id: string): unknown => ({
  fetches: [...held.keys()].filter((key) => key.startsWith(id)),
  images: images(),
  instances: readdirSync(join(edge.dir, 'orchestrator', 'runtime', 'instances')),
  data: readdirSync(join(edge.dir, 'orchestrator', 'services')),
  secrets: secretsInMemory('feedbeef') === undefined ? [] : ['keys'],
});
const NOTHING = { fetches: [], images: [], instances: [], data: [], secrets: [] };

describe('a newer version of a service', () => {
  test('comes up beside the old one, goes on from its data, and only one of them ever acts', async () => {
    const frames = { frames: true };
    const id = await contract('active', frames);
    const first = await get(id);
    // A ring that has always one more
    const giving = await edge.bus.subscribe(`contract/${id}/frames/ask`, (_topic, payload) =>
      edge.bus.publish(`contract/${id}/frames/give`, String(Number(Buffer.from(payload).toString()) + 1)),
    );
    await told(id, 2);
    const all = await heardWhile(id, async (heard) => {
      await until('it sends', () => (heard.some(({ seq }) => seq !== undefined) ? true : undefined));
      await sent(id, 'two');
      const both = await seenAs(id, 'both', ({ next }) => next?.instance?.pid !== undefined);
      expect(both).toMatchObject({ serviceId: id, imageCid: 'one', next: { imageCid: 'two' } });
      // The arbitrator goes on asking for what the contract's terms say
      await put(id, 'active', { secrets: SECRETS }, 'one', frames);
      await seenAs(id, 'switched', ({ imageCid, next }) => imageCid === 'two' && next === undefined);
      const sends = ({ image, seq }: Heard): boolean => image === 'two' && seq !== undefined;
      await until('the new one sends', () => (heard.some(sends) ? true : undefined));
    });
    await giving.close();
    const after = await get(id);
    expect(after).toMatchObject({ observed: 'active', lastSwitch: { outcome: 'done', to: 'two' } });
    expect(after.serviceStatus).toMatchObject({ image: 'two', state: 'reading', keyVersion: 4, accepted: 2 });
    expect(after.instance?.pid).not.toBe(first.instance?.pid);
    await until('the old one let go', async () =>
      (await fetched(id)).find(({ contractId }) => contractId === id)?.status === 'ENDED' ? true : undefined,
    );
    // Up to some moment one alone reads and sends, from there on the other one, which begins where that one ended
    const acting = all.filter(({ seq, state }) => seq !== undefined || state === 'reading');
    const turn = acting.findIndex(({ image }) => image === 'two');
    expect(turn).toBeGreaterThan(0);
    expect([...new Set(acting.slice(0, turn).map(({ image }) => image))]).toEqual(['one']);
    expect([...new Set(acting.slice(turn).map(({ image }) => image))]).toEqual(['two']);
    const ofOne = all.flatMap(({ image, seq }) => (image === 'one' && seq !== undefined ? [seq] : []));
    const [begins] = all.flatMap(({ image, seq }) => (image === 'two' && seq !== undefined ? [seq] : []));
    // What was sent last may not have been written down before it was stopped
    expect([0, 1]).toContain((begins ?? 0) - (ofOne.at(-1) ?? 0));
    expect(held.has(id)).toBe(false);
    expect(images()).toEqual([String(after.imageId).replace('sha256:', '')]);
    expect(existsSync(join(edge.dir, 'orchestrator', 'services', id))).toBe(false);

    await put(id, 'standby', {}, 'two');
    await seenAs(id, 'stands down', ({ observed }) => observed === 'standby');
    await ended(id);
    expect(leftOf(id)).toEqual(NOTHING);
  });

  test.each([
    ['broken', 'ended by itself'],
    ['mute', 'not ready after'],
  ])('that is %s is given up, and the old one never stopped', async (image, reason) => {
    const id = await contract('active');
    const { instance } = await get(id);
    await sent(id, image);
    const after = await seenAs(id, 'given up', ({ lastSwitch }) => lastSwitch?.outcome === 'failed');
    expect(after).toMatchObject({ observed: 'active', imageCid: 'one', lastSwitch: { to: image } });
    expect(after.lastSwitch?.reason).toContain(reason);
    // Its customer learns why, and nobody else
    const standing = (peer: string) =>
      edge.http.call({ path: `${CONTRACTS}/${id}`, headers: { 'x-antirio-peer': peer } });
    expect((await standing('theirs')).json()).toMatchObject({
      contractId: id,
      versions: [
        { imageHash: 'one', config: 'config-one', status: 'LOADED', role: 'current' },
        { imageHash: image, givenUp: { outcome: 'failed', reason: after.lastSwitch?.reason } },
      ],
    });
    expect((await standing('another')).status).toBe(404);
    expect(after.instance?.pid).toBe(instance?.pid);
    await until('its fetch let go', () => (held.size === 1 ? true : undefined));
    await until('its image gone', () => (images().length === 1 ? true : undefined));
    expect((await get(id)).next).toBeUndefined();
    await ended(id);
    expect(leftOf(id)).toEqual(NOTHING);
  });

  test('that does not run with the data of the old one is given up in the end: that one goes on, and keeps them', async () => {
    const id = await contract('active');
    await told(id, 1);
    await sent(id, 'picky');
    const after = await seenAs(id, 'given up', ({ lastSwitch }) => lastSwitch?.outcome === 'failed');
    expect(after.lastSwitch?.reason).toContain('ended by itself');
    const again = await seenAs(id, 'goes on', ({ observed }) => observed === 'active');
    expect(again).toMatchObject({ imageCid: 'one', serviceStatus: { image: 'one', accepted: 1 } });
    await ended(id);
    expect(leftOf(id)).toEqual(NOTHING);
  });

  test('that its customer says begins with nothing shows what that loses, and begins with nothing', async () => {
    const id = await contract('active');
    await told(id, 3);
    await sent(id, 'fresh');
    const before = await seenAs(id, 'both', ({ next }) => next !== undefined);
    expect(before.next).toMatchObject({ keepsData: false });
    const after = await seenAs(
      id,
      'switched',
      ({ imageCid, next }) => imageCid === 'fresh' && next === undefined,
    );
    expect(after).toMatchObject({ observed: 'active', lastSwitch: { outcome: 'done' } });
    expect(after.serviceStatus).toMatchObject({ image: 'fresh', accepted: 0 });
    await ended(id);
    expect(leftOf(id)).toEqual(NOTHING);
  });

  test('takes a standby’s place as soon as it runs in shadow, and goes cold where that is wanted', async () => {
    const id = await contract('standby');
    await put(id, 'standby', { standby: 'cold' });
    await sent(id, 'two');
    const after = await seenAs(id, 'switched', ({ imageCid }) => imageCid === 'two');
    expect(after.lastSwitch).toMatchObject({ outcome: 'done' });
    await until('cold', async () => ((await get(id)).instance === undefined ? true : undefined));
    await ended(id);
    expect(leftOf(id)).toEqual(NOTHING);
  });

  test('that is on its way when this edge restarts goes on, and one whose contract ends leaves nothing', async () => {
    const id = await contract('active');
    await sent(id, 'two');
    await seenAs(id, 'both', ({ next }) => next !== undefined);
    await edge.orchestrator.stop();
    await edge.start(START);
    await put(id, 'active', { secrets: SECRETS });
    const after = await seenAs(
      id,
      'switched',
      ({ imageCid, observed }) => imageCid === 'two' && observed === 'active',
    );
    expect(after.lastSwitch).toMatchObject({ outcome: 'done' });

    await sent(id, 'mute');
    await seenAs(id, 'both', ({ next }) => next?.imageCid === 'mute');
    await ended(id);
    expect(leftOf(id)).toEqual(NOTHING);
  });

  test('is the same customer’s image of the same name, or a conflict', async () => {
    const id = await contract('standby');
    const json = { contractId: id, edgeId: 'theirs', imageName: 'lora', imageHash: 'two', config: 'c' };
    for (const other of [{ edgeId: 'another' }, { imageName: 'another' }]) {
      const answer = await edge.http.call({ method: 'POST', path: CONTRACTS, json: { ...json, ...other } });
      expect(answer.status).toBe(409);
    }
    await ended(id);
  });
});
