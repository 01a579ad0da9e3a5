import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NetworkServer } from './network-server.test-support.ts';
import type { Surroundings } from './surroundings.test-support.ts';
import { buildDownlink } from './downlink.test-support.ts';
import { SimulatorError } from './errors.ts';
import { decryptFrame, micVerifies } from './frames.ts';
import { openNetworkServer } from './network-server.test-support.ts';
import { countUplinks } from './read-truth.ts';
import {
  abpOf,
  GATEWAY_A,
  GATEWAY_B,
  isUplinks,
  noAttack,
  openSurroundings,
  poll,
} from './surroundings.test-support.ts';

let surroundings: Surroundings;
let server: NetworkServer;
let open: Surroundings['open'];
let truthOf: Surroundings['truthOf'];

beforeEach(async () => {
  surroundings = await openSurroundings();
  ({ server, open, truthOf } = surroundings);
});

afterEach(() => surroundings.close());

describe('uplinks', () => {
  test('reach the server as real frames, and its PUSH_ACKs reach the truth', async () => {
    const running = await open({ attack: noAttack, adr: 1 });
    running.start();
    await server.waitFor(isUplinks(server, 6));
    await running.stopTraffic();
    const truth = await truthOf(running);

    const packets = server.datagrams.flatMap(({ body }) => body.rxpk ?? []);
    expect(packets).toHaveLength(truth.identities.length);
    for (const { devEui, fcnt, payload, phyPayload, transmissions, heardBy, ackedBy } of truth.identities) {
      const device = abpOf(running).find((candidate) => candidate.devEui === devEui);
      const keys = {
        nwkSKey: Buffer.from(device?.nwkSKey ?? '', 'hex'),
        appSKey: Buffer.from(device?.appSKey ?? '', 'hex'),
      };
      const bytes = Buffer.from(phyPayload, 'hex');
      const packet = packets.find(({ data }) => data === bytes.toString('base64'));
      expect(packet).toMatchObject({ freq: transmissions[0]?.freqMhz, datr: transmissions[0]?.datr });
      expect(micVerifies(bytes, keys.nwkSKey, fcnt)).toBe(true);
      expect(decryptFrame(bytes, keys, fcnt).toString('hex')).toBe(payload);
      expect([heardBy, ackedBy]).toEqual([[GATEWAY_A], [GATEWAY_A]]);
    }
    const { identities, end } = truth;
    expect(countUplinks(truth)).toEqual({
      sent: identities.length,
      heard: identities.length,
      covered: identities.length,
    });
    expect(end).toBeDefined();
  });

  test('that a server does not acknowledge are heard, not covered, and not pushed again', async () => {
    server.acknowledges = false;
    const running = await open({ attack: noAttack, motes: 8 });
    running.start();
    await server.waitFor(isUplinks(server, 8));
    running.pause();
    await sleep(400);
    const tokens = server.datagrams.filter(({ identifier }) => identifier === 0).map(({ token }) => token);
    const truth = await truthOf(running);
    expect(new Set(tokens).size).toBe(tokens.length);
    expect(countUplinks(truth)).toMatchObject({ heard: truth.identities.length, covered: 0 });
  });

  test('are lost at each gateway by itself', async () => {
    const other = await openNetworkServer();
    const gateways = [
      { id: GATEWAY_A, port: server.port, loss: 1 },
      { id: GATEWAY_B, port: other.port, loss: 0 },
    ];
    const running = await open({ attack: noAttack, gateways });
    running.start();
    await other.waitFor(({ identifier }) => identifier === 0);
    running.setLoss(GATEWAY_A, 0);
    running.setLoss(GATEWAY_B, 1);
    await server.waitFor(isUplinks(server, 3));
    await running.stopTraffic();
    other.close();
    const { identities, commands } = await truthOf(running);
    const heardBy = identities.map((identity) => identity.heardBy);
    expect(heardBy[0]).toEqual([GATEWAY_B]);
    expect(heardBy.at(-1)).toEqual([GATEWAY_A]);
    expect(commands.map(({ command }) => command)).toEqual([
      'start',
      'gatewayLoss',
      'gatewayLoss',
      'stopTraffic',
    ]);
  });

  test('go to another server when a gateway is told so', async () => {
    const other = await openNetworkServer();
    const running = await open({ attack: noAttack });
    running.start();
    await server.waitFor(isUplinks(server, 1));
    await running.retarget(GATEWAY_A, '127.0.0.1', other.port);
    const pull = await other.waitFor(({ identifier }) => identifier === 2);
    expect(pull.gatewayId).toBe(GATEWAY_A);
    await other.waitFor(({ identifier }) => identifier === 0);
    other.close();
    await expect(running.retarget('0000000000000001', '127.0.0.1', 1)).rejects.toThrow(SimulatorError);
    await expect(running.retarget(GATEWAY_A, 'no-such-host.invalid', 1)).rejects.toThrow(SimulatorError);
  });

  test('are the same in the same order for the same seed', async () => {
    const contents: string[][] = [];
    for (let round = 0; round < 2; round += 1) {
      const own = await openSurroundings();
      const gateways = [{ id: GATEWAY_A, port: own.server.port, loss: 0.5 }];
      const attack = { retransmission: 0.5, replay: 0.5, bitflip: 0.5, foreign: 0.5 };
      const config = { seed: 'twice', motes: 30, periodMs: 1_000, gateways, attack };
      const simulator = await own.open(config);
      simulator.start();
      await poll(() => Object.values(simulator.status().transmissions).some(({ sent }) => sent >= 40));
      await simulator.stopTraffic();
      const { identities, bitflips, foreign } = await own.truthOf(simulator);
      own.close();
      const air = [...identities.flatMap(({ transmissions }) => transmissions), ...bitflips, ...foreign];
      const inOrder = air.toSorted((a, b) => a.id - b.id);
      contents.push(
        inOrder.map(({ kind, phyPayload, heardBy }) => `${kind} ${phyPayload} ${heardBy.length}`),
      );
    }
    const length = Math.min(...contents.map((round) => round.length));
    expect(length).toBeGreaterThan(40);
    expect(contents[0]?.slice(0, length)).toEqual(contents[1]?.slice(0, length));
  });
});

