import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { appendFileSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { SimulatorError } from './errors.ts';
import { countUplinks, readTruth } from './read-truth.ts';
import { openTruthLog } from './truth.ts';
import type { TransmissionKind } from './transmission.ts';
import type { TruthRecord, TxRecord } from './truth.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'truth-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const tx = (id: number, kind: TransmissionKind, fcnt: number, ofTxId?: number): TxRecord => ({
  type: 'tx',
  ...{ id, kind, fcnt, at: id * 10, wallNs: '1', airMs: 60 },
  ...{ devEui: '02', devAddr: '01', fPort: 2, payload: '0a', phyPayload: `40${String(fcnt)}` },
  ...{ confirmed: false, adr: false, ack: false, freqMhz: 868.1, datr: 'SF7BW125' },
  ...(ofTxId !== undefined && { ofTxId }),
});
const heard = (txId: number, gateway: string): TruthRecord => ({
  type: 'heard',
  ...{ txId, gateway, at: txId * 10 + 5, tmst: 1, rssi: -80, snr: 5 },
});
const acked = (txId: number, gateway: string): TruthRecord => ({
  type: 'acked',
  txId,
  gateway,
  at: txId * 10 + 7,
});

test('an identity gathers all transmissions of its bytes, and counts once', async () => {
  const file = path.join(folder, 'gather.jsonl');
  const log = openTruthLog(file);
  const records: TruthRecord[] = [
    { type: 'run', version: 1, at: 0, wallNs: '0', seed: 's', motes: 1, gateways: ['a', 'b'] },
    tx(1, 'uplink', 0),
    tx(2, 'uplink', 1),
    tx(3, 'retransmission', 1, 2),
    tx(4, 'uplink', 2),
    tx(5, 'bitflip', 2, 4),
    tx(6, 'foreign', 9),
    tx(7, 'replay', 0, 1),
    heard(2, 'a'),
    heard(3, 'b'),
    heard(5, 'a'),
    heard(6, 'a'),
    heard(7, 'a'),
    acked(3, 'b'),
    acked(5, 'a'),
    { type: 'end', at: 99, wallNs: '9' },
  ];
  for (const record of records) log.append(record);
  log.close();
  log.append(tx(8, 'uplink', 3));

  const truth = await readTruth(file);
  expect(truth.run?.seed).toBe('s');
  expect(truth.end?.at).toBe(99);
  expect(truth.unreadableLines).toBe(0);
  expect(truth.identities).toHaveLength(3);
  expect(truth.identities[0]).toMatchObject({
    fcnt: 0,
    kinds: ['uplink', 'replay'],
    heardBy: ['a'],
    ackedBy: [],
  });
  expect(truth.identities[1]).toMatchObject({
    devEui: '02',
    devAddr: '01',
    fcnt: 1,
    payload: '0a',
    airAt: 20,
    kinds: ['uplink', 'retransmission'],
    heardBy: ['a', 'b'],
    ackedBy: ['b'],
  });
  expect(truth.identities[1]?.transmissions[1]).toMatchObject({ ackedBy: [{ gateway: 'b', at: 37 }] });
  expect(truth.identities[2]).toMatchObject({ heardBy: [] });
  expect(truth.bitflips.map(({ id }) => id)).toEqual([5]);
  expect(truth.foreign.map(({ id }) => id)).toEqual([6]);
  expect(countUplinks(truth)).toEqual({ sent: 3, heard: 2, covered: 1 });
});

test('a torn last line is left out', async () => {
  const file = path.join(folder, 'torn.jsonl');
  writeFileSync(file, `${JSON.stringify(tx(1, 'uplink', 0))}\n`);
  appendFileSync(file, JSON.stringify(tx(2, 'uplink', 1)).slice(0, 40));
  const truth = await readTruth(file);
  expect(truth.identities).toHaveLength(1);
  expect(truth.unreadableLines).toBe(1);
  expect(truth.end).toBeUndefined();
});

test('a bounded log keeps its newest part, and what ran', async () => {
  const file = path.join(folder, 'bounded.jsonl');
  const log = openTruthLog(file, 8_000);
  log.append({ type: 'run', version: 1, at: 0, wallNs: '0', seed: 's', motes: 1, gateways: ['a'] });
  for (let id = 1; id <= 200; id += 1) {
    log.append(tx(id, 'uplink', id));
    // Records of one turn stay together.
    await new Promise((resolve) => setImmediate(resolve));
  }
  log.close();
  const parts = ['', '.1', '.2', '.3'].map((suffix) => statSync(`${file}${suffix}`).size);
  expect(Math.max(...parts)).toBeLessThanOrEqual(2_000);
  const { run, identities, unreadableLines } = await readTruth(file);
  expect({ seed: run?.seed, unreadableLines }).toEqual({ seed: 's', unreadableLines: 0 });
  const counters = identities.map(({ fcnt }) => fcnt);
  expect(counters.at(-1)).toBe(200);
  expect(counters.length).toBeGreaterThan(15);
  expect(counters).toEqual(counters.map((_, index) => 200 - counters.length + 1 + index));
  rmSync(file);
  expect(() => openTruthLog(file, 8_000)).toThrow('.1');
});

test('a log that holds a run is not written over', () => {
  const file = path.join(folder, 'full.jsonl');
  writeFileSync(file, '{}\n');
  expect(() => openTruthLog(file)).toThrow(SimulatorError);
});
