import { afterEach, expect, test } from '@jest/globals';
import { silentLog, systemClock, waitFor } from '@antirio/host';
import { parseDataFrame } from '@antirio/lorawan';
import { openStore } from '../database.ts';
import { encryptAndQueue, openBlind, readByMote } from '../holder.fixture.ts';
import { devEui } from '../session.fixture.ts';
import { createClassC, type ClassC } from './class-c.ts';
import type { Outcome } from './plan.ts';

const times = { ackTimeoutMs: 40, quietMs: 1, betweenMs: 1, retryMs: 1, maxRetryMs: 5 };

const opened: ClassC[] = [];
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});

function openScene() {
  const blind = openBlind(openStore(':memory:'));
  const onAir: Uint8Array[] = [];
  const outcomes: Outcome[] = [];
  const classC = createClassC({
    ...{ ...blind, times, clock: systemClock, log: silentLog },
    listening: new Set([devEui]),
    sessionOf: () => blind.now.session,
    reach: { of: () => ['a'], note: () => undefined },
    transmitter: {
      transmit: (bytes) => {
        const outcome = outcomes.shift() ?? { status: 'OK' };
        if (outcome.status === 'OK') onAir.push(bytes);
        return Promise.resolve([outcome]);
      },
      close: () => Promise.resolve(),
    },
  });
  opened.push(classC);
  const until = async (condition: () => boolean): Promise<void> => {
    expect(await waitFor(systemClock, 30_000, () => (condition() ? true : undefined), 2)).toBe(true);
  };
  return { ...blind, classC, onAir, outcomes, until };
}

test('a device that listens at all times is sent it at once, a confirmed one again with the same bytes', async () => {
  const scene = openScene();
  const { id } = await encryptAndQueue(scene, 'open', { confirmed: true });
  scene.classC.poke(devEui);
  await scene.until(() => scene.state(id)?.state === 'failed');
  expect(scene.state(id)).toMatchObject({ error: 'not acknowledged', attempts: 3, fcnt: 0 });
  expect(scene.onAir.map((bytes) => parseDataFrame(bytes).fcnt16)).toEqual([0, 0, 0]);
  expect(readByMote(scene.onAir)).toEqual(['open']);
});

test('where its counter is gone or passed it ends, and is never sent with another', async () => {
  const scene = openScene();
  const foreign = await encryptAndQueue(scene, 'foreign');
  scene.outcomes.push({ status: 'INTERNAL_ERROR', refused: 'noBlock' });
  scene.classC.poke(devEui);
  await scene.until(() => scene.state(foreign.id)?.state === 'failed');
  const passed = await encryptAndQueue(scene, 'passed');
  scene.store.assign('01000001', 9, undefined, 0);
  scene.classC.poke(devEui);
  await scene.until(() => scene.state(passed.id)?.state === 'failed');
  for (const { id } of [foreign, passed]) expect(scene.state(id)?.error).toContain('encrypt it again');
  expect(scene.onAir).toEqual([]);
});
