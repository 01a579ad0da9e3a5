import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { callJson, sleep, type HttpPeer } from '@antirio/host';
import { openStore } from './database.ts';
import { OVERDUE } from './downlink/overdue.ts';
import { createTestMote, type MoteSession } from './test-mote.ts';
import { folder, startScene, startService, until, type Scene } from './test-scene.ts';
import { startTestRing, type TestRing } from './test-surroundings.ts';

const mote = createTestMote(0xa1);
const { devEui, appKey } = mote;
const PREFIX = 'contract/c1/';
const range = { first: '02000000', last: '020000ff' };
const devices = [{ devEui, joinEui: mote.joinEui, name: 'joiner', activation: 'otaa' }];
const nonces = { rule: 'random', used: [[1, 3]] };

interface Kept {
  readonly requestId: string;
  readonly devAddr: string;
  readonly joinNonce: number;
  readonly joinRequest: string;
  readonly joinAccept: string;
}

/** The arbitrator of the edge that a guest stands in at: keeps what it is told of, and says yes or no. */
async function openArbitrator({ bus }: Scene) {
  const kept: Kept[] = [];
  const says = { ask: {} as object, keep: {} as object, asked: 0 };
  const answer = (requestId: string, what: object): Promise<void> =>
    bus.publish(`${PREFIX}antirio/join/answer`, JSON.stringify({ requestId, ...what }));
  await bus.subscribe(`${PREFIX}antirio/join/ask`, async (_, payload) => {
    says.asked += 1;
    const { requestId } = JSON.parse(Buffer.from(payload).toString()) as Kept;
    await answer(requestId, { range, slot: 2, above: 0, ...says.ask });
  });
  await bus.subscribe(`${PREFIX}antirio/join/keep`, async (_, payload) => {
    const told = JSON.parse(Buffer.from(payload).toString()) as Kept;
    kept.push(told);
    await answer(told.requestId, says.keep);
  });
  return { kept, says };
}

async function startGuest(scene: Scene, secrets: object = {}) {
  const ring = await startTestRing(scene.bus, 'contract-1', PREFIX);
  const secretsFile = join(folder, 'guest.json');
  const joins = [{ devEui, joinNonce: 40, devNonces: nonces }];
  writeFileSync(
    secretsFile,
    JSON.stringify({ keyVersion: 1, rootKeys: [{ devEui, appKey }], joins, ...secrets }),
  );
  const about = { dataDir: join(folder, 'guest'), prefix: PREFIX, ring: 'contract-1', secretsFile, devices };
  const start = () => startService(scene, { ...about, deduplicationMs: 20 });
  return { ring, start };
}

async function startHome(scene: Scene) {
  const secretsFile = join(folder, 'home.json');
  writeFileSync(secretsFile, JSON.stringify({ keyVersion: 1, rootKeys: [{ devEui, appKey }] }));
  return startService(scene, { secretsFile, devices, deduplicationMs: 20 });
}

const acceptIn = (ring: TestRing, index: number, devNonce: number): MoteSession => {
  const bytes = Buffer.from(ring.downlinks[index]?.items[0]?.phyPayload ?? '', 'base64');
  const session = mote.accept(new Uint8Array(bytes), devNonce);
  if (session === undefined) throw new Error('a JoinAccept that the device does not take');
  return session;
};

const bringHome = (http: HttpPeer, kept: readonly Kept[], more: object = {}): Promise<unknown> => {
  const joins = kept.map(({ joinRequest, joinAccept }) => ({ joinRequest, joinAccept, at: Date.now() }));
  return callJson(http, { method: 'POST', path: '/api/v3/lora/join', json: { range, joins, ...more } });
};

interface Shown {
  readonly joins: Record<string, number>;
  readonly joinsUnserved: { requests: number };
}

describe('a service that stands in for the devices’ own edge', () => {
  test('answers a join that is kept, above all that was used, and reads under it after a start', async () => {
    const scene = await startScene();
    const { kept } = await openArbitrator(scene);
    const { ring, start } = await startGuest(scene);
    const { service } = await start();
    // used at its own edge
    await ring.join(mote.joinRequest(2));
    await ring.join(mote.joinRequest(7));
    await until(() => ring.downlinks.length === 1);
    const session = acceptIn(ring, 0, 7);
    expect(kept).toMatchObject([{ devAddr: session.devAddr, joinNonce: session.joinNonce }]);
    expect(session.joinNonce).toBeGreaterThan(40);
    expect(Math.floor(session.joinNonce / 16) % 4).toBe(2);
    expect(session.devAddr >= range.first && session.devAddr <= range.last).toBe(true);
    await service.stop();
    await ring.hear(session.uplink(0), { live: false });
    const again = await start();
    await until(() => scene.core.events.has(session.idOf(0)));
    expect(((await again.status()) as unknown as Shown).joins).toMatchObject({ accepted: 0, replay: 0 });
    await ring.join(mote.joinRequest(7));
    await until(async () => ((await again.status()) as unknown as Shown).joins['replay'] === 1);
  });

  test('answers none that it may not, or that is not kept, and says so', async () => {
    const scene = await startScene();
    const { says, kept } = await openArbitrator(scene);
    const { ring, start } = await startGuest(scene);
    const { status } = await start();
    const shown = async (): Promise<Shown> => (await status()) as unknown as Shown;
    says.ask = { refused: 'this edge does not act for the device' };
    await ring.join(mote.joinRequest(7));
    await until(async () => (await shown()).joins['notOurs'] === 1);
    expect((await shown()).joinsUnserved).toMatchObject({ requests: 1 });
    says.ask = {};
    says.keep = { refused: 'it could not be kept' };
    // its DevNonce was not used up
    await sleep(50);
    await ring.join(mote.joinRequest(8));
    await until(async () => (await shown()).joins['notSent'] === 1);
    expect([kept.length, ring.downlinks.length]).toEqual([1, 0]);
  });

  test('without root keys asks nobody, and counts', async () => {
    const scene = await startScene();
    const { says } = await openArbitrator(scene);
    const { ring, start } = await startGuest(scene, { rootKeys: [], joins: [] });
    const { status } = await start();
    await ring.join(mote.joinRequest(7));
    await until(async () => ((await status()) as unknown as Shown).joinsUnserved.requests === 1);
    expect([says.asked, ring.downlinks.length]).toEqual([0, 0]);
  });
});

