import { describe, expect, test } from '@jest/globals';
import { systemClock, waitFor } from '@antirio/host';
import { buildJoinAccept, parseDevAddr, type AppKey } from '@antirio/lorawan';
import { command, sendOn } from '../test-downlinks.ts';
import { ONE, call, collect, framesOf, putRing, startEdge, uplink } from '../test-edge.ts';
import { rxpkOf } from '../test-gateway.ts';

const DEV_EUI = '70b3d57ed0000001';
const appKey = new Uint8Array(16).fill(3) as AppKey;

const joinRequest = (devNonce: number, devEui = DEV_EUI): Uint8Array => {
  const bytes = new Uint8Array(23);
  bytes.set(Buffer.from(devEui, 'hex').reverse(), 9);
  bytes.set([devNonce & 0xff, devNonce >>> 8], 17);
  return bytes;
};
const joinAccept = buildJoinAccept(appKey, {
  joinNonce: 1,
  netId: 0,
  devAddr: parseDevAddr('01000001'),
  dlSettings: { rx1DrOffset: 0, rx2DataRate: 0 },
  rxDelay: 1,
});

describe('joins through the bridge', () => {
  test('a JoinRequest is told and not kept; one JoinAccept goes out for it in its window, no second and none without', async () => {
    const edge = await startEdge('a');
    await putRing(edge, 'own', { devEuis: [DEV_EUI.toUpperCase()] });
    const events = await collect(edge.bus, 'eu868/gateway/+/event/up');
    await edge.gateway.pull();
    const stranger = joinRequest(1, '70b3d57ed00000ff');
    expect(
      await edge.gateway.push([
        rxpkOf(stranger, 500),
        rxpkOf(joinRequest(1), 1000),
        rxpkOf(uplink(ONE, 1), 2000),
      ]),
    ).toBe(true);
    await waitFor(systemClock, 60_000, () => events.length >= 2 || undefined);
    const join = events.find(({ event }) => event.rxInfo.metadata['kind'] === 'join')?.event;
    expect(join).toMatchObject({
      phyPayload: Buffer.from(joinRequest(1)).toString('base64'),
      rxInfo: { context: 'AAAD6A==', metadata: { kind: 'join', ring: 'own' } },
    });
    expect(Number(join?.rxInfo.metadata['heardAt'])).toBeGreaterThan(0);
    expect(events).toHaveLength(2);
    expect(await framesOf(edge, 'own')).toHaveLength(1);
    const refused = { status: 'INTERNAL_ERROR', refused: 'joinWithoutRequest' };
    expect(await sendOn(edge, command(joinAccept, [5], 999))).toEqual([refused]);
    // told 5 s before its time, it is held back until the fence may be asked
    const [sent, again] = await Promise.all([
      sendOn(edge, command(joinAccept, [5, 6], 1000), '', 8000),
      sendOn(edge, command(joinAccept, [5, 6], 1000), '', 8000),
    ]);
    expect([sent, again]).toContainEqual([refused, refused]);
    await waitFor(systemClock, 60_000, () => edge.gateway.downlinks.length > 0 || undefined);
    expect(edge.gateway.downlinks.map(({ txpk }) => txpk['tmst'])).toEqual([5_001_000]);
    expect(await call(edge, 'GET', '/fence')).toMatchObject({
      commands: { refused: { joinWithoutRequest: 3 } },
    });
    const text = Buffer.from((await edge.http.call({ path: '/api/v3/metrics' })).body).toString();
    expect(text).toMatch(/unmatched_frames_total\{kind="unknownDevEui"\} 1\n/);
  });

  test("a contract's reader answers joins only while its set may act", async () => {
    const edge = await startEdge('a');
    const prefix = 'contract/c-1/';
    await putRing(edge, 'c-1', { devEuis: [DEV_EUI], prefix });
    await edge.gateway.pull();
    const now = systemClock.monotonic();
    const window = { devAddrs: [ONE], epoch: 1, slot: 0, actFrom: now, actUntil: now + 60_000 };
    await call(edge, 'PUT', '/fence/set-1', window);
    await call(edge, 'POST', '/fence/set-1/close');
    await edge.gateway.push([rxpkOf(joinRequest(1), 1000)]);
    // the real windows are 5 and 6 s later; the fence does not care which one it is
    expect(await sendOn(edge, command(joinAccept, [2.8], 1000), prefix)).toEqual([
      { status: 'INTERNAL_ERROR', refused: 'shut' },
    ]);
    await call(edge, 'PUT', '/fence/set-1', window);
    expect(await sendOn(edge, command(joinAccept, [2.8], 1000), prefix)).toEqual([{ status: 'OK' }]);
  });

  test("the edge's own reader answers joins of its devices, but not of those that another edge acts for", async () => {
    const edge = await startEdge('a');
    const other = '70b3d57ed0000002';
    await putRing(edge, 'own', { devEuis: [DEV_EUI, other] });
    await edge.gateway.pull();
    await call(edge, 'POST', '/fence/set-1/close', { devAddrs: [ONE], devEuis: [DEV_EUI] });
    await edge.gateway.push([rxpkOf(joinRequest(1), 1000), rxpkOf(joinRequest(1, other), 5000)]);
    expect(await sendOn(edge, command(joinAccept, [2.8], 1000))).toEqual([
      { status: 'INTERNAL_ERROR', refused: 'shut' },
    ]);
    expect(await sendOn(edge, command(joinAccept, [2.8], 5000))).toEqual([{ status: 'OK' }]);
  });
});
