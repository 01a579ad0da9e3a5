import { describe, expect, test } from '@jest/globals';
import { systemClock, waitFor } from '@antirio/host';
import { merkleRoot, toHex } from '@antirio/kernel';
import { parseDevAddr } from '@antirio/lorawan';
import {
  ONE,
  TWO,
  GATEWAY,
  call,
  collect,
  framesOf,
  onEnd,
  putRing,
  startEdge,
  uplink,
} from './test-edge.ts';
import { createTestGateway, rxpkOf } from './test-gateway.ts';

describe('from the gateway to the ring and the bus', () => {
  test('a PUSH_ACK means that the frame is in every ring that wants it; others are counted', async () => {
    const edge = await startEdge('a');
    await putRing(edge, 'own');
    await putRing(edge, 'contract-1', { devAddrs: [TWO], deliver: false });
    const events = await collect(edge.bus, 'eu868/gateway/+/event/up');
    const stranger = uplink(parseDevAddr('09000009'), 1);
    expect(
      await edge.gateway.push([
        rxpkOf(uplink(ONE, 1), 1000),
        rxpkOf(uplink(TWO, 1), 2000),
        rxpkOf(stranger, 3000),
      ]),
    ).toBe(true);
    expect((await framesOf(edge, 'own')).map(({ phyPayload }) => phyPayload)).toEqual(
      [uplink(ONE, 1), uplink(TWO, 1)].map((bytes) => Buffer.from(bytes).toString('base64')),
    );
    expect(await framesOf(edge, 'contract-1')).toHaveLength(1);
    await waitFor(systemClock, 60_000, () => events.length >= 2 || undefined);
    expect(
      events.map(({ topic, event }) => [
        topic,
        event.rxInfo.metadata['seq'],
        event.rxInfo.metadata['previousSeq'],
      ]),
    ).toEqual([
      [`eu868/gateway/${GATEWAY}/event/up`, '1', '0'],
      [`eu868/gateway/${GATEWAY}/event/up`, '2', '1'],
    ]);
    const metrics = await edge.http.call({ path: '/api/v3/metrics' });
    const text = Buffer.from(metrics.body).toString();
    expect(text).toMatch(/antirio_gateway_unmatched_frames_total\{kind="unknownDevAddr"\} 1/);
    if (process.platform === 'linux') expect(text).toMatch(/antirio_gateway_udp_kernel_drops 0/);
  });

  test('what must not come in does not: other networks, gateways, garbage; what is broken is not acknowledged', async () => {
    const edge = await startEdge('a');
    await putRing(edge, 'own');
    const other = await createTestGateway('00000000deadbeef', edge.bridge.address?.udpPort ?? 0);
    onEnd(() => other.close());
    expect(await other.push([rxpkOf(uplink(ONE, 1), 1)], 150)).toBe(false);
    for (const bytes of ['', '02', '02000000', '0200000700000000aabbccdd', '0200010000000000aabbccdd7b'])
      edge.gateway.sendRaw(Buffer.from(bytes, 'hex'));
    edge.gateway.sendRaw(Buffer.alloc(60_000, 0x41));
    expect(
      await edge.gateway.push([
        { ...rxpkOf(uplink(ONE, 2), 1), stat: -1 },
        { data: 7 },
        rxpkOf(uplink(ONE, 3), 2),
      ]),
    ).toBe(true);
    expect(await framesOf(edge, 'own')).toHaveLength(1);
    const text = Buffer.from((await edge.http.call({ path: '/api/v3/metrics' })).body).toString();
    for (const reason of ['unknownGateway', 'malformedJson', 'crcFailed', 'malformedRxpk'])
      expect(text).toMatch(new RegExp(`antirio_gateway_ignored_total\\{reason="${reason}"\\} 1\\n`));
    expect(text).toMatch(/reason="malformedDatagram"\} 5\n/);
    const closed = await startEdge('b', undefined, { sourceNetworks: ['10.0.0.0/8'] });
    await putRing(closed, 'own');
    expect(await closed.gateway.push([rxpkOf(uplink(ONE, 1), 1)], 150)).toBe(false);
  });

  test('the same bytes again are told as such, once kept', async () => {
    const edge = await startEdge('a');
    await putRing(edge, 'own');
    const events = await collect(edge.bus, 'eu868/gateway/+/event/up');
    for (let i = 0; i < 3; i++) await edge.gateway.push([rxpkOf(uplink(ONE, 1), 1000 + i)]);
    await waitFor(systemClock, 60_000, () => events.length >= 3 || undefined);
    expect(events.map(({ event }) => event.rxInfo.metadata['reception'])).toEqual([
      'first',
      'again',
      'again',
    ]);
    expect(await framesOf(edge, 'own')).toHaveLength(1);
  });

  test('a reader gets in order what it missed, window by window', async () => {
    const edge = await startEdge('a');
    await putRing(edge, 'contract-1', { prefix: 'contract/contract-1/' });
    for (let fcnt = 1; fcnt <= 7; fcnt++) await edge.gateway.push([rxpkOf(uplink(ONE, fcnt), fcnt)]);
    const events = await collect(edge.bus, 'contract/contract-1/eu868/gateway/+/event/up');
    const replay = (after: number) =>
      edge.bus.publish(
        'contract/contract-1/eu868/gateway/all/command/replay',
        JSON.stringify({ ring: 'contract-1', after, limit: 3 }),
      );
    await replay(0);
    await waitFor(systemClock, 60_000, () => events.length >= 3 || undefined);
    await replay(3);
    await waitFor(systemClock, 60_000, () => events.length >= 6 || undefined);
    const ofAnother = { through: 7, incarnation: 'of another life' };
    await expect(call(edge, 'POST', '/ring/contract-1/acknowledge', ofAnother)).rejects.toMatchObject({
      code: 'conflict',
    });
    const { incarnation } = (await call(edge, 'GET', '/ring/contract-1')) as { incarnation: string };
    await call(edge, 'POST', '/ring/contract-1/acknowledge', { through: 6, incarnation });
    await replay(2);
    await waitFor(systemClock, 60_000, () => events.length >= 7 || undefined);
    const seen = events.map(({ event: { rxInfo } }) => [
      Number(rxInfo.metadata['previousSeq']),
      Number(rxInfo.metadata['seq']),
    ]);
    // after the owner's acknowledgement nothing up to 6 is given any more
    expect(seen).toEqual([
      [0, 1],
      [1, 2],
      [2, 3],
      [3, 4],
      [4, 5],
      [5, 6],
      [2, 7],
    ]);
    await edge.bus.publish(
      'eu868/gateway/all/command/replay',
      JSON.stringify({ ring: 'contract-1', after: 0, limit: 3 }),
    );
    await edge.bus.publish('contract/contract-1/eu868/gateway/all/command/replay', 'nonsense');
    expect(events).toHaveLength(7);
  });

  test('the root is that of the PHYPayloads in arrival order; neighbours reach only what is theirs', async () => {
    const edge = await startEdge('a');
    await putRing(edge, 'own');
    await putRing(edge, 'contract-1', { owner: 'customer' });
    const payloads = [1, 2, 3].map((fcnt) => uplink(ONE, fcnt));
    for (const [i, payload] of payloads.entries()) await edge.gateway.push([rxpkOf(payload, i)]);
    expect(await call(edge, 'GET', '/ring/own/root')).toMatchObject({
      root: toHex(merkleRoot(payloads)),
      count: 3,
      through: 3,
      incarnation: expect.any(String),
    });
    expect(await call(edge, 'GET', '/ring/own/root?through=2')).toMatchObject({
      root: toHex(merkleRoot(payloads.slice(0, 2))),
    });
    const statusFor = async (path: string, peer: string, method: 'GET' | 'DELETE' = 'GET'): Promise<number> =>
      (await edge.http.call({ method, path: `/api/v3${path}`, headers: { 'x-antirio-peer': peer } })).status;
    expect(await statusFor('/ring/contract-1/offers', 'customer')).toBe(200);
    expect(await statusFor('/ring/contract-1/offers', 'stranger')).toBe(403);
    expect(await statusFor('/ring/own/offers', 'customer')).toBe(403);
    expect(await statusFor('/ring/contract-1', 'customer', 'DELETE')).toBe(403);
    expect(await statusFor('/fence', 'customer')).toBe(403);
  });

  test('input that is wrong gets a clear error', async () => {
    const edge = await startEdge('a');
    await expect(call(edge, 'PUT', '/ring/..', {})).rejects.toThrow();
    await expect(call(edge, 'PUT', '/ring/own', { devAddrs: ['x'], budgetBytes: 5 })).rejects.toThrow(
      /devAddrs.0: a DevAddr/,
    );
    await expect(call(edge, 'PUT', '/ring/own', { devAddrs: [ONE], budgetBytes: 2 ** 40 })).rejects.toThrow(
      /does not fit/,
    );
    await expect(call(edge, 'GET', '/ring/none/frames')).rejects.toThrow(/no ring none/);
    await putRing(edge, 'own');
    await expect(call(edge, 'GET', '/ring/own/offers?limit=100000')).rejects.toThrow(/limit/);
    await expect(call(edge, 'GET', '/ring/own/root?through=5')).rejects.toThrow(/ends at 0/);
    await call(edge, 'DELETE', '/ring/own');
    await expect(call(edge, 'GET', '/ring/own')).rejects.toThrow(/no ring/);
  });
});