describe('the forwarder', () => {
  test('keeps its way open with PULL_DATA, and reports itself with stat', async () => {
    const gateways = [{ id: GATEWAY_A, port: server.port, keepaliveMs: 100, statMs: 1_000 }];
    const running = await open({ gateways });
    const stat = await server.waitFor(({ body }) => 'stat' in body);
    expect(stat.bytes.subarray(0, 12).toString('hex')).toMatch(/^02....0000000000aabbccdd$/);
    const pulls = server.datagrams.filter(({ identifier }) => identifier === 2);
    expect(pulls.length).toBeGreaterThan(3);
    expect(pulls.every(({ bytes }) => bytes.length === 12)).toBe(true);
    expect(pulls[0]?.from.port).not.toBe(stat.from.port);
    await poll(() => (running.status().gateways[0]?.pullAcked ?? 0) > 3);
  });

  test('counts wrong tokens, garbage and strangers, and believes none of them', async () => {
    server.acknowledges = false;
    const stranger = await openNetworkServer();
    const running = await open({ attack: noAttack });
    running.start();
    const push = await server.waitFor(({ identifier }) => identifier === 0);
    const pull = await server.waitFor(({ identifier }) => identifier === 2);
    const pushAck = (token: number): Buffer => Buffer.from([2, token >> 8, token & 0xff, 1]);
    server.sendTo(push.from.port, pushAck(push.token ^ 1));
    stranger.sendTo(push.from.port, pushAck(push.token));
    stranger.sendTo(pull.from.port, Buffer.from('0200000304'.repeat(20), 'hex'));
    server.sendTo(pull.from.port, Buffer.from([2, 0, 0, 4]));
    for (const garbage of ['', '02', '03000001', '02000009', 'ff'.repeat(3_000)]) {
      server.sendTo(push.from.port, Buffer.from(garbage, 'hex'));
    }
    server.sendTo(pull.from.port, pushAck(push.token));
    await poll(() => {
      const counted = running.status().gateways[0];
      return counted?.garbage === 6 && counted.unknownTokens === 3 && counted.strangers === 1;
    });
    expect(running.status().gateways[0]).toMatchObject({ pushAcked: 0, acked: 0, downlinksProgrammed: 0 });
    stranger.close();
    expect(countUplinks(await truthOf(running)).covered).toBe(0);
  });
});

