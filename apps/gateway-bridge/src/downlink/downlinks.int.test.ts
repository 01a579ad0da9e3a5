import { describe, expect, test } from '@jest/globals';
import { systemClock, waitFor } from '@antirio/host';
import { GATEWAY, ONE, call, downlink, onEnd, putRing, startEdge, uplink, type Edge } from '../test-edge.ts';
import { command, commandOf, contextOf, heard, itemOf, sendOn } from '../test-downlinks.ts';
import { createTestGateway, rxpkOf } from '../test-gateway.ts';

async function startHeard(more: Parameters<typeof startEdge>[3] = {}): Promise<Edge> {
  const edge = await startEdge('a', undefined, {}, more);
  await putRing(edge, 'own');
  await edge.gateway.pull();
  await heard(edge, 1000);
  return edge;
}
const after = (seconds: number): unknown => ({ delay: { delay: `${String(seconds)}s` } });
const context = contextOf(1000);

describe('when a downlink goes out', () => {
  test('at once, for a device that listens always: at a time on the clock of the gateway, the one that is reserved', async () => {
    const edge = await startHeard();
    const sf12 = { bandwidth: 125_000, spreadingFactor: 12, codeRate: 'CR_4_5', polarizationInversion: true };
    const tmstOf = (index: number): number => Number(edge.gateway.downlinks[index]?.txpk['tmst']);
    expect(await sendOn(edge, command(downlink(1), [2.5], 1000))).toEqual([{ status: 'OK' }]);
    const atOnce = (fcnt: number, payload: string): string =>
      commandOf([itemOf(downlink(fcnt, payload), { immediately: {} }, { modulation: { lora: sf12 } })]);
    // 1.2 s on air: it would overlap with the one before
    expect(await sendOn(edge, atOnce(2, 'x'.repeat(8)))).toEqual([{ status: 'OK' }]);
    expect(edge.gateway.downlinks.map(({ txpk }) => txpk['imme'])).toEqual([false, false]);
    expect(tmstOf(0)).toBe(1000 + 2_500_000);
    // behind it, by its time on air and the gateway's pause
    expect(tmstOf(1)).toBeGreaterThan(tmstOf(0) + 50_000);
    expect(tmstOf(1)).toBeLessThan(tmstOf(0) + 200_000);
  });

  test('at once, alone, it has about a second; not where the clock of the gateway is unknown', async () => {
    const edge = await startEdge('a');
    await putRing(edge, 'own');
    await edge.gateway.pull();
    const atOnce = (fcnt: number): string => commandOf([itemOf(downlink(fcnt), { immediately: {} })]);
    expect(await sendOn(edge, atOnce(1))).toEqual([{ status: 'INTERNAL_ERROR', refused: 'notTimed' }]);
    expect(edge.gateway.downlinks).toEqual([]);
    await heard(edge, 1000);
    const since = performance.now();
    expect(await sendOn(edge, atOnce(1))).toEqual([{ status: 'OK' }]);
    const { txpk } = edge.gateway.downlinks[0] ?? {};
    expect(txpk).toMatchObject({ imme: false });
    const ahead = Number(txpk?.['tmst']) - 1000;
    expect(ahead).toBeGreaterThanOrEqual(1_000_000);
    expect(ahead).toBeLessThan(1_000_000 + (performance.now() - since + 1000) * 1000);
  });

  test('at a GPS time, of a gateway that tells GPS time', async () => {
    const edge = await startHeard();
    const at = (seconds: number): string =>
      commandOf([itemOf(downlink(1), { gpsEpoch: { timeSinceGpsEpoch: `${String(seconds)}s` } })]);
    expect(await sendOn(edge, at(1_479_283_717.5))).toEqual([
      { status: 'GPS_UNLOCKED', refused: 'noGpsTime' },
    ]);
    await edge.gateway.push([{ ...rxpkOf(uplink(ONE, 2), 2_000_000), tmms: 1_479_283_715_000 }]);
    expect(await sendOn(edge, at(1_479_283_717.5))).toEqual([{ status: 'OK' }]);
    expect(edge.gateway.downlinks[0]?.txpk).toMatchObject({ imme: false, tmms: 1_479_283_717_500 });
    expect(await sendOn(edge, at(1_479_283_915))).toEqual([{ status: 'TOO_EARLY', refused: 'tooFarAhead' }]);
  });

  test('earlier than the fence takes it, it is held back until then', async () => {
    const edge = await startHeard();
    const before = performance.now();
    expect(await sendOn(edge, command(downlink(1), [4], 1000), '', 6000)).toEqual([{ status: 'OK' }]);
    expect(edge.gateway.downlinks[0]?.at).toBeGreaterThan(before + 1500);
  });
});

