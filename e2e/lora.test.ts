import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { callJson, httpPeer, systemClock, waitFor, type HttpPeer } from '@antirio/host';
import {
  createSimulator,
  type OtaaDevice,
  type Simulator,
  type SimulatorConfigInput,
  type TruthRecord,
} from '@antirio/lora-simulator';
import { claimOffsets, portOf, UDP_PORTS, type ClaimedOffsets } from '@antirio/testing/port-offsets';

const GATEWAY = '0016c001ff10c0de';
// More of them wait for each other: one gateway hears nothing while it sends.
const MOTES = 2;
const SLOW = 9;
const main = path.resolve(import.meta.dirname, '../apps/edge/src/main.ts');
const folder = mkdtempSync(path.join(tmpdir(), 'antirio-lora-'));
const truth: TruthRecord[] = [];
let claimed: ClaimedOffsets;
let edge: ChildProcess;
let simulator: Simulator;
let lora: HttpPeer;
let coreData: HttpPeer;

/** An edge with sensors that have to join first. */
function startEdge(offset: number, motes: readonly OtaaDevice[]): ChildProcess {
  const secretsFile = path.join(folder, 'secrets.json');
  const rootKeys = motes.map(({ devEui, appKey }) => ({ devEui, appKey }));
  writeFileSync(secretsFile, JSON.stringify({ keyVersion: 1, rootKeys }), { mode: 0o600 });
  const devices = motes.map(({ devEui, name, joinEui }) => ({ devEui, name, joinEui, activation: 'otaa' }));
  const config = {
    dataDir: folder,
    portOffset: offset,
    gatewayBridge: { udp: { gateways: [GATEWAY] } },
    deviceLora: { devices, secretsFile },
  };
  const file = path.join(folder, 'antirio.jsonc');
  writeFileSync(file, JSON.stringify(config));
  const env = { ...process.env, NODE_OPTIONS: '' };
  const args = [main, 'up', '--json', '--log-level', 'error', '--config', file];
  return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], env });
}

const firstLine = (child: ChildProcess): Promise<void> =>
  new Promise((resolve, reject) => {
    child.stdout?.once('data', () => resolve());
    child.once('exit', () => reject(new Error('the edge ended before it was ready')));
  });

beforeAll(async () => {
  claimed = await claimOffsets(1);
  const [offset = 0] = claimed.offsets;
  const config: SimulatorConfigInput = {
    seed: 'e2e/lora',
    ...{ motes: MOTES, otaa: 1, adr: 1, mac: 'answered', confirmedUplinks: 1, confirmedAttempts: 4 },
    ...{ periodMs: 1_500, spreadingFactors: [SLOW] },
    attack: { retransmission: 0, replay: 0.05, bitflip: 0.05, foreign: 0.05, joinReplay: 1 },
    gateways: [{ id: GATEWAY, port: UDP_PORTS.gateway + offset, loss: 0, rssi: -70 }],
  };
  const log = { append: (record: TruthRecord) => void truth.push(record), close: () => undefined };
  simulator = await createSimulator(config, { truth: log });
  const motes = simulator.devices.filter((device) => 'appKey' in device);
  edge = startEdge(offset, motes);
  lora = httpPeer({ url: `http://127.0.0.1:${String(portOf('deviceLora', offset))}` });
  coreData = httpPeer({ url: `http://127.0.0.1:${String(portOf('coreData', offset))}` });
  await firstLine(edge);
}, 120_000);

afterAll(async () => {
  simulator.close();
  lora.close();
  coreData.close();
  const ended = new Promise((resolve) => edge.once('exit', resolve));
  edge.kill('SIGTERM');
  await ended;
  claimed.release();
  rmSync(folder, { recursive: true, force: true });
});

async function until(
  what: string,
  withinMs: number,
  condition: () => boolean | Promise<boolean>,
): Promise<void> {
  const met = await waitFor(systemClock, withinMs, async () => ((await condition()) ? true : undefined), 100);
  expect([what, met]).toEqual([what, true]);
}

const names = (): string[] => simulator.devices.map(({ name }) => name);

test('motes join by radio, are acknowledged, made faster by ADR, and take a downlink', async () => {
  simulator.start();
  await until('all have joined', 60_000, () => names().every((name) => simulator.mote(name).joined));
  // 20 uplinks of each are what ADR decides by
  await until('ADR made all faster', 150_000, () =>
    names().every((name) => simulator.mote(name).parameters.dataRate === 5),
  );
  const [name = ''] = names();
  const path = `/api/v3/lora/device/${name}/downlink`;
  await callJson(lora, { method: 'POST', path, json: { payload: 'cafe', fPort: 7, confirmed: true } });
  await until('the downlink is acknowledged', 30_000, async () => {
    const { downlinks } = (await callJson(lora, { path })) as { downlinks: { state: string }[] };
    return downlinks[0]?.state === 'acknowledged';
  });
  await simulator.stopTraffic();
  const received = truth.filter((record) => record.type === 'downlinkReceived');
  expect(received.some(({ payload, fPort }) => payload === 'cafe' && fPort === 7)).toBe(true);
  expect(received.filter(({ ack }) => ack).length).toBeGreaterThan(MOTES * 10);

  // no reading is lost, doubled or forged: by session and counter, what motes sent is what is stored
  const joined = truth.filter((record) => record.type === 'joined');
  expect(new Set(joined.map(({ devEui, joinNonce }) => `${devEui}/${joinNonce}`)).size).toBe(joined.length);
  const sent = new Set(
    truth.flatMap((record) =>
      record.type === 'tx' && record.kind === 'uplink' ? `${record.devAddr}/${record.fcnt}` : [],
    ),
  );
  const stored = async (): Promise<string[]> => {
    const answer = await callJson(coreData, { path: '/api/v3/event/all?limit=1000' });
    const { events } = answer as { events: { tags: { devAddr: string; fCnt: number } }[] };
    return events.map(({ tags }) => `${tags.devAddr}/${tags.fCnt}`);
  };
  await until('all is stored', 20_000, async () => (await stored()).length >= sent.size);
  expect((await stored()).sort()).toEqual([...sent].sort());
  // replayed JoinRequests led to nothing: a mote that misses its JoinAccept asks anew, and no more were accepted than were asked
  const status = (await callJson(lora, { path: '/api/v3/status' })) as { joins: Record<string, number> };
  const asked = truth.filter((record) => record.type === 'joinRequest');
  const requests = new Set(asked.map(({ devEui, devNonce }) => `${devEui}/${devNonce}`));
  expect(status.joins['accepted']).toBeGreaterThanOrEqual(joined.length);
  expect(status.joins['accepted']).toBeLessThanOrEqual(requests.size);
}, 280_000);
