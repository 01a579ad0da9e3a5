import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { rmSync } from 'node:fs';
import { shareProducts } from '@antirio/demo';
import { runDroneDemo, type DroneResult } from '@antirio/demo/drone';
import { createTold } from './support/told.ts';

describe('a drone along three edges of different owners', () => {
  const told = createTold();
  const products = shareProducts();
  let result: DroneResult;

  beforeAll(async () => {
    // every window is open when contracts are READY at the latest: until then the drone keeps its frames
    const options = { seed: 'e2e/drone', lead: 20, leg: 2, overlap: 1.5, fps: 10 };
    result = await runDroneDemo(options, { stage: told.stage, build: products.build });
  });
  afterAll(() => {
    products.remove();
    rmSync(result.folder, { recursive: true, force: true });
  });

  test('every frame is acknowledged, and at home exactly once', () => {
    const { frames, ok } = result.report;
    expect({ ok, faults: result.faults, frames, story: told.text() }).toMatchObject({
      ok: true,
      faults: [],
      frames: { sent: 60, acknowledged: 60, atHome: 60, dropped: 0, lost: 0, doubled: 0, forged: 0 },
    });
  });

  test('each leg has its own contract and edge, which reduces what it is sent, and is paid for it', () => {
    const { legs, money, cloud } = result.report;
    expect(new Set(legs.map(({ edge }) => edge)).size).toBe(3);
    expect(new Set(legs.map(({ cell }) => cell)).size).toBe(3);
    for (const { state, frames, bytesIn, bytesOut, activatedMs } of legs) {
      expect(state).toBe('SETTLED');
      expect(frames).toBeGreaterThan(0);
      expect(bytesIn).toBeGreaterThan(10 * bytesOut);
      expect(activatedMs).toBeGreaterThanOrEqual(0);
    }
    expect(money).toMatchObject({ before: 4000, after: 4000, paid: 300 });
    expect(cloud.taken).toBeGreaterThan(0);
  });
});
