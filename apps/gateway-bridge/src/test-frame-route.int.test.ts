import { expect, test } from '@jest/globals';
import { systemClock, waitFor } from '@antirio/host';
import { toHex } from '@antirio/kernel';
import { call, collect, framesOf, ONE, putRing, startEdge, uplink } from './test-edge.ts';

const frames = [1, 2].map((fcnt) => toHex(uplink(ONE, fcnt)));

test('test frames go into a ring that hears nothing, once each, are delivered, and are told from what was heard', async () => {
  const edge = await startEdge('a');
  await putRing(edge, 'drill', { devAddrs: [], prefix: 'contract/drill/' });
  const delivered = await collect(edge.bus, 'contract/drill/+/gateway/+/event/up');
  for (let again = 0; again < 2; again++)
    expect(await call(edge, 'POST', '/ring/drill/test-frames', { frames })).toEqual({ taken: 2 });
  const held = await framesOf(edge, 'drill');
  expect(held.map(({ via }) => via)).toEqual(['drill', 'drill']);
  expect(held.map(({ phyPayload }) => Buffer.from(phyPayload, 'base64').toString('hex'))).toEqual(frames);
  await waitFor(systemClock, 60_000, () => delivered.length >= 2 || undefined);
  expect(delivered).toHaveLength(2);
});

test('a ring that listens takes none, nor does one take what is no frame, or from another edge', async () => {
  const edge = await startEdge('a');
  await putRing(edge, 'own');
  await expect(call(edge, 'POST', '/ring/own/test-frames', { frames })).rejects.toMatchObject({
    code: 'conflict',
  });
  await putRing(edge, 'drill', { devAddrs: [] });
  const path = '/api/v3/ring/drill/test-frames';
  for (const bad of [[], ['xy'], ['00']]) {
    const answer = await edge.http.call({ method: 'POST', path, json: { frames: bad } });
    expect([bad, answer.status]).toEqual([bad, 400]);
  }
  // of a contract that is over: without DevAddrs by now, and evidence
  await putRing(edge, 'over', { devAddrs: [] });
  await call(edge, 'POST', '/ring/over/test-frames', { frames: frames.slice(0, 1) });
  await call(edge, 'PUT', '/ring/over/kept', { forS: 1000 });
  await expect(call(edge, 'POST', '/ring/over/test-frames', { frames })).rejects.toMatchObject({
    code: 'conflict',
  });
  const headers = { 'x-antirio-peer': 'another' };
  expect((await edge.http.call({ method: 'POST', path, json: { frames }, headers })).status).toBe(403);
  expect(await framesOf(edge, 'own')).toEqual([]);
});
