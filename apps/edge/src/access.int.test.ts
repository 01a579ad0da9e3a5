import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createMqttBus } from '@antirio/bus';
import {
  addToken,
  callJson,
  clientTls,
  httpPeer,
  silentLog,
  systemClock,
  waitFor,
  type HttpPeer,
} from '@antirio/host';
import { claimOffsets, selfSigned, type ClaimedOffsets } from '@antirio/testing';
import { Antirio, antirio } from './edges.fixture.ts';

let dir: string;
let claimed: ClaimedOffsets;
let ports: { core: number; command: number };
const running: Antirio[] = [];
const peers: HttpPeer[] = [];
const secrets: string[] = [];

const folder = (name: string): string => join(dir, name);
const tls = () => clientTls({ caFile: folder('cert.pem') }, systemClock, silentLog);

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'antirio-access-'));
  claimed = await claimOffsets(2);
  const [core = 0, command = 0] = claimed.offsets;
  ports = { core, command };
  const { cert, key } = selfSigned(['localhost', '127.0.0.1']);
  writeFileSync(folder('cert.pem'), cert);
  writeFileSync(folder('key.pem'), key, { mode: 0o600 });
  secrets.push(key.split('\n')[1] ?? '');
});
afterAll(async () => {
  for (const peer of peers) peer.close();
  await Promise.all(running.map((one) => one.stop('SIGKILL')));
  claimed.release();
  rmSync(dir, { recursive: true });
});

function to(port: number, token?: string): HttpPeer {
  const credentials = { tls: tls(), token: token === undefined ? undefined : () => token };
  const peer = httpPeer({ url: `https://localhost:${port}`, credentials });
  peers.push(peer);
  return peer;
}

function tokenFor(...scopes: string[]): string {
  const path = join(folder('core'), 'access', 'tokens.json');
  const { token } = addToken(path, { name: '', scopes }, systemClock.now());
  secrets.push(token);
  return token;
}

/** All that this edge keeps to itself: keys, secrets and tokens, as they stand in its files. */
function ownSecrets(dataDir: string): string[] {
  const text = (name: string): string => readFileSync(join(dataDir, name), 'utf8').trim();
  const identity = JSON.parse(text('identity.json')) as Record<string, unknown>;
  const keys = ['ed25519', 'x25519'].map((name) => String(identity[name]));
  const brokerSecret = readdirSync(join(dataDir, 'broker')).includes('secret') ? [text('broker/secret')] : [];
  return [...keys, ...brokerSecret, text('access/local.token')];
}

const LORA_KEY = '00112233445566778899aabbccddeef1';

