import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { followTruth } from './live-truth.ts';

test('a growing log is read once, also where a line comes in two pieces', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'truth-'));
  const file = path.join(folder, 'truth.jsonl');
  appendFileSync(
    file,
    `${JSON.stringify({ type: 'tx', kind: 'uplink', devEui: 'ab', fcnt: 1, at: 5 })}\n{"type":"tx","ki`,
  );
  const truth = followTruth(file);
  truth.update();
  expect([truth.airAt('AB', 1), truth.airAt('ab', 2), truth.uplinks]).toEqual([5, undefined, 1]);
  appendFileSync(file, 'nd":"uplink","devEui":"ab","fcnt":2,"at":7}\n');
  appendFileSync(file, `${JSON.stringify({ type: 'tx', kind: 'replay', devEui: 'ab', fcnt: 1, at: 9 })}\n`);
  appendFileSync(file, `${JSON.stringify({ type: 'downlink', gateway: 'gg', at: 9 })}\n`);
  truth.update();
  expect([truth.airAt('ab', 1), truth.airAt('ab', 2), truth.uplinks]).toEqual([5, 7, 2]);
  expect([truth.downlinksFrom('gg'), truth.downlinksFrom('hh')]).toEqual([1, 0]);
  truth.close();
  rmSync(folder, { recursive: true });
});