test('a contract ring goes on with the frames of the trial that led to it', async () => {
  const edge = await startEdge('a');
  await putRing(edge, 'match-1', { deliver: false });
  await edge.gateway.push([rxpkOf(uplink(ONE, 1), 1)]);
  await putRing(edge, 'contract-1', { adopt: 'match-1', prefix: 'contract/contract-1/' });
  await putRing(edge, 'contract-1', { adopt: 'match-1', prefix: 'contract/contract-1/' });
  await edge.gateway.push([rxpkOf(uplink(ONE, 2), 2)]);
  expect(await framesOf(edge, 'contract-1')).toHaveLength(2);
  await expect(call(edge, 'GET', '/ring/match-1')).rejects.toThrow(/no ring/);
  expect(await call(edge, 'GET', '/ring/contract-1')).toMatchObject({ acknowledged: 0, last: 2, next: 3 });
  const [offer] = (
    (await call(edge, 'GET', '/ring/contract-1/offers')) as { offers: Record<string, unknown>[] }
  ).offers;
  const { devAddr, fcnt, mic, digest } = offer ?? {};
  expect(
    await call(edge, 'POST', '/ring/contract-1/find', { frames: [{ devAddr, fcnt, mic, digest }] }),
  ).toMatchObject({
    frames: [{ seq: 1, phyPayload: Buffer.from(uplink(ONE, 1)).toString('base64') }],
  });
});
