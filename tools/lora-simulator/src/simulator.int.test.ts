import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SimulatorConfigInput } from './config.ts';
import type { Device, OtaaDevice } from './devices.ts';
import type { JoinAcceptFields } from './downlink.test-support.ts';
import type { NetworkServer, ReceivedPacket } from './network-server.test-support.ts';
import type { Truth } from './read-truth.ts';
import type { Simulator } from './simulator.ts';
import { isOtaa } from './devices.ts';
import { buildDownlink, buildJoinAccept, readJoinRequest } from './downlink.test-support.ts';
import { SimulatorError } from './errors.ts';
import { decryptFrame, micVerifies } from './frames.ts';
import { openNetworkServer } from './network-server.test-support.ts';
import { countUplinks, readTruth } from './read-truth.ts';
import { createSimulator } from './simulator.ts';
import { openTruthLog } from './truth.ts';

const GATEWAY_A = '00000000aabbccdd';
const GATEWAY_B = '00000000aabbccee';
const noAttack = { retransmission: 0, replay: 0, bitflip: 0, foreign: 0 };

let folder = '';
let server: NetworkServer;
let simulator: Simulator | undefined;

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'simulator-'));
  server = await openNetworkServer();
});

afterEach(() => {
  simulator?.close();
  simulator = undefined;
  server.close();
  rmSync(folder, { recursive: true });
});

const logFile = (): string => path.join(folder, 'truth.jsonl');

async function open(config: Partial<SimulatorConfigInput>): Promise<Simulator> {
  const gateways = [{ id: GATEWAY_A, port: server.port, loss: 0 }];
  simulator = await createSimulator(
    { seed: 'int', motes: 4, periodMs: 1_000, gateways, ...config },
    { truth: openTruthLog(logFile()) },
  );
  return simulator;
}

async function truthOf(running: Simulator): Promise<Truth> {
  running.close();
  return readTruth(logFile());
}

const abpOf = (running: Simulator): Device[] =>
  running.devices.flatMap((device) => (isOtaa(device) ? [] : [device]));

const isUplinks = (count: number) => (): boolean =>
  server.datagrams.flatMap(({ body }) => body.rxpk ?? []).length >= count;

async function poll(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new TypeError('what was waited for did not come');
    await sleep(10);
  }
}