test('an edge with TLS and tokens: who has none gets nothing, and no secret is in its logs', async () => {
  mkdirSync(folder('core'));
  const flags = ['--scope', 'core-data:read', '--name', 'dashboard', '--expires', '1h'];
  const created = await antirio(['token', 'create', '--data-dir', folder('core'), ...flags]);
  expect([created.code, created.err]).toEqual([0, expect.stringContaining('shown this once')]);
  const reader = created.out.trim();
  secrets.push(reader);
  const service = tokenFor('core-metadata:write', 'broker:write');
  const operator = tokenFor('operator');
  const config = {
    dataDir: folder('core'),
    portOffset: ports.core,
    logLevel: 'trace',
    requireTokens: true,
    tls: { certFile: folder('cert.pem'), keyFile: folder('key.pem') },
    deviceLora: {
      devices: [{ name: 'mote', devEui: '0102030405060708', activation: 'otaa' }],
      devAddrRange: { first: '02000000', last: '0200ffff' },
      secretsFile: folder('lora.json'),
    },
  };
  const rootKeys = [{ devEui: '0102030405060708', appKey: LORA_KEY }];
  writeFileSync(folder('lora.json'), JSON.stringify({ keyVersion: 1, rootKeys, sessions: [] }), {
    mode: 0o600,
  });
  writeFileSync(folder('core.jsonc'), JSON.stringify(config));
  const edge = new Antirio(['up', '--config', folder('core.jsonc'), '--json']);
  running.push(edge);
  await edge.ready();
  const [coreData, coreMetadata, broker] = [59_880, 59_881, 1883].map((port) => port + ports.core) as [
    number,
    number,
    number,
  ];

  // what the rooms ask of each other, and the operator's commands, have the edge's own token
  const ready = { path: '/api/v3/ready' };
  await waitFor(
    systemClock,
    60_000,
    async () => (await to(59_910 + ports.core, operator).call(ready)).status === 200 || undefined,
  );
  expect((await antirio(['status', '--config', folder('core.jsonc')])).code).toBe(0);
  const examined = await antirio(['doctor', '--json', '--config', folder('core.jsonc')]);
  const { findings } = JSON.parse(examined.out) as { findings: { check: string; level: string }[] };
  const wrong = findings.filter(
    ({ check, level }) => level === 'problem' && check !== 'disk' && check !== 'memory',
  );
  expect(wrong).toEqual([]);
  expect(findings).toEqual(
    expect.arrayContaining([
      { check: 'services', level: 'ok', says: expect.stringMatching(/^(\d+) of \1 services answer$/) },
      { check: 'broker', level: 'ok', says: expect.stringContaining('acknowledges messages') },
      { check: 'radio', level: 'warning', says: expect.stringContaining('no gateway has sent anything yet') },
    ]),
  );
  const status = async (port: number, token?: string): Promise<number> =>
    (await to(port, token).call({ path: '/api/v3/config' })).status;
  expect([
    await status(coreData),
    await status(coreData, reader),
    await status(coreMetadata, reader),
  ]).toEqual([401, 200, 403]);
  const stranger = createMqttBus({ url: `mqtts://localhost:${broker}`, tls: tls() }, silentLog, {
    publishTimeoutMs: 500,
  });
  await expect(stranger.publish('x', '')).rejects.toMatchObject({ code: 'unavailable' });
  await stranger.close();

  // a secret of an operator's
  const secret = 'hunter2-hunter2-hunter2';
  secrets.push(secret, LORA_KEY);
  const secretData = [{ key: 'password', value: secret }];
  const post = {
    method: 'POST',
    path: '/api/v3/secret',
    json: { apiVersion: 'v3', secretName: 's', secretData },
  } as const;
  expect((await to(coreData, reader).call(post)).status).toBe(403);
  expect((await to(coreData, operator).call(post)).status).toBe(201);

  // a service on another host
  writeFileSync(folder('service.token'), `${service}\n`, { mode: 0o600 });
  const shown = { tokenFile: folder('service.token'), caFile: folder('cert.pem') };
  const elsewhere = {
    dataDir: folder('command'),
    portOffset: ports.command,
    logLevel: 'trace',
    coreCommand: { followKeeper: false },
    services: {
      coreMetadata: { url: `https://localhost:${coreMetadata}`, ...shown },
      broker: { url: `mqtts://localhost:${broker}`, ...shown },
    },
  };
  writeFileSync(folder('command.jsonc'), JSON.stringify(elsewhere));
  const command = new Antirio(['serve', 'core-command', '--config', folder('command.jsonc'), '--json']);
  running.push(command);
  const { urls } = await command.ready();
  const asked = httpPeer({ url: urls['core-command'] ?? '' });
  peers.push(asked);
  expect(await callJson(asked, { path: '/api/v3/device/all' })).toMatchObject({
    statusCode: 200,
    deviceCoreCommands: expect.arrayContaining([expect.objectContaining({ deviceName: 'mote' })]),
  });
  expect((await callJson(asked, { path: '/api/v3/ready' })) as object).toMatchObject({
    checks: { bus: { ok: true } },
  });

  // what is revoked is nobody's a second later
  const id = reader.split('_')[1] ?? '';
  expect((await antirio(['token', 'revoke', id, '--config', folder('core.jsonc')])).code).toBe(0);
  await waitFor(systemClock, 60_000, async () => (await status(coreData, reader)) === 401 || undefined);
  const environments = running.map(({ child }) => readFileSync(`/proc/${child.pid}/environ`, 'utf8'));
  const told = await Promise.all(
    [coreData, coreMetadata, 59_910 + ports.core, 59_709 + ports.core].map(async (port) =>
      JSON.stringify(await callJson(to(port, operator), { path: '/api/v3/config' })),
    ),
  );
  const ended = await Promise.all(running.map((one) => one.stop()));
  const logs = ended.map(({ out, err }) => out + err);
  expect(Math.min(...logs.map(({ length }) => length))).toBeGreaterThan(200);
  for (const known of [...secrets, ...ownSecrets(folder('core'))]) {
    expect(known.length).toBeGreaterThan(15);
    for (const text of [...logs, ...environments, ...told]) expect(text).not.toContain(known);
  }
});
