import { describe, expect, test } from '@jest/globals';
import { systemClock, waitFor } from '@antirio/host';
import { testWhen } from '@antirio/testing';
import { command } from '../test-downlinks.ts';
import {
  GATEWAY,
  ONE,
  collect,
  downlink,
  onEnd,
  putRing,
  startEdge,
  uplink,
  call,
  type Edge,
} from '../test-edge.ts';
import { createTestGateway, rxpkOf, type TestGateway } from '../test-gateway.ts';

interface Listed {
  gateways: Record<string, unknown>[];
}
const gatewayOf = async (edge: Edge, id = GATEWAY): Promise<Record<string, unknown> | undefined> =>
  ((await call(edge, 'GET', '/gateway')) as Listed).gateways.find(({ gatewayId }) => gatewayId === id);

const stranger = async (edge: Edge, host: string): Promise<TestGateway> => {
  const other = await createTestGateway(GATEWAY, edge.bridge.address?.udpPort ?? 0, { host });
  onEnd(() => other.close());
  return other;
};

const messages = async (edge: Edge, filter: string): Promise<{ topic: string; text: string }[]> => {
  const got: { topic: string; text: string }[] = [];
  await edge.bus.subscribe(filter, (topic, payload) => {
    got.push({ topic, text: Buffer.from(payload).toString() });
  });
  return got;
};

// Elsewhere than on Linux only 127.0.0.1 is there without further ado.
const onLinux = testWhen(process.platform === 'linux', 'no second loopback address');

describe('a gateway id from another host', () => {
  onLinux(
    'gets no downlinks, its frames are kept but not told as heard just now, and both are counted',
    async () => {
      const edge = await startEdge('a');
      await putRing(edge, 'own');
      expect(await edge.gateway.pull()).toBe(true);
      const spoofer = await stranger(edge, '127.0.0.2');
      expect(await spoofer.pull(150)).toBe(false);
      const events = await collect(edge.bus, 'eu868/gateway/+/event/up');
      expect(await spoofer.push([rxpkOf(uplink(ONE, 1), 7)])).toBe(true);
      expect(await edge.gateway.push([rxpkOf(uplink(ONE, 1), 1000)])).toBe(true);
      await waitFor(systemClock, 60_000, () => events.length >= 2 || undefined);
      expect(events.map(({ event }) => event.rxInfo.metadata['heardAt'] === undefined)).toEqual([
        true,
        false,
      ]);
      expect(await gatewayOf(edge)).toMatchObject({
        address: { host: '127.0.0.1' },
        addressContested: 2,
        addressChanged: 0,
        reachable: true,
      });
      const text = Buffer.from((await edge.http.call({ path: '/api/v3/metrics' })).body).toString();
      expect(text).toMatch(/ignored_total\{reason="addressContested"\} 1\n/);
      expect(text).toMatch(/ignored_total\{reason="contestedPush"\} 1\n/);
    },
  );

  onLinux('is believed at once where that is wanted', async () => {
    const edge = await startEdge('a', undefined, { addressChange: 'newest' });
    await edge.gateway.pull();
    const moved = await stranger(edge, '127.0.0.2');
    expect(await moved.pull()).toBe(true);
    expect(await gatewayOf(edge)).toMatchObject({ address: { host: '127.0.0.2' }, addressChanged: 1 });
  });
});

test("a gateway's report and its coming are told to the edge's own reader, the latter for those to come", async () => {
  const edge = await startEdge('a');
  await putRing(edge, 'own');
  const stats = await messages(edge, 'eu868/gateway/+/event/stats');
  await edge.gateway.push([rxpkOf(uplink(ONE, 1), 1)]);
  await edge.gateway.report({
    time: '2026-11-21 08:08:17 GMT',
    rxnb: 1,
    rxok: 1,
    lati: 38.29,
    long: 21.79,
    alti: 12,
  });
  await waitFor(systemClock, 60_000, () => stats.length > 0 || undefined);
  expect(stats[0]?.topic).toBe(`eu868/gateway/${GATEWAY}/event/stats`);
  expect(JSON.parse(stats[0]?.text ?? '')).toMatchObject({
    gatewayId: GATEWAY,
    rxPacketsReceived: 1,
    location: { latitude: 38.29, longitude: 21.79, altitude: 12, source: 'GPS' },
    rxPacketsPerFrequency: { '868100000': 1 },
  });
  const late = await messages(edge, 'eu868/gateway/+/state/conn');
  await waitFor(systemClock, 60_000, () => late.length > 0 || undefined);
  expect(late.map(({ text }) => JSON.parse(text) as unknown)).toEqual([
    { gatewayId: GATEWAY, state: 'ONLINE' },
  ]);
  expect(await gatewayOf(edge)).toMatchObject({
    online: true,
    frames: 1,
    pushed: 2,
    acknowledged: 2,
    protocolVersion: 2,
    stat: { rxOk: 1 },
  });
});

