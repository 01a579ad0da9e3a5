import { describe, expect, test } from '@jest/globals';
import { systemClock, waitFor } from '@antirio/host';
import { ONE, TWO, call, collect, framesOf, putRing, startEdge, uplink, type Edge } from '../test-edge.ts';
import { rxpkOf } from '../test-gateway.ts';
import { startEdge2Edge } from '../test-link.ts';

/** Edge B holds three uplinks for edge A, which reaches it over this peer. */
async function providerWithThree() {
  const edges: Record<string, () => Edge> = {};
  const { peer } = await startEdge2Edge(edges, 'edge-a');
  const b = await startEdge('b', peer);
  edges['edge-b'] = () => b;
  await putRing(b, 'contract-1', { devAddrs: [ONE], deliver: false, owner: 'edge-a' });
  for (const fcnt of [1, 2, 3]) await b.gateway.push([rxpkOf(uplink(ONE, fcnt), fcnt)]);
  return { b, peer };
}

describe('gap filling', () => {
  test('two edges end with the same frames, whatever each heard alone, and the source may forget them', async () => {
    const edges: Record<string, () => Edge> = {};
    const link = await startEdge2Edge(edges, 'edge-a');
    const a = await startEdge('a', link.peer);
    const b = await startEdge('b', link.peer);
    edges['edge-b'] = () => b;
    await putRing(a, 'own', { devAddrs: [ONE] });
    await putRing(b, 'contract-1', { deliver: false, owner: 'edge-a', retainS: 0 });
    const events = await collect(a.bus, 'eu868/gateway/+/event/up');
    await a.gateway.push([rxpkOf(uplink(ONE, 1), 1)]);
    // the forgery has the MIC of the true frame, which only the neighbour heard
    const forged = uplink(ONE, 2);
    forged[9] = (forged[9] ?? 0) ^ 1;
    await a.gateway.push([rxpkOf(forged, 2)]);
    link.cut(true);
    await call(a, 'PUT', '/ring/own/source', { edgeId: 'edge-b', ringId: 'contract-1' });
    for (const fcnt of [1, 2, 3]) await b.gateway.push([rxpkOf(uplink(ONE, fcnt), fcnt)]);
    await b.gateway.push([rxpkOf(uplink(TWO, 1), 9)]);
    link.cut(false);
    const status = async () =>
      (await call(a, 'GET', '/ring/own/source')) as { pulledThrough: number; fetched: number };
    await waitFor(systemClock, 60_000, async () => (await status()).pulledThrough === 4 || undefined);
    expect(await status()).toMatchObject({ edgeId: 'edge-b', pulledThrough: 4, remoteNext: 5, fetched: 2 });
    const frames = await framesOf(a, 'own');
    const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
    expect(frames.map(({ phyPayload, via }) => [phyPayload, via])).toEqual([
      [text(uplink(ONE, 1)), 'radio'],
      [text(forged), 'radio'],
      [text(uplink(ONE, 2)), 'edge-b'],
      [text(uplink(ONE, 3)), 'edge-b'],
    ]);
    await waitFor(systemClock, 60_000, () => events.length >= 4 || undefined);
    expect(events.map(({ event }) => event.rxInfo.metadata['via'])).toEqual([
      'radio',
      'radio',
      'edge-b',
      'edge-b',
    ]);
    const atSource = async () =>
      (await call(b, 'GET', '/ring/contract-1')) as { acknowledged: number; count: number };
    await waitFor(systemClock, 60_000, async () => (await atSource()).count === 0 || undefined);
    expect(await atSource()).toMatchObject({ acknowledged: 4, count: 0 });
  });

  test('of a contract that is over an edge with a new disk fetches everything once more, and no other edge does', async () => {
    const { b, peer } = await providerWithThree();
    await call(b, 'POST', '/ring/contract-1/acknowledge', { through: 3 });
    const kept = await call(b, 'PUT', '/ring/contract-1/kept', { forS: 7 * 86_400 });
    expect(kept).toMatchObject({ owner: 'edge-a', devAddrs: [], kept: { leftS: 7 * 86_400, yielded: 0 } });
    await b.gateway.push([rxpkOf(uplink(ONE, 4), 4)]);
    const a = await startEdge('a-anew', peer);
    await putRing(a, 'own', { devAddrs: [ONE] });
    await call(a, 'PUT', '/ring/own/source', { edgeId: 'edge-b', ringId: 'contract-1' });
    const status = async () => (await call(a, 'GET', '/ring/own/source')) as { pulledThrough: number };
    await waitFor(systemClock, 60_000, async () => (await status()).pulledThrough === 3 || undefined);
    expect(await framesOf(a, 'own')).toHaveLength(3);
    const asOther = { path: '/api/v3/ring/contract-1/frames', headers: { 'x-antirio-peer': 'edge-c' } };
    expect((await b.http.call(asOther)).status).toBe(403);
    const toEnd = { method: 'PUT' as const, path: '/api/v3/ring/contract-1/kept', json: { forS: 1 } };
    expect((await b.http.call({ ...toEnd, headers: { 'x-antirio-peer': 'edge-a' } })).status).toBe(403);
  });

  test('what is read anew comes from the first frame on, whatever was passed over before, and the source lets go of nothing for it', async () => {
    const { b, peer } = await providerWithThree();
    const a = await startEdge('a-early', peer);
    await putRing(a, 'own', { devAddrs: [] });
    const status = async () =>
      (await call(a, 'GET', '/ring/own/source')) as { pulledThrough: number; ringId: string };
    const read = async (anew: string): Promise<void> => {
      await call(a, 'PUT', '/ring/own/source', { edgeId: 'edge-b', ringId: 'contract-1', anew });
      await waitFor(systemClock, 60_000, async () => (await status()).pulledThrough === 3 || undefined);
      expect((await status()).ringId).toBe('contract-1');
    };
    await read('first');
    expect(await framesOf(a, 'own')).toEqual([]);
    await putRing(a, 'own', { devAddrs: [ONE] });
    await read('second');
    expect(await framesOf(a, 'own')).toHaveLength(3);
    expect(await call(b, 'GET', '/ring/contract-1')).toMatchObject({ acknowledged: 0, count: 3 });
    expect(await status()).toMatchObject({ gone: 0 });
    await putRing(b, 'contract-1', { devAddrs: [ONE], deliver: false, owner: 'edge-a', retainS: 0 });
    await call(b, 'POST', '/ring/contract-1/acknowledge', { through: 2 });
    const left = async () => ((await call(b, 'GET', '/ring/contract-1')) as { count: number }).count;
    await waitFor(systemClock, 60_000, async () => (await left()) === 1 || undefined);
    await read('third');
    expect(await status()).toMatchObject({ gone: 2 });
  });

  test('what does not fit is not acknowledged: the source keeps it', async () => {
    const edges: Record<string, () => Edge> = {};
    const link = await startEdge2Edge(edges, 'edge-a');
    const a = await startEdge('a', link.peer);
    const b = await startEdge('b', link.peer);
    edges['edge-b'] = () => b;
    await putRing(a, 'own', { devAddrs: [ONE], budgetBytes: 1024 });
    await putRing(b, 'contract-1', { deliver: false });
    for (let fcnt = 1; fcnt <= 14; fcnt++) await b.gateway.push([rxpkOf(uplink(ONE, fcnt), fcnt)]);
    await call(a, 'PUT', '/ring/own/source', { edgeId: 'edge-b', ringId: 'contract-1' });
    const waiting = async () => ((await call(a, 'GET', '/ring/own/source')) as { waiting?: string }).waiting;
    await waitFor(systemClock, 60_000, async () => (await waiting()) ?? undefined);
    expect(await waiting()).toMatch(/full/);
    expect(await call(b, 'GET', '/ring/contract-1')).toMatchObject({ acknowledged: 0, count: 14 });
    await putRing(a, 'own', { devAddrs: [ONE], budgetBytes: 8192 });
    await waitFor(systemClock, 60_000, async () => (await framesOf(a, 'own')).length === 14 || undefined);
    expect(await framesOf(a, 'own')).toHaveLength(14);
  });

  test('over a line on which a whole page does not come in time, less is asked for until it does', async () => {
    const edges: Record<string, () => Edge> = {};
    const link = await startEdge2Edge(edges, 'edge-a');
    const a = await startEdge('a', link.peer);
    const b = await startEdge('b', link.peer);
    edges['edge-b'] = () => b;
    link.mostFrames = 13;
    await putRing(a, 'own', { devAddrs: [ONE] });
    await putRing(b, 'contract-1', { deliver: false });
    for (let fcnt = 1; fcnt <= 28; fcnt++) await b.gateway.push([rxpkOf(uplink(ONE, fcnt), fcnt)]);
    await call(a, 'PUT', '/ring/own/source', { edgeId: 'edge-b', ringId: 'contract-1' });
    await waitFor(systemClock, 60_000, async () => (await framesOf(a, 'own')).length === 28 || undefined);
    expect(await framesOf(a, 'own')).toHaveLength(28);
  });

  test('where the source tells of joins that are not known here nothing is read, passed over or let go of', async () => {
    const edges: Record<string, () => Edge> = {};
    const link = await startEdge2Edge(edges, 'edge-a');
    const a = await startEdge('a', link.peer);
    const b = await startEdge('b', link.peer);
    edges['edge-b'] = () => b;
    await putRing(a, 'own', { devAddrs: [ONE] });
    const source = { edgeId: 'edge-b', ringId: 'contract-1' };
    const about = { devAddrs: [ONE, TWO], deliver: false, owner: 'edge-a', retainS: 0 };
    await putRing(b, 'contract-1', about);
    await call(a, 'PUT', '/ring/own/source', { ...source, joins: 0 });
    await b.gateway.push([rxpkOf(uplink(ONE, 1), 1)]);
    await waitFor(systemClock, 60_000, async () => (await framesOf(a, 'own')).length === 1 || undefined);
    await putRing(b, 'contract-1', { ...about, joins: 1 });
    await b.gateway.push([rxpkOf(uplink(TWO, 1), 2)]);
    await b.gateway.push([rxpkOf(uplink(ONE, 2), 3)]);
    const status = async () =>
      (await call(a, 'GET', '/ring/own/source')) as {
        waiting?: string;
        remoteNext: number;
      };
    await waitFor(systemClock, 60_000, async () => (await status()).remoteNext === 4 || undefined);
    expect(await status()).toMatchObject({ pulledThrough: 1, remoteNext: 4, remoteJoins: 1 });
    expect((await status()).waiting).toMatch(/waits for joins/);
    expect(await call(b, 'GET', '/ring/contract-1')).toMatchObject({ acknowledged: 1, joins: 1 });
    await putRing(a, 'own', { devAddrs: [ONE, TWO] });
    await call(a, 'PUT', '/ring/own/source', { ...source, joins: 1 });
    await waitFor(systemClock, 60_000, async () => (await framesOf(a, 'own')).length === 3 || undefined);
    expect(await framesOf(a, 'own')).toHaveLength(3);
  });

  test('an acknowledgement is for the ring that was read, not for one that has its name meanwhile', async () => {
    const edges: Record<string, () => Edge> = {};
    const link = await startEdge2Edge(edges, 'edge-a');
    const a = await startEdge('a', link.peer);
    const b = await startEdge('b', link.peer);
    edges['edge-b'] = () => b;
    await putRing(a, 'own', { devAddrs: [ONE] });
    const make = () =>
      putRing(b, 'contract-1', { devAddrs: [ONE], deliver: false, owner: 'edge-a', retainS: 0 });
    await make();
    await b.gateway.push([rxpkOf(uplink(ONE, 1), 1)]);
    link.onAcknowledge = async () => {
      link.onAcknowledge = () => Promise.resolve();
      await call(b, 'DELETE', '/ring/contract-1');
      await make();
      await b.gateway.push([rxpkOf(uplink(ONE, 2), 2)]);
    };
    await call(a, 'PUT', '/ring/own/source', { edgeId: 'edge-b', ringId: 'contract-1' });
    await waitFor(systemClock, 60_000, () => link.acknowledged.length >= 2 || undefined);
    expect(link.acknowledged.slice(0, 2)).toEqual([409, 200]);
    expect(await framesOf(a, 'own')).toHaveLength(2);
  });

  test('the source learns how far our motes have counted, and keeps it; what it drops is known here', async () => {
    const edges: Record<string, () => Edge> = {};
    const link = await startEdge2Edge(edges, 'edge-a');
    const a = await startEdge('a', link.peer);
    const b = await startEdge('b', link.peer);
    edges['edge-b'] = () => b;
    await putRing(a, 'own', { devAddrs: [ONE, TWO] });
    const contract = { devAddrs: [ONE], deliver: false, owner: 'edge-a' };
    await putRing(b, 'contract-1', contract);
    const marks = {
      [ONE]: { session: '00112233445566ff', fcnt: 70_000 },
      [TWO]: { session: 'ffeeddccbbaa9988', fcnt: 5 },
    };
    expect(await call(a, 'PUT', '/ring/own/marks', { marks })).toEqual({ marked: 2 });
    for (const payload of ['a', 'b', 'c', 'd', 'e'])
      await b.gateway.push([rxpkOf(uplink(ONE, 9, payload), 9)]);
    await call(a, 'PUT', '/ring/own/source', { edgeId: 'edge-b', ringId: 'contract-1' });
    const there = async () => (await call(b, 'GET', '/ring/contract-1')) as { marked: number };
    await waitFor(systemClock, 60_000, async () => (await there()).marked === 1 || undefined);
    expect(await there()).toMatchObject({ marked: 1 });
    expect(await call(a, 'GET', '/ring')).toMatchObject({
      droppedElsewhere: { 'contract-1': { slots: 1, budget: 0, rate: 0 } },
    });
    // a ring that is made anew has none, and is told again
    await call(b, 'DELETE', '/ring/contract-1');
    await putRing(b, 'contract-1', contract);
    await waitFor(systemClock, 60_000, async () => (await there()).marked === 1 || undefined);
    expect(await there()).toMatchObject({ marked: 1 });
  });

  test('a source of before knows no marks, which costs nothing but these', async () => {
    const edges: Record<string, () => Edge> = {};
    const link = await startEdge2Edge(edges, 'edge-a');
    link.knowsMarks = false;
    const a = await startEdge('a', link.peer);
    const b = await startEdge('b', link.peer);
    edges['edge-b'] = () => b;
    await putRing(a, 'own', { devAddrs: [ONE] });
    await putRing(b, 'contract-1', { devAddrs: [ONE], deliver: false, owner: 'edge-a' });
    await call(a, 'PUT', '/ring/own/marks', { marks: { [ONE]: { session: 'ab', fcnt: 5 } } });
    await call(a, 'PUT', '/ring/own/source', { edgeId: 'edge-b', ringId: 'contract-1' });
    const status = async () => (await call(a, 'GET', '/ring/own/source')) as { marksUntold?: string };
    await waitFor(systemClock, 60_000, async () => (await status()).marksUntold ?? undefined);
    await b.gateway.push([rxpkOf(uplink(ONE, 6), 6)]);
    await waitFor(systemClock, 60_000, async () => (await framesOf(a, 'own')).length === 1 || undefined);
    expect(await framesOf(a, 'own')).toHaveLength(1);
  });

  test('marks of a ring are told by the edge whose frames it keeps, and by no other', async () => {
    const b = await startEdge('b');
    await putRing(b, 'contract-1', { owner: 'edge-a' });
    await putRing(b, 'own', {});
    const json = { marks: { [ONE]: { session: 'ab', fcnt: 5 } } };
    const tell = async (ring: string, peer: string): Promise<number> => {
      const path = `/api/v3/ring/${ring}/marks`;
      const headers = { 'x-antirio-peer': peer };
      return (await b.http.call({ method: 'POST', path, json, headers })).status;
    };
    expect(await tell('contract-1', 'edge-a')).toBe(200);
    expect(await tell('contract-1', 'edge-c')).toBe(403);
    expect(await tell('own', 'edge-a')).toBe(403);
  });
});