describe('downlinks', () => {
  test('are acknowledged, go on air at their time, and are answered by the mote', async () => {
    const running = await open({ attack: noAttack, motes: 1 });
    const [device] = abpOf(running);
    if (device === undefined) throw new TypeError('no device');
    let sent = 0;
    server.onPacket = ({ tmst, freq, datr }) => {
      const phyPayload = buildDownlink(device, {
        fcnt: sent,
        confirmed: true,
        payload: Buffer.from('hello'),
      });
      server.pullResp(100 + sent, {
        ...{ imme: false, tmst: (tmst + 1_000_000) >>> 0, freq, rfch: 0, powe: 14, modu: 'LORA', datr },
        ...{ codr: '4/5', ipol: true, size: phyPayload.length, data: phyPayload.toString('base64') },
      });
      sent += 1;
    };
    running.start();
    const txAck = await server.waitFor(({ identifier, token }) => identifier === 5 && token === 100);
    expect(txAck.bytes.toString('hex')).toBe('0200640500000000aabbccdd');
    await server.waitFor(isUplinks(server, 3));
    await running.stopTraffic();
    const truth = await truthOf(running);

    expect(truth.downlinks[0]).toMatchObject({ gateway: GATEWAY_A, devAddr: device.devAddr, fcntDown: 0 });
    expect(truth.downlinksReceived[0]).toMatchObject({
      devEui: device.devEui,
      fcntDown: 0,
      window: 'rx1',
      confirmed: true,
      payload: Buffer.from('hello').toString('hex'),
    });
    expect(truth.downlinksIgnored).toEqual([]);
    expect(truth.downlinksReceived).toHaveLength(truth.downlinks.length);
    const uplinks = truth.identities.flatMap(({ transmissions }) => transmissions);
    const { at, airMs } = uplinks[0]!;
    expect(truth.downlinks[0]!.at - at - airMs).toBeCloseTo(1_000, 0);
    // The second uplink may have begun before the first was answered.
    expect(uplinks[0]!.ack).toBe(false);
    expect(uplinks.slice(1, 3).some(({ ack }) => ack)).toBe(true);
  });

  test('that a gateway cannot send are refused with the reason', async () => {
    const running = await open({ attack: noAttack, motes: 1 });
    running.start();
    const push = await server.waitFor(isUplinks(server, 1));
    const { tmst = 0 } = push.body.rxpk?.[0] ?? {};
    const txpk = { freq: 868.1, powe: 14, modu: 'LORA', datr: 'SF7BW125', ipol: true, size: 1, data: '/w==' };
    const at = (seconds: number): number => (tmst + seconds * 1_000_000) >>> 0;
    server.pullResp(1, { ...txpk, imme: true });
    server.pullResp(2, { ...txpk, tmst: at(-1) });
    server.pullResp(3, { ...txpk, tmst: at(60) });
    server.pullResp(4, { ...txpk, tmst: at(3) });
    server.pullResp(5, { ...txpk, tmst: at(3) });
    server.pullResp(6, { nonsense: true });
    const errorOf = async (wanted: number): Promise<string | undefined> => {
      const ack = await server.waitFor(({ identifier, token }) => identifier === 5 && token === wanted);
      return ack.body.txpk_ack?.error;
    };
    expect(await Promise.all([1, 2, 3, 4, 5].map(errorOf))).toEqual([
      'TOO_LATE',
      'TOO_LATE',
      'TOO_EARLY',
      undefined,
      'COLLISION_PACKET',
    ]);
    await poll(() => running.status().downlinks.onAir === 1);
    const { downlinksRefused, downlinks, downlinksIgnored } = await truthOf(running);
    expect(downlinksRefused.map(({ reason }) => reason)).toEqual([
      'immediate',
      'schedule',
      'schedule',
      'schedule',
      'malformed',
    ]);
    expect(downlinks[0]).toMatchObject({ phyPayload: 'ff', devAddr: null, fcntDown: null });
    expect(downlinksIgnored[0]).toMatchObject({ reason: 'notData' });
  });
});
