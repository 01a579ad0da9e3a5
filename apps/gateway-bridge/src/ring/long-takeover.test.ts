import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { partsOf, silentLog, systemRandom, type HttpPeer, type HttpStream } from '@antirio/host';
import { toHex } from '@antirio/kernel';
import { parseDevAddr, type DevAddr } from '@antirio/lorawan';
import { ownCopies } from './copies.ts';
import type { StoredFrame } from './record.ts';
import { streamFrom } from './ring-stream.ts';
import type { Ring } from './ring.ts';
import { openRings, type Rings } from './rings.ts';
import { uplink } from './test-frames.ts';
import { toWire } from './wire.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const MOTES = 20;
const motes: DevAddr[] = Array.from({ length: MOTES }, (_, i) =>
  parseDevAddr((0x0100_0001 + i).toString(16).padStart(8, '0')),
);

let folder = '';
let open: Rings[] = [];
let monotonic = 0;
let wall = 0;

const ringsOf = (name: string): Rings => {
  const rings = openRings({
    folder: join(folder, name),
    neighbourhoodBytes: 1 << 16,
    totalBudgetBytes: 1 << 30,
    segmentBytes: 1 << 18,
    framesPerSecond: 10,
    burst: 100,
    clock: { now: () => wall, monotonic: () => monotonic },
    random: systemRandom,
    log: silentLog,
  });
  open.push(rings);
  return rings;
};
const ringIn = async (rings: Rings, id: string, budgetBytes: number, retainS: number): Promise<Ring> => {
  const settings = { devAddrs: motes, devEuis: [], budgetBytes, prefix: '', deliver: false, retainS };
  return (await rings.put(id, settings, {})).ring;
};
const takeAll = async (ring: Ring, frames: readonly StoredFrame[]): Promise<number> => {
  const taken = frames.map((frame) => ring.take(frame));
  await Promise.all(taken.flatMap((one) => (one.kind === 'dropped' ? [] : [one.durable])));
  return taken.filter(({ kind }) => kind === 'dropped').length;
};

/** A's arbitrator asks its bridge, and B's its own, for what each has of the range. */
const payloadsIn = async (body: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> => {
  const found: Uint8Array[] = [];
  for await (const part of partsOf(body))
    if (part.kind === 'items') found.push(...part.items.map(({ bytes }) => new Uint8Array(bytes)));
  return found;
};
const copies = (own: Ring, theirs: Ring, from: number, through: number): Promise<Uint8Array[]> => {
  const answer = async ({ json }: { json?: unknown }): Promise<unknown> => {
    const frames = await theirs.framesOf((json as { seqs: number[] }).seqs);
    const body = new TextEncoder().encode(JSON.stringify({ frames: frames.map(toWire) }));
    return {
      status: 200,
      headers: {},
      body,
      json: () => JSON.parse(new TextDecoder().decode(body)) as unknown,
    };
  };
  const edge2edge = { call: answer } as unknown as HttpPeer;
  const offers = { body: streamFrom(theirs, 'offer', from - 1, through) } as unknown as HttpStream;
  const source = { edge2edge, base: '/b', edgeId: 'edge-b', timeoutMs: 1000 };
  return payloadsIn(ownCopies({ ring: own, offers, source, onStored: () => undefined }));
};
/** A statement is a digest over these, each once. */
const stated = (payloads: readonly Uint8Array[]): string[] => [...new Set(payloads.map(toHex))].sort();

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'takeover-'));
  monotonic = 0;
  wall = 1_700_000_000_000;
});
afterEach(async () => {
  for (const rings of open) await rings.close();
  open = [];
  rmSync(folder, { recursive: true });
});

interface Run {
  readonly hours: number;
  /** Whether the arbitrators hold their rings, as they do. */
  readonly holds: boolean;
  /** Of B's ring; a contract's is 1 MiB at least. */
  readonly budgetBytes: number;
  /** What the wall clock of A does, by minute. */
  readonly jumps?: Readonly<Record<number, number>>;
}

/** B serves and A, alive, takes from B what it hears, a frame of each mote every two minutes; then B seals, hears on, and A states. */
async function takeover({ hours, holds, budgetBytes, jumps = {} }: Run) {
  const [edgeA, edgeB] = [ringsOf('a'), ringsOf('b')];
  const own = await ringIn(edgeA, 'own', 16 << 20, 3600);
  const theirs = await ringIn(edgeB, 'contract', budgetBytes, 7 * 86_400);
  let dropped = 0;
  const hearAndPull = async (fcnt: number): Promise<void> => {
    const heard = motes.map((devAddr) => uplink(devAddr, fcnt));
    dropped += await takeAll(theirs, heard);
    dropped += await takeAll(
      own,
      heard.map((frame) => ({ ...frame, via: 'edge-b' })),
    );
    await theirs.acknowledge(theirs.last);
    await own.acknowledge(own.last);
  };
  const pass = async (minutes: number): Promise<void> => {
    for (let i = 0; i < minutes; i += 2) {
      monotonic += 2 * MINUTE;
      wall += 2 * MINUTE + (jumps[monotonic / MINUTE] ?? 0);
      if (holds) for (const ring of [own, theirs]) ring.hold(15 * MINUTE);
      await hearAndPull(monotonic / MINUTE / 2);
      own.tidy();
      theirs.tidy();
    }
  };
  const from = theirs.last + 1;
  await pass(hours * 60);
  const through = theirs.last;
  const provider = stated(await payloadsIn(streamFrom(theirs, 'payload', from - 1, through)));
  await pass(10);
  const customer = stated(await copies(own, theirs, from, through));
  return { provider, customer, dropped };
}

describe('a takeover of hours, of which the customer took in all as it came', () => {
  test('is stated alike, and whole, where the rings are held', async () => {
    const { provider, customer, dropped } = await takeover({ hours: 8, holds: true, budgetBytes: 1 << 17 });
    expect(dropped).toBe(0);
    expect(customer).toEqual(provider);
    expect(customer).toHaveLength(MOTES * 240);
  });

  test('is stated alike where the customer has let go of it: that comes from the provider once more', async () => {
    const { provider, customer } = await takeover({ hours: 8, holds: false, budgetBytes: 16 << 20 });
    expect(customer).toEqual(provider);
    expect(customer).toHaveLength(MOTES * 240);
  });

  test.each([2 * HOUR, -2 * HOUR])(
    'is stated alike though the customer’s clock is set by %i ms',
    async (ms) => {
      const jumps = { 30: ms, 150: ms };
      const { provider, customer } = await takeover({ hours: 4, holds: true, budgetBytes: 1 << 20, jumps });
      expect(customer).toEqual(provider);
      expect(customer).toHaveLength(MOTES * 120);
    },
  );
});
