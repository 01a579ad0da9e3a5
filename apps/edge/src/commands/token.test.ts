import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { readConfig, type EdgeConfig } from '../config.ts';
import { createToken, expiryOf } from './token.ts';

let dataDir: string;
let config: EdgeConfig;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'antirio-token-'));
  config = readConfig({ dataDir }, {});
});
afterEach(() => rmSync(dataDir, { recursive: true }));

test('a token is for services that there are', async () => {
  const refused = createToken(config, { scope: ['*:read', 'core-dat:read'] });
  await expect(refused).rejects.toThrow('there is no service core-dat; there are: broker');
  await expect(createToken(config, { scope: ['king'] })).rejects.toThrow('is no scope');
  expect(() => readFileSync(join(dataDir, 'access', 'tokens.json'))).toThrow('ENOENT');
});

test('a token is for a time to come', () => {
  const now = Date.parse('2026-11-22T00:00:00Z');
  expect(expiryOf('30m', now)).toBe(now + 30 * 60_000);
  expect(expiryOf('90d', now)).toBe(now + 90 * 86_400_000);
  expect(expiryOf('2026-12-01', now)).toBe(Date.parse('2026-12-01T00:00:00Z'));
  for (const wrong of ['2020-01-01', '0d', '5 days', 'soon', ''])
    expect(() => expiryOf(wrong, now)).toThrow(/is (?:over|no time)/);
});

test('rooms beyond this host have TLS, or leave; a token goes nowhere unencrypted', () => {
  const services = (place: object): unknown =>
    readConfig({ dataDir }, { ANTIRIO_SERVICES__CORE_DATA: JSON.stringify({ tokenFile: 't', ...place }) })
      .services;
  expect(() => services({ url: 'http://192.0.2.1:59880' })).toThrow('unencrypted');
  expect(() => services({ url: 'http://localhost:59880', caFile: 'ca' })).toThrow(
    'certificates are for https',
  );
  expect(services({ url: 'http://localhost:59880' })).toBeDefined();
  expect(services({ url: 'https://192.0.2.1:59880', caFile: 'ca' })).toBeDefined();
});
