import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { toHex } from '@antirio/kernel';
import { parseDataFrame } from '@antirio/lorawan';
import { openStore } from '../database.ts';
import { holderOf, openBlind } from '../holder.fixture.ts';
import { devEui } from '../session.fixture.ts';
import { Killed, lifeOf, mortal, type Life } from '../life.fixture.ts';
import type { NamedCounter } from './naming.ts';
import type { Downlink } from './store.ts';

const STATUSES = ['OK', 'TOO_LATE', 'noBlock', 'noTxAck'] as const;
const act = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('name' as const), n: fc.nat(2) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('queue' as const), n: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('plain' as const), n: fc.nat(1) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('hear' as const), n: fc.nat(7) }) },
);
const lives = fc.array(fc.record({ steps: fc.integer({ min: 1, max: 25 }), isDone: fc.boolean() }), {
  minLength: 5,
  maxLength: 5,
});

/** Everything that outlives the service: what was on air, and what the holder of the AppSKey did. */
interface World {
  readonly onAir: Uint8Array[];
  /** What was named to whom, as far as an answer came. */
  readonly named: { readonly asker: number; readonly counter: NamedCounter }[];
  /** What was encrypted, by counter. */
  readonly encrypted: Map<number, string>;
  /** What was taken, durably. */
  readonly taken: Set<number>;
  texts: number;
}

function check({ onAir, named, encrypted }: World): void {
  const used = new Map<number, string>();
  let highest = -1;
  for (const bytes of onAir) {
    const frame = parseDataFrame(bytes);
    const { fcnt16, fPort, frmPayload } = frame;
    const hex = toHex(bytes);
    expect(used.get(fcnt16) ?? hex).toBe(hex);
    expect(holderOf(1).verifies(frame, fcnt16)).toBe(true);
    // the device takes what is new only above what it has heard
    if (!used.has(fcnt16)) expect(fcnt16).toBeGreaterThan(highest);
    highest = Math.max(highest, fcnt16);
    used.set(fcnt16, hex);
    const isNamed = named.some(({ counter }) => counter.fCntDown === fcnt16);
    if (isNamed) expect(fPort).toBe(5);
    if (fPort !== 5 || frmPayload.length === 0) continue;
    expect(Buffer.from(holderOf(1).decrypt(frame, fcnt16)).toString()).toBe(encrypted.get(fcnt16));
  }
  const askers = Map.groupBy(named, ({ counter }) => counter.fCntDown).values();
  for (const some of askers) expect(new Set(some.map(({ asker }) => asker)).size).toBe(1);
}

/** Each that was taken is there still, and was on air where it says so. */
function checkTaken({ taken, onAir }: World, downlinks: readonly Downlink[]): void {
  const fcnts = onAir.map((bytes) => parseDataFrame(bytes).fcnt16);
  for (const fcnt of taken) {
    const one = downlinks.find(({ isEncrypted, fcnt: own }) => isEncrypted && own === fcnt);
    expect(one).toBeDefined();
    if (one?.state === 'failed') expect(one.error).toBeDefined();
    if (one?.state === 'sent') expect(fcnts).toContain(fcnt);
  }
}

function begin(path: string, life: Life, world: World, statuses: (() => string)[]) {
  const real = openStore(path);
  // only the process ends here
  real.exec('PRAGMA synchronous=OFF');
  const blind = openBlind(mortal(real, life), false, (bytes) =>
    life.step(() => {
      const status = statuses.shift()?.() ?? 'OK';
      if (status === 'OK' || status === 'noTxAck') world.onAir.push(bytes);
      return status === 'noBlock' || status === 'noTxAck'
        ? { status: 'INTERNAL_ERROR', refused: status }
        : { status };
    }),
  );
  const { naming, device, sender } = blind;
  return {
    end: () => real.close(),
    downlinks: () => blind.store.latest(devEui, 50),
    isOver: () => life.isOver,
    async name(asker: number): Promise<void> {
      const counter = await naming.name(device, `asker-${asker}`);
      world.named.push({ asker, counter });
    },
    /** Of one counter what was encrypted for it; at times somebody tries other bytes. */
    queue(n: number): void {
      const { counter } = world.named[world.named.length - 1 - (n % 3)] ?? {};
      if (counter === undefined) return;
      const { session, fCntDown, devAddr } = counter;
      const text = world.encrypted.get(fCntDown) ?? `text ${world.texts++}`;
      world.encrypted.set(fCntDown, text);
      const payload = holderOf(1).encryptDown(devAddr, fCntDown, Buffer.from(n === 5 ? 'forged' : text));
      const isFirst = n === 5 && !world.taken.has(fCntDown);
      if (isFirst) return;
      naming.queue(device, { session, fCntDown, payload, fPort: 5, confirmed: fCntDown % 2 === 0 });
      world.taken.add(fCntDown);
    },
    plain(n: number): void {
      const content = { devEui, resource: 'r', fPort: 9, payload: Uint8Array.of(n), confirmed: n === 1 };
      sender.queue(content, undefined, { replaces: false });
    },
    async hear(n: number): Promise<void> {
      statuses.push(() => STATUSES[n % 4] ?? 'OK');
      blind.now.fcntUp += 10 * world.onAir.length;
      await blind.hear({ confirmed: n > 3 });
      for (let i = 0; i < 4; i++) await setImmediate();
      statuses.length = 0;
    },
  };
}

test('killed before or after any durable step, no counter carries two payloads, and what was taken is accounted for', async () => {
  let kills = 0;
  let heard = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(act, { minLength: 30, maxLength: 60 }), lives, async (acts, ends) => {
      const folder = mkdtempSync(join(tmpdir(), 'lora-named-'));
      const path = join(folder, 'x.db');
      const world: World = { onAir: [], named: [], encrypted: new Map(), taken: new Set(), texts: 0 };
      const rest = [...ends];
      const nextLife = (): Life => {
        const end = rest.shift();
        return end === undefined ? lifeOf(Infinity, true) : lifeOf(end.steps, end.isDone);
      };
      let service = begin(path, nextLife(), world, []);
      for (const { kind, n } of acts) {
        try {
          await service[kind](n);
        } catch (error) {
          if (!(error instanceof Killed) && (error as { statusCode?: number }).statusCode === undefined)
            throw error;
        }
        if (!service.isOver()) continue;
        kills += 1;
        service.end();
        service = begin(path, nextLife(), world, []);
      }
      checkTaken(world, service.downlinks());
      service.end();
      rmSync(folder, { recursive: true });
      heard += world.onAir.filter((bytes) => parseDataFrame(bytes).fPort === 5).length;
      check(world);
    }),
    { numRuns: 8 },
  );
  expect(kills).toBeGreaterThan(3);
  expect(heard).toBeGreaterThan(0);
});
