import { afterEach, expect, test } from '@jest/globals';
import { setImmediate } from 'node:timers/promises';
import { silentLog } from '@antirio/host';
import type { LedgerSight } from '@antirio/service-contract';
import { createLedgerWatch, type LedgerWatch } from './ledger-watch.ts';

/** A log of state hashes, and what a party keeps on its disk. */
function world(hashes: string[], seen?: LedgerSight) {
  const disk: { seen: LedgerSight | undefined } = { seen };
  const open = (): LedgerWatch =>
    createLedgerWatch({
      ledger: {
        head: async () => ({ height: BigInt(hashes.length - 1), stateHash: hashes.at(-1) ?? '' }),
        stateHashAt: async (height) => hashes[height],
      },
      kept: {
        get: () => disk.seen,
        put: (next) => {
          disk.seen = next;
        },
      },
      clock: { monotonic: () => 7 },
      everyMs: 50,
      log: silentLog,
    });
  return { disk, open };
}

let running: LedgerWatch | undefined;
afterEach(async () => {
  await running?.stop();
  running = undefined;
});

test('the highest block is kept over restarts, and a log that goes on from it is believed', async () => {
  const hashes = ['g', 'a', 'b'];
  const { disk, open } = world(hashes);
  await open().check();
  expect(disk.seen).toEqual({ height: 2, stateHash: 'b' });
  hashes.push('c');
  const again = open();
  await again.check();
  expect(again.believed()).toBe(true);
  expect(disk.seen).toEqual({ height: 3, stateHash: 'c' });
});

test.each([
  ['is shorter', ['g', 'a']],
  ['has another block at that height', ['g', 'a', 'x']],
  ['has grown past it on another branch', ['g', 'a', 'x', 'y', 'z']],
])(
  'a log that %s is not believed, whatever it says next, until it has again what was seen',
  async (_how, restored) => {
    const hashes = [...restored];
    const { disk, open } = world(hashes, { height: 2, stateHash: 'b' });
    const watch = open();
    await expect(watch.check()).rejects.toThrow('ledgerRolledBack');
    expect(watch.believed()).toBe(false);
    expect(() => watch.guard()).toThrow('ledgerRolledBack');
    expect(watch.health()).toEqual({ ok: false, detail: 'ledgerRolledBack' });
    expect(disk.seen).toEqual({ height: 2, stateHash: 'b' });
    hashes.splice(0, hashes.length, 'g', 'a', 'b', 'c');
    await watch.check();
    expect(watch.health()).toEqual({ ok: true });
  },
);

test('an operator may accept that it is lost, and names the very block that the ledger is at', async () => {
  const { disk, open } = world(['g', 'a'], { height: 2, stateHash: 'b' });
  running = open();
  running.start();
  for (let i = 0; i < 100 && !running.status().rolledBack; i++) await setImmediate();
  expect(running.status()).toMatchObject({ rolledBack: true, head: { height: 1, stateHash: 'a' } });
  await expect(running.accept({ height: 1, stateHash: 'x' })).rejects.toThrow('the ledger is at block 1');
  await running.accept({ height: 1, stateHash: 'a' });
  expect(running.status().rolledBack).toBe(false);
  expect(disk.seen).toEqual({ height: 1, stateHash: 'a' });
});