test('a gateway that falls silent is told as offline', async () => {
  const edge = await startEdge('a', undefined, { addressMaxAgeMs: 1000 });
  await putRing(edge, 'own');
  const states = await messages(edge, 'eu868/gateway/+/state/conn');
  await edge.gateway.pull();
  await waitFor(systemClock, 60_000, () => states.length >= 2 || undefined);
  expect(states.map(({ text }) => (JSON.parse(text) as { state: string }).state)).toEqual([
    'ONLINE',
    'OFFLINE',
  ]);
});

test('what was said of a gateway before a kill is taken back when it does not come again', async () => {
  const edge = await startEdge('a', undefined, { addressMaxAgeMs: 1000 });
  const other = 'eu868/gateway/00000000deadbeef/state/conn';
  await edge.bus.publish(other, '{"gatewayId":"00000000deadbeef","state":"ONLINE"}', { retain: true });
  const states = await messages(edge, 'eu868/gateway/+/state/conn');
  await putRing(edge, 'own');
  const said = (): string[] =>
    states.flatMap(({ topic, text }) =>
      topic === other ? [(JSON.parse(text) as { state: string }).state] : [],
    );
  await waitFor(systemClock, 60_000, () => said().length >= 2 || undefined);
  expect(said()).toEqual(['ONLINE', 'OFFLINE']);
});

test('frames of another region are counted and kept in no ring', async () => {
  const edge = await startEdge('a');
  await putRing(edge, 'own');
  const outside = [
    { ...rxpkOf(uplink(ONE, 1), 1), freq: 915.2 },
    { ...rxpkOf(uplink(ONE, 2), 2), datr: 'SF12BW500' },
  ];
  expect(await edge.gateway.push(outside)).toBe(true);
  expect(await call(edge, 'GET', '/ring/own')).toMatchObject({ count: 0 });
  const text = Buffer.from((await edge.http.call({ path: '/api/v3/metrics' })).body).toString();
  expect(text).toMatch(/unmatched_frames_total\{kind="outOfPlan"\} 2\n/);
});

test('several gateways: each is told by its name, and gets its own downlinks', async () => {
  const edge = await startEdge('a', undefined, { gateways: 'any' });
  await putRing(edge, 'own');
  const second = await createTestGateway('00000000aabbccee', edge.bridge.address?.udpPort ?? 0);
  onEnd(() => second.close());
  const events = await collect(edge.bus, 'eu868/gateway/+/event/up');
  for (const gateway of [edge.gateway, second]) {
    await gateway.pull();
    await gateway.push([rxpkOf(uplink(ONE, 1), 1000)]);
  }
  await waitFor(systemClock, 60_000, () => events.length >= 2 || undefined);
  expect(events.map(({ topic, event }) => [topic.split('/')[2], event.rxInfo.metadata['reception']])).toEqual(
    [
      [GATEWAY, 'first'],
      ['00000000aabbccee', 'again'],
    ],
  );
  await edge.bus.publish('eu868/gateway/00000000aabbccee/command/down', command(downlink(1), [2.9], 1000));
  await waitFor(systemClock, 60_000, () => second.downlinks.length > 0 || undefined);
  expect([edge.gateway.downlinks.length, second.downlinks.length]).toEqual([0, 1]);
  expect(await gatewayOf(edge, '00000000aabbccee')).toMatchObject({ frames: 1, reachable: true });
});

test('more frames than can be written down are not acknowledged', async () => {
  const edge = await startEdge('a', undefined, { maxFramesUnderWay: 2 });
  await putRing(edge, 'own');
  const three = [1, 2, 3].map((fcnt) => rxpkOf(uplink(ONE, fcnt), fcnt));
  expect(await edge.gateway.push(three, 200)).toBe(false);
  expect(await edge.gateway.push(three.slice(0, 2))).toBe(true);
});
