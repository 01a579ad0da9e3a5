import { afterEach, expect, test } from '@jest/globals';
import type { PartyEvent } from '@antirio/service-contract';
import { terms } from './escrow.fixture.ts';
import { runParty, type DriverDependencies, type PartyDriver } from './party-driver.ts';

const settled: PartyEvent = {
  type: 'answer',
  method: 'record',
  ok: true,
  value: { state: 'SETTLED', epoch: 1, holder: terms.customer, released: false },
};

let driver: PartyDriver | undefined;
afterEach(() => driver?.stop());

test('what a full disk does not take has not happened: the edge lives, and takes the next word of it', async () => {
  const phases: unknown[] = [];
  const told: string[] = [];
  let isFull = true;
  const quiet = (): undefined => undefined;
  const log = {
    debug: quiet,
    info: quiet,
    error: quiet,
    warn: (_: unknown, text: string) => told.push(text),
  };
  const full = (): void => {
    if (isFull) throw new Error('database or disk is full');
  };
  // Of the driver's neighbours only what is called on this way.
  const deps = {
    options: { tickIntervalMs: 60_000, observeIntervalMs: 60_000 },
    ports: {
      clock: { now: () => 0, monotonic: () => 0 },
      random: { bytes: (n: number) => new Uint8Array(n) },
      log: { ...log, child: () => log },
      bus: { publish: async () => undefined },
      peers: {},
    },
    store: {
      setPhase: (_id: string, phase: unknown) => {
        full();
        phases.push(phase);
      },
      note: full,
      document: quiet,
    },
    rooms: { fence: async () => undefined },
    calls: {},
    sources: { leave: quiet, isUp: () => false },
    leads: () => true,
    inTurn: (work: () => Promise<void>) => work(),
    host: { failures: () => 0, mayBegin: () => true, keepFailures: () => undefined },
    believed: () => true,
    joinsSeen: () => 0,
    retired: quiet,
  } as unknown as DriverDependencies;
  driver = runParty({ terms, role: 'provider', phase: { at: 'ready' } }, deps);
  expect(() => driver?.post(settled)).not.toThrow();
  expect(driver.phase()).toEqual({ at: 'ready' });
  expect(told).toContain('the disk took nothing of it');
  isFull = false;
  driver.post(settled);
  expect(driver.phase()).toEqual({ at: 'ended' });
  expect(phases).toEqual([{ at: 'ended' }]);
});
