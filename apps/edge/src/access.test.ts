import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { silentLog, type RimAccess } from '@antirio/host';
import { selfSigned } from '@antirio/testing';
import { openAccess } from './access.ts';
import { readConfig } from './config.ts';

const TOKEN = `antirio_0123456789ab_${'x'.repeat(43)}`;
let dir: string;
let tls: Readonly<Record<'certFile' | 'keyFile', string>>;
const file = (name: string): string => join(dir, name);

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'antirio-places-'));
  const { cert, key } = selfSigned(['core-data']);
  tls = { certFile: file('cert.pem'), keyFile: file('key.pem') };
  writeFileSync(tls.certFile, cert);
  writeFileSync(tls.keyFile, key, { mode: 0o600 });
  writeFileSync(file('token'), `${TOKEN}\n`, { mode: 0o600 });
});
afterAll(() => rmSync(dir, { recursive: true }));

function accessWith(own: object): RimAccess {
  writeFileSync(file('antirio.jsonc'), JSON.stringify({ dataDir: dir, tls, requireTokens: true, ...own }));
  return openAccess(readConfig({ config: file('antirio.jsonc') }, {}), silentLog);
}

test('what a service of this host announced of itself beyond it is called by its loopback, with the edge’s own token', () => {
  const access = accessWith({ bind: '0.0.0.0', orchestrator: { bind: '10.0.0.7' } });
  const lora = access.placeOf(`https://${hostname()}:59910`);
  expect(lora.url).toBe('http://127.0.0.1:59910');
  expect(lora.credentials?.token?.()).toMatch(/^antirio_/);
  // with the path below which a foreign service is
  const foreign = access.placeOf('https://10.0.0.7:59700/orchestrator/v1/foreign/c1');
  expect(foreign.url).toBe('http://10.0.0.7:59700/orchestrator/v1/foreign/c1');
});

test('a service that runs elsewhere is called where it is, with what services says is shown there', () => {
  const shown = { tokenFile: file('token'), caFile: file('cert.pem') };
  const place = { url: 'https://device-lora:59910', ...shown };
  const access = accessWith({ bind: '0.0.0.0', services: { deviceLora: place } });
  const { url, credentials } = access.placeOf('https://device-lora:59910');
  expect([url, credentials?.token?.()]).toEqual(['https://device-lora:59910', TOKEN]);
});

test('an address that nothing is known of is shown nothing', () => {
  const access = accessWith({ bind: '0.0.0.0' });
  for (const url of ['https://elsewhere:59910', `https://${hostname()}:5`, 'http://10.0.0.9:59910/x'])
    expect(access.placeOf(url)).toEqual({ url, credentials: undefined });
});

test('of processes that start at once none finds half of the edge’s own token, and all find the same', async () => {
  const shared = mkdtempSync(join(dir, 'edge-'));
  const starting = `const { openAccess } = await import(${JSON.stringify(new URL('./access.ts', import.meta.url).href)});
    const { readConfig } = await import(${JSON.stringify(new URL('./config.ts', import.meta.url).href)});
    const log = { warn() {}, info() {}, debug() {} };
    const access = openAccess(readConfig({ dataDir: ${JSON.stringify(shared)} }, { ANTIRIO_REQUIRE_TOKENS: 'true' }), log);
    console.log(access.placeOf('http://127.0.0.1:59880').credentials.token());`;
  const run = promisify(execFile);
  const args = ['--input-type=module', '--eval', starting];
  const env = { ...process.env, NODE_OPTIONS: '' };
  const all = await Promise.all([1, 2, 3].map(() => run(process.execPath, args, { env })));
  expect(new Set(all.map(({ stdout }) => stdout)).size).toBe(1);
  expect(readdirSync(join(shared, 'access'))).toEqual(['local.token']);
});
