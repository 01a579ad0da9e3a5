import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { callJson, httpPeer, sleep } from '@antirio/host';
import {
  device,
  folder,
  idOf,
  onEnd,
  startScene,
  until,
  uplink,
  type Scene,
  type Status,
} from './test-scene.ts';

describe('as the image of a customer', () => {
  const main = fileURLToPath(new URL('./main.ts', import.meta.url));
  const startChild = ({ core }: Scene): ChildProcess => {
    const run = join(folder, 'run');
    mkdirSync(run, { recursive: true });
    const config = {
      bus: { socket: join(folder, 'bus.sock') },
      north: { coreData: { url: core.url }, coreMetadata: { url: core.url } },
      listen: { socket: join(run, 'svc.sock') },
      dataDir: join(folder, 'child'),
      devices: [device],
      secretsFile: join(folder, 'secrets.json'),
    };
    writeFileSync(join(run, 'config.json'), JSON.stringify(config));
    const env = { ...process.env, NODE_OPTIONS: '', ANTIRIO_RUN_DIR: run };
    const child = spawn(process.execPath, [main], { stdio: ['pipe', 'ignore', 'ignore'], env });
    onEnd(() => child.kill('SIGKILL'));
    return child;
  };
  const ended = (child: ChildProcess): Promise<number | null> =>
    new Promise((resolve) => {
      child.once('exit', (code) => resolve(code));
    });

  test('killed at any moment it goes on from its disk: every frame of the ring is stored, once', async () => {
    const scene = await startScene();
    const { ring, core } = scene;
    let fcnt = 0;
    for (let round = 0; round < 3; round++) {
      const child = startChild(scene);
      const before = core.events.size;
      await until(async () => {
        fcnt += 1;
        await ring.hear(uplink(fcnt));
        await sleep(5);
        return core.events.size > before + 20 + round * 7;
      }, 15_000);
      const exit = ended(child);
      child.kill('SIGKILL');
      await exit;
      for (let i = 0; i < 5; i++) await ring.hear(uplink((fcnt += 1)));
    }
    const child = startChild(scene);
    await until(() => core.events.size === fcnt);
    expect([...core.events.keys()].sort()).toEqual(
      Array.from({ length: fcnt }, (_, i) => idOf(i + 1)).sort(),
    );
    const socket = httpPeer({ socketPath: join(folder, 'run', 'svc.sock') });
    onEnd(() => socket.close());
    await until(
      async () => ((await callJson(socket, { path: '/api/v3/status' })) as Status).cursor === ring.last,
    );
    const exit = ended(child);
    child.stdin?.end();
    expect(await exit).toBe(0);
  });

  test('SIGTERM ends it in order; a wrong configuration ends it at once', async () => {
    const scene = await startScene();
    const child = startChild(scene);
    await scene.ring.hear(uplink(1));
    await until(() => scene.core.events.size === 1);
    const exit = ended(child);
    child.kill('SIGTERM');
    expect(await exit).toBe(0);
    const run = join(folder, 'wrong');
    mkdirSync(run);
    writeFileSync(join(run, 'config.json'), JSON.stringify({ dataDir: folder, nonsense: 1 }));
    const wrong = spawn(process.execPath, [main], {
      stdio: 'ignore',
      env: { ...process.env, NODE_OPTIONS: '', ANTIRIO_RUN_DIR: run },
    });
    expect(await ended(wrong)).toBe(1);
  });
});
