import { afterEach, expect, test } from '@jest/globals';
import type { LeaseRequest, PartyEvent } from '@antirio/service-contract';
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

const quiet = (): undefined => undefined;
const writes = { ok: () => true, failed: quiet };
const told: string[] = [];
const log = { debug: quiet, info: quiet, error: quiet, warn: (_: unknown, text: string) => told.push(text) };
let now = 0;

/** Of the driver's neighbours only what is called on its way. */
const depsWith = (own: object): DriverDependencies =>
  ({
    options: { tickIntervalMs: 60_000, observeIntervalMs: 60_000 },
    ports: {
      clock: { now: () => now, monotonic: () => now },
      random: { bytes: (n: number) => new Uint8Array(n) },
      log: { ...log, child: () => log },
      bus: { publish: async () => undefined },
      peers: {},
    },
    store: { setPhase: quiet, note: quiet, document: quiet, writes },
    rooms: { fence: async () => undefined },
    calls: {},
    sources: { leave: quiet, isUp: () => false },
    leads: () => true,
    fenced: () => terms,
    inTurn: (work: () => Promise<void>) => work(),
    host: { failures: () => 0, mayBegin: () => true, keepFailures: () => undefined },
    believed: () => true,
    joinsSeen: () => 0,
    retired: quiet,
    ...own,
  }) as unknown as DriverDependencies;

test('what a full disk does not take has not happened: the edge lives, and takes the next word of it', () => {
  const phases: unknown[] = [];
  let isFull = true;
  const full = (): void => {
    if (isFull) throw new Error('database or disk is full');
  };
  const setPhase = (_id: string, phase: unknown): void => {
    full();
    phases.push(phase);
  };
  const deps = depsWith({ store: { setPhase, note: full, document: quiet, writes } });
  driver = runParty({ terms, role: 'provider', phase: { at: 'ready' } }, deps);
  expect(() => driver?.post(settled)).not.toThrow();
  expect(driver.phase()).toEqual({ at: 'ready' });
  expect(told).toContain('the disk took nothing of it');
  isFull = false;
  driver.post(settled);
  expect(driver.phase()).toEqual({ at: 'ended' });
  expect(phases).toEqual([{ at: 'ended' }]);
});

test('a provider that was started anew while it hands back asks its service nothing before that has its keys', async () => {
  const asked: string[] = [];
  const fenced = Promise.withResolvers<undefined>();
  const counters = async (): Promise<never[]> => {
    fenced.resolve(undefined);
    return [];
  };
  const handBack = async (): Promise<void> => void asked.push('handBack');
  const deps = depsWith({
    rooms: { fence: async () => undefined, counters },
    listening: { holdsFence: () => false, handBack },
  });
  driver = runParty({ terms, role: 'provider', phase: { at: 'releasing', from: 1, epoch: 3 } }, deps);
  const value = { state: 'RETURNING', epoch: 3, holder: terms.provider, released: false } as const;
  driver.post({ type: 'answer', method: 'record', ok: true, value });
  driver.post({ type: 'observed', observed: { service: 'active' } });
  now += 5000;
  driver.post({ type: 'tick' });
  await fenced.promise;
  await new Promise(setImmediate);
  expect(asked).toEqual([]);
});

test('the fence is asked for the devices that are still its contract’s', async () => {
  const asked = Promise.withResolvers<unknown>();
  const fence = async (about: unknown): Promise<void> => {
    asked.resolve(about);
  };
  const left = { ...terms, set: { ...terms.set, devices: [] } };
  driver = runParty(
    { terms, role: 'provider', phase: { at: 'ready' } },
    depsWith({ rooms: { fence }, fenced: () => left }),
  );
  driver.post({ type: 'tick' });
  expect(await asked.promise).toBe(left);
});

test('a block of counters that the disk does not take is not asked for at once again, as each that is given is gone', () => {
  const asked: LeaseRequest[] = [];
  let failed = 0;
  const publish = async (_: string, text: string): Promise<void> => {
    const { kind, body } = JSON.parse(text) as { kind: string; body: LeaseRequest };
    if (kind === 'leaseRequest' && body.reserve.length > 0) asked.push(body);
  };
  const keep = (): void => {
    throw new Error('database or disk is full');
  };
  const none = { has: () => true, ofDevice: () => new Map(), all: () => [], parties: () => [] };
  const deps = depsWith({
    store: { note: quiet, document: quiet, writes: { ...writes, failed: () => (failed += 1) } },
    host: { failures: () => 0, mayBegin: () => true, keepFailures: quiet, blocks: { ...none, keep } },
  });
  Object.assign(deps.ports.bus, { publish });
  driver = runParty({ terms, role: 'customer', phase: { at: 'guarded', epoch: 1 } }, deps);
  const tickAfter = (ms: number): void => {
    now += ms;
    driver?.post({ type: 'tick' });
  };
  tickAfter(10_000);
  const devAddr = terms.set.devices[0]?.devAddr ?? '';
  driver.post({ type: 'counterAsked', requestId: 'r1', devAddr, above: -1 });
  tickAfter(20);
  const { reserve: _, ...body } = asked[0] as LeaseRequest;
  const blocks = [{ devAddr, index: 0 }];
  const grant = { ...body, challenge: 'c.1', leaseMs: terms.leaseMs, blocks };
  driver.post({ type: 'datagram', from: terms.central, datagram: { kind: 'leaseGrant', body: grant } });
  expect(failed).toBe(1);
  tickAfter(400);
  tickAfter(400);
  expect(asked).toHaveLength(1);
  tickAfter(400);
  expect(asked).toHaveLength(2);
});
