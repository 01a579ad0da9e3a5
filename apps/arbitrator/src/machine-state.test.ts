import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { failingMachine, lastGaspOptions } from './machine-state.ts';

const folder = mkdtempSync(join(tmpdir(), 'antirio-sys-'));
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function shows(values: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(values)) {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), `${value}\n`);
  }
}

const failing = (options: { batteryBelowPercent?: number; hotterThanC?: number }): string | undefined =>
  failingMachine(lastGaspOptions.parse({ sysFolder: folder, ...options }));

test('a machine without battery and sensors is well, and so is one that nobody asked to watch', () => {
  expect(failing({ batteryBelowPercent: 10, hotterThanC: 80 })).toBeUndefined();
  shows({ 'thermal/thermal_zone0/temp': '99000' });
  expect(failing({})).toBeUndefined();
});

test('a battery that runs empty is told, one that is charged is not', () => {
  const battery = { 'power_supply/BAT0/type': 'Battery', 'power_supply/BAT0/capacity': '7' };
  shows({ ...battery, 'power_supply/AC/type': 'Mains', 'power_supply/BAT0/status': 'Discharging' });
  expect(failing({ batteryBelowPercent: 10 })).toBe('battery');
  expect(failing({ batteryBelowPercent: 5 })).toBeUndefined();
  shows({ 'power_supply/BAT0/status': 'Charging' });
  expect(failing({ batteryBelowPercent: 10 })).toBeUndefined();
});

test('any zone that is too hot is told; rubbish is no temperature', () => {
  shows({ 'thermal/thermal_zone0/temp': '41000', 'thermal/thermal_zone1/temp': 'n/a' });
  expect(failing({ hotterThanC: 80 })).toBeUndefined();
  shows({ 'thermal/thermal_zone1/temp': '80500' });
  expect(failing({ hotterThanC: 80 })).toBe('heat');
});
