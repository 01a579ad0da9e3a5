import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { callJson } from '@antirio/host';
import {
  encodeMacCommands,
  eu868,
  newMacState,
  parseDataFrame,
  parseMacCommands,
  type DownlinkMacCommand,
  type MacRequest,
  type MacState,
  type UplinkMacCommand,
} from '@antirio/lorawan';
import { openStore } from '../database.ts';
import {
  appSKey,
  cipher,
  devAddr,
  devEui,
  device,
  folder,
  LPP,
  nwkSKey,
  session,
  startScene,
  startService,
  until,
  type Scene,
} from '../test-scene.ts';
import { startTestRing, type TestDownlink, type TestRing } from '../test-surroundings.ts';
import { packSnapshots } from './snapshot.ts';
import { createMacStore } from './store.ts';

const PREFIX = 'contract/c1/';
const UPLINK_SF = 7;
const spreadingFactorOf = (dataRate: number): number => 12 - dataRate;

/** A mote by the letter of the specification: it hears what comes where it listens, does what it is asked, and says so until it hears again. */
function createMote() {
  const delayS = 1;
  let [offset, rx2] = [0, { frequency: 869_525_000, dataRate: 0 }];
  const moved = new Map<number, number>();
  let answers: UplinkMacCommand[] = [];
  let fcnt = 0;
  const obey = (command: DownlinkMacCommand): void => {
    if (command.type === 'rxParamSetupReq') {
      offset = command.rx1DrOffset;
      rx2 = { frequency: command.frequency, dataRate: command.rx2DataRate };
      answers.push({ type: 'rxParamSetupAns', rx1DrOffsetAck: true, rx2DataRateAck: true, channelAck: true });
    } else if (command.type === 'dlChannelReq') {
      moved.set([868_100_000, 868_300_000][command.chIndex] ?? 0, command.frequency);
      answers.push({ type: 'dlChannelAns', uplinkFrequencyExists: true, channelFrequencyAck: true });
    }
  };
  /** In which of its windows it hears the downlink after an uplink. */
  const windowsOf = ({ items }: TestDownlink, frequency: number): number[] => {
    const rx1 = [`${delayS}s`, moved.get(frequency) ?? frequency, UPLINK_SF + offset];
    const rx2At = [`${delayS + 1}s`, rx2.frequency, spreadingFactorOf(rx2.dataRate)];
    return items.flatMap(({ txInfo: { timing, frequency: hz, modulation } }) => {
      const sent = JSON.stringify([timing.delay.delay, hz, modulation.lora.spreadingFactor]);
      return [rx1, rx2At].flatMap((window, i) => (JSON.stringify(window) === sent ? [i + 1] : []));
    });
  };
  return {
    /** It asks for an acknowledgement; gives the windows in which that reached it. */
    async send(ring: TestRing, frequency = 868_100_000): Promise<number[]> {
      fcnt += 1;
      const fOpts = encodeMacCommands(answers);
      const about = { direction: 'up', confirmed: true, devAddr, fcnt, fPort: 2, fOpts } as const;
      const before = ring.downlinks.length;
      await ring.hear(cipher.build(about, LPP), { frequency });
      await until(() => ring.downlinks.length > before);
      const [downlink] = ring.downlinks.slice(before);
      const windows = downlink === undefined ? [] : windowsOf(downlink, frequency);
      const phyPayload = downlink?.items[0]?.phyPayload;
      if (windows.length === 0 || phyPayload === undefined) return [];
      answers = [];
      const { fOpts: asked } = parseDataFrame(Buffer.from(phyPayload, 'base64'));
      for (const command of parseMacCommands(asked, 'down').commands) obey(command);
      return windows;
    },
    fcnt: () => fcnt,
  };
}