describe('the rules of the air', () => {
  test('a band, a power, and only one downlink at a time', async () => {
    const edge = await startHeard();
    const one = (seconds: number, change: object = {}): object =>
      itemOf(downlink(1), after(seconds), { context, ...change });
    expect(await sendOn(edge, commandOf([one(2.5, { frequency: 869_300_000 })]))).toEqual([
      { status: 'TX_FREQ', refused: 'outOfPlan' },
    ]);
    expect(await sendOn(edge, commandOf([one(2.5, { power: 27 })]))).toEqual([
      { status: 'TX_POWER', refused: 'overPower' },
    ]);
    expect(await sendOn(edge, commandOf([one(2.5)]))).toEqual([{ status: 'OK' }]);
    const other = (seconds: number): object => itemOf(downlink(2), after(seconds), { context });
    // 40 ms into the first one; the second way does
    expect(await sendOn(edge, commandOf([other(2.54), other(2.8)]))).toEqual([
      { status: 'COLLISION_PACKET', refused: 'collision' },
      { status: 'OK' },
    ]);
    expect(edge.gateway.downlinks).toHaveLength(2);
    const text = Buffer.from((await edge.http.call({ path: '/api/v3/metrics' })).body).toString();
    expect(text).toMatch(/airtime_ratio\{gateway="00000000aabbccdd",band="M"\} 0\.00\d+\n/);
    expect(text).toMatch(/gateway_gateways\{state="reachable"\} 1\n/);
    expect(text).toMatch(/downlinks_refused_total\{reason="collision"\} 1\n/);
  });

  test('time on air is accounted, and what did not go out costs none', async () => {
    const edge = await startHeard();
    const sf12 = { bandwidth: 125_000, spreadingFactor: 12, codeRate: 'CR_4_5', polarizationInversion: true };
    const long = (fcnt: number): object =>
      itemOf(downlink(fcnt, 'x'.repeat(232)), after(2.5), { context, modulation: { lora: sf12 } });
    edge.gateway.answers = ['TOO_LATE'];
    expect(await sendOn(edge, commandOf([long(1)]))).toEqual([{ status: 'TOO_LATE' }]);
    const airtime = async (of: Edge): Promise<{ band: string; usedMs: number }[]> =>
      ((await call(of, 'GET', '/gateway')) as { gateways: { airtime: { band: string; usedMs: number }[] }[] })
        .gateways[0]?.airtime ?? [];
    expect((await airtime(edge))[0]?.usedMs).toBe(0);
    expect(await sendOn(edge, commandOf([long(2)]))).toEqual([{ status: 'OK' }]);
    // 245 bytes at SF12
    expect((await airtime(edge))[0]?.usedMs).toBeCloseTo(8691.7, 1);
  });

  test('duty cycle: the band of the second window has its own, and a refusal says so', async () => {
    const edge = await startHeard();
    const sf12 = { bandwidth: 125_000, spreadingFactor: 12, codeRate: 'CR_4_5', polarizationInversion: true };
    // a band of 0.1 %: 3.6 s in an hour, less than 100 bytes at SF12 take
    const item = (frequency: number, seconds: number): object =>
      itemOf(downlink(1, 'x'.repeat(100)), after(seconds), {
        context,
        frequency,
        modulation: { lora: sf12 },
      });
    expect(await sendOn(edge, commandOf([item(864_100_000, 2.4), item(869_525_000, 2.8)]))).toEqual([
      { status: 'DUTY_CYCLE_OVERFLOW', refused: 'dutyCycle' },
      { status: 'OK' },
    ]);
    const free = await startEdge('b', undefined, {}, { downlinks: { dutyCycle: false } });
    await putRing(free, 'own');
    await free.gateway.pull();
    await heard(free, 1000);
    expect(await sendOn(free, commandOf([item(864_100_000, 2.5)]))).toEqual([{ status: 'OK' }]);
  });
});

describe('what the gateway says', () => {
  test('of less power it is sent all the same, and counted', async () => {
    const edge = await startHeard();
    edge.gateway.acks = [{ warn: 'TX_POWER', value: 12 }];
    expect(await sendOn(edge, command(downlink(1), [2.5], 1000))).toEqual([{ status: 'OK' }]);
    expect(await call(edge, 'GET', '/fence')).toMatchObject({ commands: { sent: 1, reducedPower: 1 } });
    expect(await call(edge, 'GET', '/gateway')).toMatchObject({ gateways: [{ downlinks: { OK: 1 } }] });
  });

  test('nothing, in version 1 of the protocol: sent is all that is known', async () => {
    const edge = await startEdge('a');
    await putRing(edge, 'own');
    const old = await createTestGateway(GATEWAY, edge.bridge.address?.udpPort ?? 0, { version: 1 });
    onEnd(() => old.close());
    expect(await old.pull()).toBe(true);
    expect(await old.push([rxpkOf(uplink(ONE, 1), 1000)])).toBe(true);
    expect(await sendOn(edge, command(downlink(1), [2.5], 1000))).toEqual([{ status: 'OK' }]);
    // It acknowledges nothing: the datagram may still be on its way.
    await waitFor(systemClock, 60_000, () => (old.downlinks.length > 0 ? true : undefined));
    expect(old.downlinks).toHaveLength(1);
  });
});
