import { describe, expect, test } from '@jest/globals';
import { systemClock, waitFor } from '@antirio/host';
import { command, heard, sendOn } from '../test-downlinks.ts';
import { GATEWAY, ONE, TWO, call, downlink, putRing, startEdge, uplink } from '../test-edge.ts';
import { decodeMessage, encodeMessage } from './protobuf.ts';

describe('downlinks', () => {
  test('a downlink goes out timed on the gateway, and its outcome comes back; RX2 where RX1 is too late', async () => {
    const edge = await startEdge('a');
    await putRing(edge, 'own');
    await edge.gateway.pull();
    await heard(edge, 4_294_900_000);
    expect(await sendOn(edge, command(downlink(1), [2, 2.9], 4_294_900_000))).toEqual([
      { status: 'OK' },
      { status: 'IGNORED' },
    ]);
    expect(edge.gateway.downlinks[0]?.txpk).toMatchObject({
      imme: false,
      tmst: 1_932_704,
      data: Buffer.from(downlink(1)).toString('base64'),
    });
    edge.gateway.answers = ['TOO_LATE', 'NONE'];
    expect(await sendOn(edge, command(downlink(2), [2.2, 2.9], 4_294_900_000))).toEqual([
      { status: 'TOO_LATE' },
      { status: 'OK' },
    ]);
    edge.gateway.answers = [undefined];
    expect(await sendOn(edge, command(downlink(3), [2.4, 2.7], 4_294_900_000))).toEqual([
      { status: 'INTERNAL_ERROR', refused: 'noTxAck' },
      { status: 'IGNORED' },
    ]);
  });

  test('a gateway is found at its newest address, and not at all before it asks', async () => {
    const edge = await startEdge('a');
    await putRing(edge, 'own');
    await heard(edge, 1000);
    expect(await sendOn(edge, command(downlink(1), [2.5], 1000))).toEqual([
      { status: 'INTERNAL_ERROR', refused: 'gatewayUnreachable' },
    ]);
    await edge.gateway.pull();
    await edge.gateway.move();
    await edge.gateway.pull();
    expect(await sendOn(edge, command(downlink(1), [2.5], 1000))).toEqual([{ status: 'OK' }]);
  });

  test('the fence refuses, and says why', async () => {
    const edge = await startEdge('a');
    await putRing(edge, 'own');
    await edge.gateway.pull();
    await heard(edge, 1000);
    const now = systemClock.monotonic();
    const set = { devAddrs: [ONE], epoch: 5, slot: 0, actFrom: now, actUntil: now + 60_000 };
    await call(edge, 'PUT', '/fence/set-1', set);
    const reasonOf = async (fcnt: number, delays = [2.5], text = 'down') =>
      (await sendOn(edge, command(downlink(fcnt, text), delays, 1000)))[0]?.refused;
    expect(await reasonOf(1)).toBe('noBlock');
    await call(edge, 'PUT', '/fence/set-1/block', { devAddr: ONE, first: 0, last: 15 });
    expect(await reasonOf(1)).toBeUndefined();
    expect(await reasonOf(1, [2.5], 'other bytes')).toBe('counterReused');
    expect(await reasonOf(1, [2.8])).toBeUndefined();
    expect(await reasonOf(2, [20])).toBe('tooFarAhead');
    await call(edge, 'POST', '/fence/set-1/close');
    expect(await reasonOf(2)).toBe('shut');
    await expect(call(edge, 'PUT', '/fence/set-1', { ...set, epoch: 4 })).rejects.toThrow(/epoch 4 is over/);
    expect(await call(edge, 'GET', '/fence')).toMatchObject({
      refused: { noBlock: 1, counterReused: 1, shut: 1 },
      commands: { refused: { tooFarAhead: 1 } },
      sets: [{ setId: 'set-1', epoch: 5, open: false }],
    });
    expect(edge.gateway.downlinks).toHaveLength(2);
  });

  test('a service sends only to the devices of the rings behind its prefix, and only data downlinks', async () => {
    const edge = await startEdge('a');
    await putRing(edge, 'own', { devAddrs: [ONE] });
    await putRing(edge, 'contract-1', { devAddrs: [TWO], prefix: 'contract/contract-1/' });
    await edge.gateway.pull();
    await heard(edge, 1000);
    const foreign = await sendOn(edge, command(downlink(1), [2.5], 1000), 'contract/contract-1/');
    expect(foreign).toEqual([{ status: 'INTERNAL_ERROR', refused: 'foreignDevAddr' }]);
    expect(await sendOn(edge, command(uplink(ONE, 1), [2.5], 1000))).toEqual([
      { status: 'INTERNAL_ERROR', refused: 'notDataDownlink' },
    ]);
    expect(edge.gateway.downlinks).toHaveLength(0);
  });

  test('a ring whose reader wants protobuf gets protobuf, and is answered in it', async () => {
    const edge = await startEdge('a');
    await putRing(edge, 'own', { encoding: 'protobuf' });
    const got = new Map<string, Uint8Array>();
    await edge.bus.subscribe('eu868/gateway/+/event/+', (topic, payload) => void got.set(topic, payload));
    await edge.gateway.pull();
    await heard(edge, 1000);
    const topic = `eu868/gateway/${GATEWAY}`;
    const next = async (what: string): Promise<Uint8Array> =>
      (await waitFor(systemClock, 60_000, () => got.get(`${topic}/event/${what}`))) ?? new Uint8Array();
    const up = await next('up');
    expect(decodeMessage('UplinkFrame', up)).toMatchObject({
      phyPayload: Buffer.from(uplink(ONE, 1000)).toString('base64'),
      rxInfo: { metadata: { seq: '1', ring: 'own' } },
    });
    const frame = encodeMessage(
      'DownlinkFrame',
      JSON.parse(command(downlink(1), [2.5, 2.8], 1000)) as object,
    );
    await edge.bus.publish(`${topic}/command/down`, frame);
    const ack = await next('ack');
    expect(decodeMessage('DownlinkTxAck', ack)).toEqual({
      gatewayId: GATEWAY,
      downlinkId: 7,
      items: [{ status: 'OK' }, { status: 'IGNORED' }],
    });
    await edge.gateway.report({ time: '2026-11-21 08:08:17 GMT', rxnb: 3 });
    const stats = await next('stats');
    expect(decodeMessage('GatewayStats', stats)).toMatchObject({
      rxPacketsReceived: 3,
      txPacketsPerStatus: { OK: 1 },
      rxPacketsPerFrequency: { '868100000': 1 },
    });
  });

  test('what cannot be read is answered as far as it can be', async () => {
    const edge = await startEdge('a');
    await putRing(edge, 'own');
    const malformed = { status: 'INTERNAL_ERROR', refused: 'malformed' };
    const fsk = {
      phyPayload: '',
      txInfo: { frequency: 868_800_000, modulation: { fsk: { datarate: 50_000 } } },
    };
    expect(await sendOn(edge, JSON.stringify({ downlinkId: 7, items: [fsk, 8] }))).toEqual([
      malformed,
      malformed,
    ]);
    await edge.bus.publish(`eu868/gateway/${GATEWAY}/command/down`, 'nonsense');
    expect(await sendOn(edge, command(uplink(ONE, 1), [1], 1000))).toHaveLength(1);
    expect(await call(edge, 'GET', '/fence')).toMatchObject({ commands: { refused: { malformed: 2 } } });
  });

  test('one reader cannot take all the room for downlinks', async () => {
    const edge = await startEdge('a');
    await putRing(edge, 'own', { devAddrs: [ONE] });
    await putRing(edge, 'c-1', { devAddrs: [TWO], prefix: 'contract/c-1/' });
    await edge.gateway.pull();
    await heard(edge, 1000);
    const topic = `contract/c-1/eu868/gateway/${GATEWAY}`;
    let full = 0;
    await edge.bus.subscribe(`${topic}/event/ack`, (_, payload) => {
      if (Buffer.from(payload).toString().includes('QUEUE_FULL')) full += 1;
    });
    // held back until 2 s before their time
    const held = command(downlink(1, 'x', TWO), [16], 1000);
    for (let i = 0; i < 65; i++) await edge.bus.publish(`${topic}/command/down`, held);
    await waitFor(systemClock, 60_000, () => full > 0 || undefined);
    expect(full).toBe(1);
    expect(await sendOn(edge, command(downlink(1), [2.9], 1000))).toHaveLength(1);
  });
});
