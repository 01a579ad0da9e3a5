import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { systemClock, waitFor } from '@antirio/host';
import { ONE, TWO, call, folder, putRing, startEdge, uplink, type Edge, type Listed } from '../test-edge.ts';
import { rxpkOf } from '../test-gateway.ts';
import { startEdge2Edge, type Link } from '../test-link.ts';

const OFTEN = { rings: { burst: 10_000, framesPerSecond: 10_000, segmentBytes: 16_384 } };
const LONG = { gapFilling: { intervalMs: 20, streamFrames: 100 }, ...OFTEN };
const ROOM = 4 << 20;

interface Status {
  readonly pulledThrough: number;
  readonly fetched: number;
  readonly refused: number;
  readonly waiting?: string;
}

async function twoEdges(): Promise<{ link: Link; a: Edge; b: Edge }> {
  const edges: Record<string, () => Edge> = {};
  const link = await startEdge2Edge(edges, 'edge-a');
  const a = await startEdge('a', link.peer, {}, LONG);
  const b = await startEdge('b', undefined, {}, OFTEN);
  edges['edge-b'] = () => b;
  await putRing(b, 'contract-1', { deliver: false, owner: 'edge-a', budgetBytes: ROOM });
  return { link, a, b };
}

/** Both motes in turn, fifty frames in a datagram. */
async function hear(edge: Edge, from: number, through: number): Promise<void> {
  for (let first = from; first <= through; first += 25) {
    const counters = Array.from({ length: Math.min(25, through - first + 1) }, (_, i) => first + i);
    const heard = counters.flatMap((fcnt) => [uplink(ONE, fcnt), uplink(TWO, fcnt)]);
    await edge.gateway.push(
      heard.map((bytes, i) => rxpkOf(bytes, i)),
      2000,
    );
  }
}

async function allOf(edge: Edge, id: string): Promise<string[]> {
  const found: string[] = [];
  for (let after = 0; ;) {
    const { frames } = (await call(edge, 'GET', `/ring/${id}/frames?after=${after}&limit=500`)) as Listed;
    found.push(...frames.map(({ phyPayload }) => phyPayload));
    const last = frames.at(-1);
    if (last === undefined) return found;
    after = last.seq;
  }
}

const fill = (a: Edge): Promise<unknown> =>
  call(a, 'PUT', '/ring/own/source', { edgeId: 'edge-b', ringId: 'contract-1' });
const status = async (a: Edge): Promise<Status> => (await call(a, 'GET', '/ring/own/source')) as Status;
const reached = (a: Edge, through: number): Promise<unknown> =>
  waitFor(systemClock, 60_000, async () => (await status(a)).pulledThrough === through || undefined);
const acknowledged = async (b: Edge): Promise<number> =>
  ((await call(b, 'GET', '/ring/contract-1')) as { acknowledged: number }).acknowledged;

describe('a long rest of a ring', () => {
  test('comes as one stream that breaks and goes on, each frame once and in order, acknowledged as it comes', async () => {
    const { link, a, b } = await twoEdges();
    await putRing(a, 'own', { budgetBytes: ROOM });
    await hear(b, 1, 2000);
    link.breaks.push(30_000, 60_001, 17);
    await fill(a);
    expect(await reached(a, 4000)).toBe(true);
    expect(link.streams).toBe(4);
    const source = await allOf(b, 'contract-1');
    expect(source).toHaveLength(4000);
    expect(await allOf(a, 'own')).toEqual(source);
    expect(await status(a)).toMatchObject({ fetched: 4000, refused: 0 });
    await waitFor(systemClock, 60_000, async () => (await acknowledged(b)) === 4000 || undefined);
    expect(await acknowledged(b)).toBe(4000);
    // what follows is short, or here already
    await hear(b, 2001, 2010);
    expect(await reached(a, 4020)).toBe(true);
    expect(link.streams).toBe(4);
  });

  test('that does not fit is acknowledged as far as it is here, and fetched when there is room', async () => {
    const { a, b } = await twoEdges();
    await putRing(a, 'own', { budgetBytes: 100_000 });
    await hear(b, 1, 900);
    await fill(a);
    const full = async (): Promise<true | undefined> =>
      /full/.test((await status(a)).waiting ?? '') || undefined;
    expect(await waitFor(systemClock, 60_000, full)).toBe(true);
    const held = await allOf(a, 'own');
    expect(held.length).toBeGreaterThan(500);
    expect(held.length).toBeLessThan(1800);
    expect(await acknowledged(b)).toBeLessThanOrEqual(held.length);
    await putRing(a, 'own', { budgetBytes: ROOM });
    expect(await reached(a, 1800)).toBe(true);
    expect((await allOf(a, 'own')).toSorted()).toEqual((await allOf(b, 'contract-1')).toSorted());
  });

  test('of which the disk has changed a record comes without it, and says so', async () => {
    const { a, b } = await twoEdges();
    await putRing(a, 'own', { budgetBytes: ROOM });
    await hear(b, 1, 400);
    const whole = await allOf(b, 'contract-1');
    const log = join(folder, 'b', 'gateway-bridge', 'rings', 'contract-1', 'log');
    const path = join(log, readdirSync(log).sort()[1] ?? '');
    const bytes = readFileSync(path);
    const at = Math.floor(bytes.length / 2);
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    writeFileSync(path, bytes);
    await fill(a);
    expect(await reached(a, 800)).toBe(true);
    const got = await allOf(a, 'own');
    expect(got.length).toBe(799);
    expect(new Set(got).isSubsetOf(new Set(whole))).toBe(true);
    expect(await call(b, 'GET', '/ring/contract-1')).toMatchObject({ damaged: 1 });
  });
});