describe('uplinks', () => {
  test('reach the server as real frames, and its PUSH_ACKs reach the truth', async () => {
    const running = await open({ attack: noAttack, adr: 1 });
    running.start();
    await server.waitFor(isUplinks(6));
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
    await server.waitFor(isUplinks(8));
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
    await server.waitFor(isUplinks(3));
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
    await server.waitFor(isUplinks(1));
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
    for (const round of ['one', 'two']) {
      const file = path.join(folder, `${round}.jsonl`);
      const gateways = [{ id: GATEWAY_A, port: server.port, loss: 0.5 }];
      const attack = { retransmission: 0.5, replay: 0.5, bitflip: 0.5, foreign: 0.5 };
      const config = { seed: 'twice', motes: 30, periodMs: 1_000, gateways, attack };
      simulator = await createSimulator(config, { truth: openTruthLog(file) });
      simulator.start();
      await poll(() => Object.values(simulator?.status().transmissions ?? {}).some(({ sent }) => sent >= 40));
      await simulator.stopTraffic();
      simulator.close();
      const { identities, bitflips, foreign } = await readTruth(file);
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
    await server.waitFor(isUplinks(3));
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
    const push = await server.waitFor(isUplinks(1));
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

describe('motes that join', () => {
  const otaaOf = (running: Simulator): OtaaDevice[] => running.devices.filter(isOtaa);

  interface Grant extends Partial<JoinAcceptFields> {
    readonly windowS?: number;
  }

  // A join server: the n-th JoinRequest that `grant` answers gets JoinNonce n.
  function joinServer(running: Simulator, grant: (request: number) => Grant | undefined): void {
    let requests = 0;
    server.onPacket = ({ tmst, freq, datr, data }) => {
      const phyPayload = Buffer.from(data, 'base64');
      if (phyPayload.readUInt8(0) !== 0) return;
      const { devEui } = readJoinRequest(phyPayload);
      const device = otaaOf(running).find((candidate) => candidate.devEui === devEui);
      requests += 1;
      const granted = grant(requests);
      if (device === undefined || granted === undefined) return;
      const { windowS = 5, ...fields } = granted;
      const radio = windowS === 6 ? { freq: 869.525, datr: 'SF12BW125' } : { freq, datr };
      const accept = buildJoinAccept(device.appKey, { joinNonce: requests, devAddr: '01000007', ...fields });
      server.pullResp(requests, {
        ...{ imme: false, tmst: (tmst + windowS * 1_000_000) >>> 0, rfch: 0, powe: 14, modu: 'LORA' },
        ...{ ...radio, codr: '4/5', ipol: true, size: accept.length, data: accept.toString('base64') },
      });
    };
  }

  test('send with the keys, channels and windows of their JoinAccept, in RX1 or RX2', async () => {
    const running = await open({ attack: noAttack, motes: 2, otaa: 1, spreadingFactors: [7] });
    const cfListMhz = [867.1, 867.3, 867.5, 867.7, 867.9];
    const settings = { rxDelayS: 2, rx1DrOffset: 1, rx2DataRate: 3, cfListMhz };
    joinServer(running, (request) => ({
      ...settings,
      devAddr: `0100000${String(request)}`,
      windowS: 4 + request,
    }));
    running.start();
    const isData = ({ data }: ReceivedPacket): boolean => Buffer.from(data, 'base64').readUInt8(0) === 0x40;
    const packets = (): ReceivedPacket[] => server.datagrams.flatMap(({ body }) => body.rxpk ?? []);
    await poll(() => packets().filter(isData).length >= 4);
    const motes = ['mote-0001', 'mote-0002'].map((name) => running.mote(name));
    for (const { joined, session, parameters } of motes) {
      expect({ joined, session }).toEqual({ joined: true, session: 1 });
      expect(parameters.reception).toMatchObject({ rx1DelayMs: 2_000, rx1DrOffset: 1 });
      expect(parameters.channels).toHaveLength(8);
    }
    expect(running.status()).toMatchObject({ downlinks: { joins: 2 } });
    const { joins, joinRequests, identities } = await truthOf(running);
    expect(joinRequests[0]).toMatchObject({ devNonce: 0, attempt: 1, heardBy: [{ gateway: GATEWAY_A }] });
    expect(joins).toMatchObject([
      { window: 'rx1', devNonce: 0, joinNonce: 1, devAddr: '01000001', cfListMhz },
      { window: 'rx2', devNonce: 0, joinNonce: 2, devAddr: '01000002' },
    ]);
    for (const { devEui, nwkSKey, appSKey, devAddr } of joins) {
      const keys = { nwkSKey: Buffer.from(nwkSKey, 'hex'), appSKey: Buffer.from(appSKey, 'hex') };
      const first = identities.find((identity) => identity.devEui === devEui);
      expect(first).toMatchObject({ fcnt: 0, devAddr, transmissions: [{ session: 1 }] });
      const phyPayload = Buffer.from(first!.phyPayload, 'hex');
      expect(micVerifies(phyPayload, keys.nwkSKey, 0)).toBe(true);
      expect(decryptFrame(phyPayload, keys, 0).toString('hex')).toBe(first!.payload);
    }
  });

  test('are named by DevEUI or name; what does not join cannot rejoin', async () => {
    const running = await open({ motes: 2, otaa: 0.5 });
    const [abp, joining] = running.devices;
    expect(running.mote(abp!.devEui.toUpperCase())).toMatchObject({ name: 'mote-0001', joined: true });
    expect(running.mote('mote-0002')).toMatchObject({ devEui: joining!.devEui, joined: false });
    const codeOf = (action: () => void): string => {
      try {
        action();
        return 'none';
      } catch (error) {
        return error instanceof SimulatorError ? error.code : 'other';
      }
    };
    expect(codeOf(() => running.rejoin('mote-0001'))).toBe('notOtaa');
    expect(codeOf(() => running.rejoin('mote-0009'))).toBe('unknownMote');
    expect(codeOf(() => running.mote('nobody'))).toBe('unknownMote');
    expect(codeOf(() => running.rejoin())).toBe('none');
  });
});

test('a confirmed uplink is repeated until its acknowledgement, which comes by radio', async () => {
  const running = await open({ attack: noAttack, motes: 1, confirmedUplinks: 1, confirmedAttempts: 8 });
  const [device] = abpOf(running);
  if (device === undefined) throw new TypeError('no device');
  const seen: string[] = [];
  server.onPacket = ({ tmst, freq, datr, data }) => {
    seen.push(data);
    if (seen.length !== 2) return;
    const ack = buildDownlink(device, { fcnt: 0, ack: true, payload: Buffer.alloc(0) });
    server.pullResp(1, {
      ...{ imme: false, tmst: (tmst + 1_000_000) >>> 0, freq, rfch: 0, powe: 14, modu: 'LORA', datr },
      ...{ codr: '4/5', ipol: true, size: ack.length, data: ack.toString('base64') },
    });
  };
  running.start();
  await server.waitFor(isUplinks(3));
  const { identities, downlinksReceived } = await truthOf(running);
  expect(downlinksReceived).toMatchObject([{ ack: true, window: 'rx1' }]);
  expect(seen[1]).toBe(seen[0]);
  expect(seen[2]).not.toBe(seen[0]);
  expect(identities[0]?.kinds).toEqual(['uplink', 'retransmission']);
  expect(identities[0]?.transmissions.every(({ confirmed }) => confirmed)).toBe(true);
});

test('a mote obeys its network over real sockets: data rate, windows, status, and what it says of them', async () => {
  const running = await open({ attack: noAttack, motes: 1, adr: 1, mac: 'answered', spreadingFactors: [8] });
  const [device] = abpOf(running);
  if (device === undefined) throw new TypeError('no device');
  // LinkADRReq DR5 on the three default channels, RXTimingSetupReq 2 s, DevStatusReq; then a plain downlink after 2 s.
  const downlinks = [{ fOpts: '0350070001' + '0802' + '06', delayS: 1 }, { delayS: 2 }];
  server.onPacket = ({ tmst, freq, datr }) => {
    const fcnt = 2 - downlinks.length;
    const next = downlinks.shift();
    if (next === undefined) return;
    const { delayS, ...fields } = next;
    const phyPayload = buildDownlink(device, { fcnt, payload: Buffer.alloc(0), ...fields });
    server.pullResp(fcnt, {
      ...{
        imme: false,
        tmst: (tmst + delayS * 1_000_000) >>> 0,
        freq,
        rfch: 0,
        powe: 14,
        modu: 'LORA',
        datr,
      },
      ...{ codr: '4/5', ipol: true, size: phyPayload.length, data: phyPayload.toString('base64') },
    });
  };
  running.start();
  await poll(() => running.status().downlinks.received === 2);
  expect(running.mote(device.name).parameters).toMatchObject({
    dataRate: 5,
    reception: { rx1DelayMs: 2_000 },
  });
  const { identities, mac, downlinksReceived } = await truthOf(running);
  expect(downlinksReceived.map(({ window }) => window)).toEqual(['rx1', 'rx1']);
  expect(mac).toMatchObject([{ answers: '0307' + '08' + '06fe0a', parameters: { dataRate: 5 } }]);
  const uplinks = identities.flatMap(({ transmissions }) => transmissions);
  const answering = uplinks.findIndex(({ fOpts }) => fOpts === '03070806fe0a');
  expect(answering).toBeGreaterThan(0);
  expect(uplinks[answering]?.datr).toBe('SF7BW125');
});