test('a command that a guest was given when it served before is not done at the next takeover', async () => {
  const scene = await startScene();
  const { start } = await startGuest(scene);
  const first = await start();
  const path = '/api/v3/lora/device/joiner/downlink';
  const json = { fPort: 7, payload: '01', confirmed: true };
  for (const _ of [1, 2]) await callJson(first.http, { method: 'POST', path, json });
  await first.service.stop();
  const db = openStore(join(folder, 'guest', 'device-lora', 'device-lora.db'));
  db.exec('UPDATE downlink SET createdAt = createdAt - 3600000 WHERE id = 1');
  db.close();
  const again = await start();
  const { downlinks } = (await callJson(again.http, { path })) as { downlinks: { state: string }[] };
  expect(downlinks).toMatchObject([{ state: 'queued' }, { state: 'failed', error: OVERDUE }]);
});

describe('joins that another edge answered', () => {
  test('are read and answered at home, although their device was never heard before', async () => {
    const scene = await startScene();
    const { kept } = await openArbitrator(scene);
    const guest = await startGuest(scene);
    const { service } = await guest.start();
    await guest.ring.join(mote.joinRequest(7));
    await until(() => guest.ring.downlinks.length === 1);
    const session = acceptIn(guest.ring, 0, 7);
    await service.stop();
    const first = await startHome(scene);
    expect(await bringHome(first.http, kept)).toMatchObject({ taken: 1, known: 0 });
    expect(scene.bridge.ring).toMatchObject({ devAddrs: [session.devAddr] });
    // killed before it was told that they are here
    await first.service.stop();
    const { http } = await startHome(scene);
    expect(await bringHome(http, kept)).toMatchObject({ taken: 0, known: 1 });
    await scene.ring.hear(session.uplink(0));
    await until(() => scene.core.events.has(session.idOf(0)));
    // the JoinRequest is good no more, and the next JoinNonce is higher than the other edge's
    await scene.ring.join(mote.joinRequest(7));
    await scene.ring.join(mote.joinRequest(8));
    await until(() => scene.ring.downlinks.length === 1);
    expect(acceptIn(scene.ring, 0, 8).joinNonce).toBeGreaterThan(session.joinNonce);
    await scene.ring.hear(session.uplink(1));
    await until(() => scene.core.events.has(session.idOf(1)));
  });

  test('are refused where they do not verify, by what they lack', async () => {
    const scene = await startScene();
    const { kept } = await openArbitrator(scene);
    const guest = await startGuest(scene);
    const { service } = await guest.start();
    await guest.ring.join(mote.joinRequest(7));
    await until(() => guest.ring.downlinks.length === 1);
    await service.stop();
    const { http, status } = await startHome(scene);
    const [good] = kept;
    if (good === undefined) throw new Error('nothing was kept');
    const b64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
    const forged = mote.joinRequest(9);
    forged[22] = (forged[22] ?? 0) ^ 1;
    const bad = [
      { ...good, joinRequest: b64(forged) },
      { ...good, joinAccept: b64(new Uint8Array(33)) },
      { ...good, joinRequest: b64(createTestMote(0xb1).joinRequest(9)) },
      { ...good, joinRequest: 'AAAA' },
      { ...good, joinAccept: '!!!' },
    ];
    expect(await bringHome(http, bad)).toEqual({
      ...{ taken: 0, known: 0, replay: 0, badNonce: 0, outOfRange: 0 },
      ...{ badMic: 1, badAccept: 2, unknown: 1, malformed: 1 },
    });
    const elsewhere = { range: { first: '03000000', last: '030000ff' } };
    expect(await bringHome(http, [good], elsewhere)).toMatchObject({ outOfRange: 1, taken: 0 });
    expect(await bringHome(http, [good])).toMatchObject({ taken: 1 });
    expect((await status()).state).toBe('reading');
  });
});
