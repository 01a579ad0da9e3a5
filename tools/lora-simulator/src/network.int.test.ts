import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { OtaaDevice } from './devices.ts';
import type { JoinAcceptFields } from './downlink.test-support.ts';
import type { NetworkServer, ReceivedPacket } from './network-server.test-support.ts';
import type { Surroundings } from './surroundings.test-support.ts';
import type { Simulator } from './simulator.ts';
import { isOtaa } from './devices.ts';
import { buildDownlink, buildJoinAccept, readJoinRequest } from './downlink.test-support.ts';
import { SimulatorError } from './errors.ts';
import { decryptFrame, micVerifies } from './frames.ts';
import { openNetworkServer } from './network-server.test-support.ts';
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
  await server.waitFor(isUplinks(server, 3));
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

test('distance decides which gateway hears a mote, and a mote may move', async () => {
  const other = await openNetworkServer();
  const gateways = [
    { id: GATEWAY_A, port: server.port, position: { x: 0, y: 0 } },
    { id: GATEWAY_B, port: other.port, position: { x: 100_000, y: 0 } },
  ];
  const running = await open({
    ...{ attack: noAttack, motes: 1, spreadingFactors: [7], gateways },
    ...{ motePositions: [{ x: 200, y: 0 }], radio: { shadowingDb: 0 } },
  });
  running.start();
  await server.waitFor(isUplinks(server, 2));
  running.moveMote('mote-0001', { x: 99_800, y: 0 });
  await other.waitFor(({ identifier }) => identifier === 0);
  expect(running.mote('mote-0001').position).toEqual({ x: 99_800, y: 0 });
  expect(() => running.moveMote('mote-0001', { lat: 0, lon: 0 })).toThrow(SimulatorError);
  await running.stopTraffic();
  other.close();
  const { identities, commands } = await truthOf(running);
  const heardBy = identities.map((identity) => identity.heardBy);
  expect(heardBy[0]).toEqual([GATEWAY_A]);
  expect(heardBy.at(-1)).toEqual([GATEWAY_B]);
  expect(commands.map(({ command }) => command)).toContain('moveMote');
});
