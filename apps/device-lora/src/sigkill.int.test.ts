import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { sleep } from '@antirio/host';
import { checkAir, type Air } from './test-air.ts';
import { createTestMote, type MoteSession } from './test-mote.ts';
import { folder, onEnd, startScene, until, type Scene } from './test-scene.ts';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));
const mote = createTestMote(0xa1);
const KILLS = 3;

function startChild({ core, bridge }: Scene): ChildProcess {
  const run = join(folder, 'run');
  mkdirSync(run, { recursive: true });
  const secretsFile = join(run, 'root-keys.json');
  const rootKeys = [{ devEui: mote.devEui, appKey: mote.appKey }];
  writeFileSync(secretsFile, JSON.stringify({ keyVersion: 1, rootKeys }));
  const config = {
    bus: { socket: join(folder, 'bus.sock') },
    north: { coreData: { url: core.url }, coreMetadata: { url: core.url } },
    listen: { socket: join(run, 'svc.sock') },
    dataDir: join(folder, 'child'),
    ringUrl: bridge.url,
    devices: [{ devEui: mote.devEui, name: 'joiner', activation: 'otaa' }],
    secretsFile,
    deduplicationMs: 5,
  };
  writeFileSync(join(run, 'config.json'), JSON.stringify(config));
  const env = { ...process.env, NODE_OPTIONS: '', ANTIRIO_RUN_DIR: run };
  const child = spawn(process.execPath, [MAIN], { stdio: ['pipe', 'ignore', 'ignore'], env });
  onEnd(() => child.kill('SIGKILL'));
  return child;
}

/** What the commands of the service would have put on air; each JoinAccept with the DevNonce that it answers. */
function airOf({ ring }: Scene, contexts: ReadonlyMap<string, number>): Air {
  const air: Air = { data: [], accepts: [] };
  for (const { items } of ring.downlinks) {
    const [item] = items;
    const bytes = new Uint8Array(Buffer.from(item?.phyPayload ?? '', 'base64'));
    const devNonce = contexts.get(item?.txInfo.context ?? '') ?? -1;
    if (bytes[0] === 0x20) air.accepts.push({ bytes, devNonce });
    else air.data.push(bytes);
  }
  return air;
}

test('killed amid joins, uplinks and downlinks it uses no nonce or counter twice, and every frame is stored once', async () => {
  const scene = await startScene();
  const { bus, ring, core } = scene;
  // an arbitrator without a memory
  await bus.subscribe('antirio/fcntdown/request', async (_, payload) => {
    const request = JSON.parse(Buffer.from(payload).toString()) as { above: number };
    const first = Math.floor((request.above + 1) / 16) * 16;
    await bus.publish('antirio/fcntdown/grant', JSON.stringify({ ...request, first, last: first + 15 }));
  });
  const contexts = new Map<string, number>();
  const ids: string[] = [];
  let devNonce = 0;
  let session: MoteSession | undefined;
  let fcnt = 0;
  const contextOf = (nonce: number): string =>
    Buffer.from([0, 0, nonce >> 8, nonce & 0xff]).toString('base64');
  const joinAgain = async (): Promise<void> => {
    devNonce += 1;
    const context = contextOf(devNonce);
    contexts.set(context, devNonce);
    // twice, as an attacker would
    for (let i = 0; i < 2; i++) await ring.join(mote.joinRequest(devNonce), { context });
    await sleep(30);
    const answered = airOf(scene, contexts).accepts.find((accept) => accept.devNonce === devNonce);
    if (answered === undefined) return;
    session = mote.accept(answered.bytes, devNonce);
    fcnt = 0;
  };
  const speak = async (): Promise<void> => {
    if (session === undefined) return;
    ids.push(session.idOf(fcnt));
    await ring.hear(session.uplink(fcnt, { confirmed: true }));
    fcnt += 1;
    await sleep(8);
  };
  for (let round = 0; round < KILLS; round++) {
    const child = startChild(scene);
    const before = ring.downlinks.length;
    const enough = before + 12 + round * 3;
    await until(async () => {
      if (session === undefined || fcnt >= 6) await joinAgain();
      await speak();
      return ring.downlinks.length >= enough && airOf(scene, contexts).data.length > 4 * (round + 1);
    });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }
  startChild(scene);
  await until(() => ids.every((id) => core.events.has(id)));
  expect(core.events.size).toBe(new Set(ids).size);
  const air = airOf(scene, contexts);
  expect(air.accepts.length).toBeGreaterThan(3);
  expect(air.data.length).toBeGreaterThan(10);
  checkAir(air, mote);
});
