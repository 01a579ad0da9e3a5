import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { callJson, sleep, type Bus, type HttpPeer } from '@antirio/host';
import { parseDataFrame, type DataFrame } from '@antirio/lorawan';
import type { TestRing } from './test-surroundings.ts';
import { cipher, devAddr, device, folder, startScene, startService, until, uplink } from './test-scene.ts';

describe('downlinks', () => {
  const grantFrom = async (bus: Bus, start: number): Promise<{ asked: { above: number }[] }> => {
    const asked: { above: number }[] = [];
    let first = start;
    await bus.subscribe('antirio/fcntdown/request', async (_, payload) => {
      const request = JSON.parse(Buffer.from(payload).toString()) as {
        requestId: string;
        devAddr: string;
        above: number;
      };
      asked.push(request);
      await bus.publish('antirio/fcntdown/grant', JSON.stringify({ ...request, first, last: first + 15 }));
      first += 64;
    });
    return { asked };
  };
  const sentBy = (ring: TestRing): DataFrame[] =>
    ring.downlinks.map(({ items }) => parseDataFrame(Buffer.from(items[0]?.phyPayload ?? '', 'base64')));
  const put = (http: HttpPeer, command: string, json: unknown) =>
    callJson(http, { method: 'PUT', path: `/api/v3/device/name/mote-1/${command}`, json });
  const states = async (http: HttpPeer): Promise<string[]> => {
    const answer = (await callJson(http, { path: '/api/v3/device/name/mote-1/downlinkState' })) as {
      event: { readings: { objectValue: { downlinks: { state: string }[] } }[] };
    };
    return answer.event.readings[0]?.objectValue.downlinks.map(({ state }) => state) ?? [];
  };

  test('a confirmed downlink goes at the next live uplink, again with the same bytes until it is acknowledged', async () => {
    const scene = await startScene();
    const { ring, bus, core } = scene;
    await grantFrom(bus, 64);
    const { http } = await startService(scene);
    await put(http, 'interval', { interval: '300' });
    expect(await states(http)).toEqual(['queued']);
    // a backlog frame is answered by nobody
    await ring.hear(uplink(1), { live: false });
    await ring.hear(uplink(2), { via: 'neighbour' });
    await until(() => core.events.size === 2);
    expect(ring.downlinks).toHaveLength(0);
    await ring.hear(uplink(3));
    await until(async () => (await states(http))[0] === 'sent');
    const [frame] = sentBy(ring);
    expect(frame).toMatchObject({ direction: 'down', confirmed: true, devAddr, fcnt16: 64, fPort: 10 });
    expect(frame && cipher.verifies(frame, 64)).toBe(true);
    expect(frame && [...cipher.decrypt(frame, 64)]).toEqual([1, 44]);
    expect(ring.downlinks[0]?.items.map(({ txInfo }) => [txInfo.frequency, txInfo.context])).toEqual([
      [868_100_000, 'AQIDBA=='],
      [869_525_000, 'AQIDBA=='],
    ]);
    await ring.hear(uplink(4));
    await until(() => ring.downlinks.length === 2);
    expect(ring.downlinks[1]?.items[0]?.phyPayload).toBe(ring.downlinks[0]?.items[0]?.phyPayload);
    await sleep(50);
    await ring.hear(uplink(5, { ack: true }));
    await until(async () => (await states(http))[0] === 'acknowledged');
    await ring.hear(uplink(6));
    await until(() => core.events.size === 6);
    expect(ring.downlinks).toHaveLength(2);
  });

  test('without the AppSKey it sends what was encrypted for a counter that it named', async () => {
    const scene = await startScene();
    const { ring, bus } = scene;
    await grantFrom(bus, 64);
    const secretsFile = join(folder, 'forward.json');
    const { http } = await startService(scene, { secretsFile, confidentiality: 'forward' });
    const path = '/api/v3/lora/device/mote-1/downlink';
    const post = (to: string, json?: unknown) => callJson(http, { method: 'POST', path: to, json });
    await expect(post(path, { payload: '0a' })).rejects.toThrow(/asks for a counter/);
    await expect(post(path, { payload: '0a', isEncrypted: true })).rejects.toThrow(/fCntDown/);
    await expect(post(path, { payload: '0a', fCntDown: 3 })).rejects.toThrow(/isEncrypted/);
    const { counter } = (await post(`${path}/counter`)) as {
      counter: { session: string; fCntDown: number };
    };
    expect(counter).toMatchObject({ devEui: device.devEui, devAddr, fCntDown: 64, maxPayload: 51 });
    const { session, fCntDown } = counter;
    const payload = Buffer.from(cipher.encryptDown(devAddr, fCntDown, Uint8Array.of(1, 44))).toString('hex');
    const queued = await post(path, { isEncrypted: true, session, fCntDown, payload, fPort: 10 });
    expect(queued).toMatchObject({ downlink: { state: 'queued', fCntDown, isEncrypted: true } });
    await ring.hear(uplink(3));
    await until(async () => (await states(http))[0] === 'sent');
    const [frame] = sentBy(ring);
    expect(frame && cipher.verifies(frame, 64)).toBe(true);
    expect(frame && [...cipher.decrypt(frame, 64)]).toEqual([1, 44]);
    const other = post(path, { isEncrypted: true, session, fCntDown, payload: '00' });
    await expect(other).rejects.toMatchObject({ code: 'conflict' });
  });

  test('a guest is asked over its bus; what it had not sent when it stands down has failed', async () => {
    const prefix = 'contract/contract-1/';
    const scene = await startScene(prefix);
    const { bus } = scene;
    await bus.subscribe(`${prefix}antirio/fcntdown/request`, async (_, payload) => {
      const request = JSON.parse(Buffer.from(payload).toString()) as object;
      await bus.publish(
        `${prefix}antirio/fcntdown/grant`,
        JSON.stringify({ ...request, first: 16, last: 31 }),
      );
    });
    const secretsFile = join(folder, 'forward.json');
    const about = { prefix, ring: 'contract-1', secretsFile, confidentiality: 'forward' };
    const { status } = await startService(scene, about);
    const told: Record<string, unknown>[] = [];
    await bus.subscribe(`${prefix}antirio/downlink/told`, (_, payload) => {
      told.push(JSON.parse(Buffer.from(payload).toString()) as Record<string, unknown>);
    });
    const ask = async (question: object): Promise<Record<string, unknown>> => {
      const { devEui } = device;
      const json = JSON.stringify({ requestId: 'r', devEui, ...question });
      await bus.publish(`${prefix}antirio/downlink/asked`, json);
      await until(() => told.length > 0);
      return told.shift() ?? {};
    };
    const { counter } = await ask({ want: 'counter', key: 'k' });
    expect(counter).toMatchObject({ devAddr, fCntDown: 16 });
    const { session } = counter as { session: string };
    const downlink = { session, fCntDown: 16, payload: '0a0b', fPort: 5, confirmed: true };
    expect(await ask({ want: 'queue', downlink })).toMatchObject({ downlink: { state: 'queued' } });
    await bus.publish(`${prefix}antirio/service/device-lora/control`, JSON.stringify({ type: 'standdown' }));
    await until(async () => (await status()).state === 'shadow');
    const state = await ask({ want: 'state', session, fCntDown: 16 });
    expect(state).toMatchObject({ downlink: { state: 'failed', encryptAgain: true } });
  });

  test('after three times on air it is given up; a new value replaces an old one; the bridge’s refusal asks for other counters', async () => {
    const scene = await startScene();
    const { ring, bus } = scene;
    const { asked } = await grantFrom(bus, 0);
    const { http } = await startService(scene);
    await put(http, 'interval', { interval: 1 });
    await put(http, 'interval', { interval: 2 });
    expect(await states(http)).toEqual(['queued', 'failed']);
    for (let fcnt = 1; fcnt <= 3; fcnt++) {
      await ring.hear(uplink(fcnt));
      await until(() => ring.downlinks.length === fcnt);
      await sleep(50);
    }
    await ring.hear(uplink(4));
    await until(async () => (await states(http))[0] === 'failed');
    expect(ring.downlinks).toHaveLength(3);
    await put(http, 'downlink', { downlink: { payload: 'ff', fPort: 7 } });
    ring.outcomes = [[{ status: 'INTERNAL_ERROR', refused: 'noBlock' }]];
    await ring.hear(uplink(5));
    await until(() => ring.downlinks.length === 4);
    await sleep(50);
    await ring.hear(uplink(6));
    await until(async () => (await states(http))[0] === 'sent');
    expect(sentBy(ring).map(({ fcnt16 }) => fcnt16)).toEqual([0, 0, 0, 1, 64]);
    expect(asked.map(({ above }) => above)).toEqual([-1, 1]);
  });

  test('a confirmed uplink is acknowledged while its windows are open, also when it is repeated', async () => {
    const scene = await startScene();
    const { ring, bus, core } = scene;
    const { http } = await startService(scene);
    await ring.hear(uplink(1, { confirmed: true }));
    await until(() => core.events.size === 1);
    expect(ring.downlinks).toHaveLength(0);
    await grantFrom(bus, 16);
    await sleep(1100);
    await ring.hear(uplink(2, { confirmed: true }));
    await until(() => ring.downlinks.length === 1);
    const [frame] = sentBy(ring);
    expect(frame).toMatchObject({ ack: true, confirmed: false, fcnt16: 16, fPort: undefined });
    await sleep(300);
    await ring.hearAgain(2, { afterMs: 2500 });
    await until(() => ring.downlinks.length === 2);
    expect(ring.downlinks[1]?.items[0]?.phyPayload).toBe(ring.downlinks[0]?.items[0]?.phyPayload);
    await expect(put(http, 'nothing', {})).rejects.toThrow(/not found/);
    await expect(put(http, 'temperature_1', { temperature_1: 1 })).rejects.toThrow(/read-only/);
    await expect(put(http, 'interval', { interval: 'x' })).rejects.toThrow(/Uint16/);
    await expect(put(http, 'interval', {})).rejects.toThrow(/interval/);
  });

  test('a counter that was used is never used again, whatever the next start is granted', async () => {
    const scene = await startScene();
    const { ring, bus } = scene;
    await bus.subscribe('antirio/fcntdown/request', async (_, payload) => {
      const request = JSON.parse(Buffer.from(payload).toString()) as Record<string, unknown>;
      await bus.publish('antirio/fcntdown/grant', JSON.stringify({ ...request, first: 0, last: 15 }));
    });
    for (let round = 1; round <= 3; round++) {
      const { service, http } = await startService(scene);
      await put(http, 'downlink', { downlink: { payload: `0${String(round)}` } });
      await ring.hear(uplink(round));
      await until(() => ring.downlinks.length === round);
      await service.stop();
    }
    expect(sentBy(ring).map(({ fcnt16 }) => fcnt16)).toEqual([0, 1, 2]);
  });

  test('to a device of class C one goes at once, when the windows of its last uplink are closed', async () => {
    const scene = await startScene();
    const { ring, bus, core } = scene;
    await grantFrom(bus, 0);
    const { http } = await startService(scene, { devices: [{ ...device, class: 'C' }] });
    await put(http, 'downlink', { downlink: { payload: '01' } });
    const state = async (): Promise<unknown> =>
      ((await callJson(http, { path: '/api/v3/lora/device/mote-1/downlink' })) as { downlinks: unknown[] })
        .downlinks[0];
    expect(await state()).toMatchObject({ waitingFor: expect.stringContaining('by which gateway') });
    await ring.hear(uplink(1), { gatewayId: '00000000000000aa' });
    // the first one is the answer to the uplink
    await until(() => ring.downlinks.length === 1 && core.events.size === 1);
    await put(http, 'downlink', { downlink: { payload: '02' } });
    await until(() => ring.downlinks.length === 2);
    const [answer, atOnce] = ring.downlinks.map(({ gatewayId, items }) => ({
      gatewayId,
      timings: items.map(({ txInfo }) => Object.keys(txInfo.timing)),
      frequency: items.at(-1)?.txInfo.frequency,
    }));
    expect(answer).toMatchObject({ timings: [['delay'], ['delay']] });
    expect(atOnce).toEqual({
      ...{ gatewayId: '00000000000000aa', timings: [['immediately']], frequency: 869_525_000 },
    });
    await until(async () => JSON.stringify(await state()).includes('"sent"'));
  });
});
