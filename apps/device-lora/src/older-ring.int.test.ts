import { expect, test } from '@jest/globals';
import { idOf, startScene, startService, until, uplink } from './test-scene.ts';

test('a ring brought back from an older copy is read again, as it gives numbers of before to new frames', async () => {
  const scene = await startScene();
  const { status } = await startService(scene);
  const { ring, core } = scene;
  for (const fcnt of [1, 2, 3]) await ring.hear(uplink(fcnt));
  await until(async () => (await status()).cursor === 3);
  ring.bringBack(1);
  await ring.hear(uplink(4));
  await until(async () => (await status()).cursor === 2);
  expect([...core.events.keys()].sort()).toEqual([1, 2, 3, 4].map(idOf).sort());
  expect(core.doubled).toBe(0);
});