async function grantCounters({ bus }: Scene, prefix: string, from: number): Promise<void> {
  let first = from;
  await bus.subscribe(`${prefix}antirio/fcntdown/request`, async (_, payload) => {
    const request = JSON.parse(Buffer.from(payload).toString()) as object;
    const grant = JSON.stringify({ ...request, first, last: first + 15 });
    first += 16;
    await bus.publish(`${prefix}antirio/fcntdown/grant`, grant);
  });
}

/** A state of which something is to be asked with the next downlink. */
const toAsk = (state: MacState, command: MacRequest): MacState => ({
  ...state,
  pending: [{ command, attempts: 0, inFlight: false }],
});
const movesChannel: MacRequest = { type: 'dlChannelReq', chIndex: 1, frequency: 869_525_000 };
const movesWindows: MacRequest = {
  type: 'rxParamSetupReq',
  ...{ rx1DrOffset: 2, rx2DataRate: 3, frequency: 868_500_000 },
};

test('a device that its own edge and the one in its place have both told to listen elsewhere hears its own edge again', async () => {
  const scene = await startScene();
  await grantCounters(scene, '', 0);
  await grantCounters(scene, PREFIX, 1024);
  const db = openStore(join(folder, 'device-lora', 'device-lora.db'));
  createMacStore(db).put(session, toAsk({ ...newMacState(eu868, { adr: false }), number: 1 }, movesChannel));
  db.close();
  const mote = createMote();
  const options = { adr: { enabled: false }, devStatusIntervalS: 0, deduplicationMs: 10 };
  const own = await startService(scene, options);
  const told = (await callJson(own.http, { path: '/api/v3/lora/mac' })) as {
    sessions: { session: string; state: MacState }[];
  };
  expect(told.sessions).toMatchObject([{ state: { number: 1 } }]);
  // what its own edge asks from here on never reaches the one that takes over
  expect(await mote.send(scene.ring)).toEqual([1, 2]);
  expect(await mote.send(scene.ring)).toEqual([1, 2]);
  await own.service.stop();

  const [older] = told.sessions;
  const began = toAsk({ ...newMacState(eu868, { adr: false }), ...older?.state }, movesWindows);
  const secretsFile = join(folder, 'opened.json');
  const keys = { keyVersion: 1, sessions: [{ devEui, devAddr, nwkSKey, appSKey }] };
  writeFileSync(secretsFile, JSON.stringify({ ...keys, mac: packSnapshots([{ session, state: began }]) }));
  const ring = await startTestRing(scene.bus, 'contract-1', PREFIX);
  const place = { ring: 'contract-1', prefix: PREFIX, secretsFile, devices: [device] };
  const guest = await startService(scene, { ...options, ...place, dataDir: join(folder, 'guest') });
  expect(await mote.send(ring)).toEqual([1, 2]);
  // its answer is in this uplink: it listens by it already
  expect(await mote.send(ring)).toEqual([1, 2]);
  const left: { sessions: { session: string; state: MacState }[] }[] = [];
  await scene.bus.subscribe(`${PREFIX}antirio/mac/told`, (_, payload) => {
    left.push(JSON.parse(Buffer.from(payload).toString()) as (typeof left)[number]);
  });
  await scene.bus.publish(`${PREFIX}antirio/mac/asked`, JSON.stringify({ requestId: 'end' }));
  await until(() => left.length > 0);
  expect(left[0]?.sessions).toMatchObject([{ state: { number: 1, rx1DrOffset: 2 } }]);
  await guest.service.stop();

  const again = await startService(scene, options);
  const sessions = left[0]?.sessions.map((one) => ({ ...one, devEui }));
  const json = { setId: 'pier', epoch: 3, sessions };
  const call = { method: 'POST', path: '/api/v3/lora/mac', json } as const;
  expect(await callJson(again.http, call)).toMatchObject({ taken: 0, behind: 1 });
  expect(await mote.send(scene.ring)).toEqual([1, 2]);
  expect(await mote.send(scene.ring, 868_300_000)).toEqual([1, 2]);
  expect(mote.fcnt()).toBe(6);
});
