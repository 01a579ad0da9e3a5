import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, type RequestListener, type Server as HttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { makeIdentityFile, systemClock } from '@antirio/host';
import { claimOffsets, type ClaimedOffsets } from '@antirio/testing';
import { doctor, examine } from '../commands/doctor.ts';
import { readConfig, type EdgeConfig } from '../config.ts';
import { roomOf } from '../rooms.ts';
import { checkEngine, judgeEngine, judgeSocket } from './engine-check.ts';
import type { Finding } from './finding.ts';
import { checkFolder, judgeDisk } from './folder-checks.ts';
import { judgeClock, judgeMemory, judgeNode, judgeTimeAgainst } from './host-checks.ts';
import { checkReach, judgeGateways } from './network-checks.ts';
import { judgePort, portFault, portsOf } from './port-checks.ts';

let dataDir: string;
let claimed: ClaimedOffsets;
const servers: Server[] = [];

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'antirio-doctor-'));
  claimed = await claimOffsets(1);
});
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
  claimed.release();
  rmSync(dataDir, { recursive: true });
});

const configWith = (env: Record<string, string> = {}): EdgeConfig =>
  readConfig({ dataDir, portOffset: claimed.offsets[0] }, env);
const look = (config: EdgeConfig): Promise<Finding[]> =>
  examine(config, [roomOf('coreData'), roomOf('gatewayBridge')], systemClock, {});
const said = (findings: readonly Finding[], check: string): string =>
  findings.flatMap((one) => (one.check === check ? [`${one.level}: ${one.says}`] : [])).join('\n');

async function listening<S extends Server>(server: S, where: number | string = 0): Promise<S> {
  servers.push(server);
  await new Promise<void>((resolve) => {
    if (typeof where === 'number') server.listen(where, '127.0.0.1', resolve);
    else server.listen(where, resolve);
  });
  return server;
}

const answering = (listener: RequestListener, where: number | string = 0): Promise<HttpServer> =>
  listening(createHttpServer(listener), where);

describe('an edge that is down', () => {
  test('is told to be, with all that it needs in order', async () => {
    makeIdentityFile(join(dataDir, 'identity.json'));
    const findings = await look(configWith());
    // how much memory the host has, and how fast its disk is, is not ours
    const ours = findings.filter(({ check }) => check !== 'memory' && check !== 'disk');
    expect(ours.filter(({ level }) => level === 'problem')).toEqual([]);
    expect(said(findings, 'services')).toBe('warning: the edge is down: antirio up starts it');
    expect(said(findings, 'keys')).toBe('ok: identity and tokens can be read');
    expect(readdirSync(dataDir)).toEqual(['identity.json']);
  });

  test('a port that another program has is named with what to do', async () => {
    const config = configWith();
    const [port] = portsOf(roomOf('coreData'), config);
    await listening(
      createServer((socket) => socket.resume().end('SSH-2.0\n')),
      port?.port,
    );
    expect(said(await look(config), 'ports')).toMatch(
      new RegExp(`port ${port?.port}/tcp of core-data is taken by another program: .*--port-offset`),
    );
  });

  test('another edge at the same port is told', async () => {
    const config = configWith();
    const answer = { serviceName: 'core-metadata', ready: true, checks: {} };
    const [port] = portsOf(roomOf('coreData'), config);
    await answering((_, response) => void response.end(JSON.stringify(answer)), port?.port);
    expect(said(await look(config), 'ports')).toContain('core-metadata answers where core-data should');
  });

  test('a room that is up and not ready says why; one that is down beside it is missing', async () => {
    const config = configWith();
    const checks = { store: { ok: false, detail: 'the disk is full' }, bus: { ok: true } };
    const [port] = portsOf(roomOf('coreData'), config);
    const answer = JSON.stringify({ serviceName: 'core-data', ready: false, checks });
    await answering((_, response) => void response.writeHead(503).end(answer), port?.port);
    const findings = said(await look(config), 'services');
    expect(findings).toContain('core-data is not ready: store: the disk is full');
    expect(findings).toContain('gateway-bridge: not running although others are');
  });

  test('what is configured to be elsewhere and is not there is told', async () => {
    const url = 'http://127.0.0.1:9';
    const config = configWith({ ANTIRIO_SERVICES__CORE_DATA__URL: url });
    expect(said(await look(config), 'services')).toContain(`core-data does not answer at ${url}`);
  });
});

describe('the data folder', () => {
  const folder = (): string => {
    const { findings } = checkFolder(dataDir, undefined, systemClock);
    return findings.map(({ level, check, says }) => `${level} ${check}: ${says}`).join('\n');
  };

  test('a store that is none, and an empty secret, are damaged', () => {
    mkdirSync(join(dataDir, 'core-data'));
    mkdirSync(join(dataDir, 'broker'));
    writeFileSync(join(dataDir, 'core-data', 'events.db'), 'half');
    writeFileSync(join(dataDir, 'core-data', 'new.db'), '');
    writeFileSync(join(dataDir, 'broker', 'secret'), '');
    expect(folder()).toContain(`${join(dataDir, 'core-data/events.db')} is no store: a write was cut off`);
    expect(folder()).toContain(`${join(dataDir, 'broker/secret')} is empty`);
    expect(folder()).not.toContain('new.db');
  });

  test('a write that was cut off did no harm', () => {
    writeFileSync(join(dataDir, 'state.json.new'), '{');
    expect(folder()).toContain('ok data: 1 writes were cut off (state.json.new)');
  });

  test('keys that others may read, or that are none, are a problem', () => {
    const path = join(dataDir, 'identity.json');
    makeIdentityFile(path);
    chmodSync(path, 0o644);
    expect(folder()).toContain('problem keys: ');
    expect(folder()).toContain('chmod 600');
    chmodSync(path, 0o600);
    mkdirSync(join(dataDir, 'access'));
    writeFileSync(join(dataDir, 'access', 'tokens.json'), '{');
    expect(folder()).toContain('holds no tokens');
  });

  test('a disk that is full, slow, or out of inodes is told', () => {
    const disk = { folder: '/d', freeBytes: 2 ** 33, freeInodes: 1e6, fsyncMs: 1 };
    const levels = (change: object): string[] => judgeDisk({ ...disk, ...change }).map(({ level }) => level);
    expect(levels({})).toEqual(['ok', 'ok']);
    expect(levels({ freeInodes: undefined })).toEqual(['ok', 'ok']);
    expect(levels({ freeBytes: 1 << 20 })).toEqual(['problem', 'ok']);
    expect(levels({ freeBytes: 100 << 20 })).toEqual(['warning', 'ok']);
    expect(levels({ freeInodes: 10 })).toEqual(['ok', 'problem', 'ok']);
    expect(levels({ fsyncMs: 80 })).toEqual(['ok', 'warning']);
    expect(levels({ fsyncMs: 900 })).toEqual(['ok', 'problem']);
  });
});

describe('the clock', () => {
  const wallMs = Date.UTC(2026, 10, 22);
  const facts = { wallMs, drift: { wallMs: 300, monotonicMs: 300 }, newestFileMs: wallMs - 1000 };

  test('is held against the files, and against the monotonic one', () => {
    expect(judgeClock(facts).level).toBe('ok');
    expect(judgeClock({ ...facts, wallMs: 0 })).toMatchObject({
      level: 'problem',
      says: expect.stringContaining('1970'),
    });
    expect(judgeClock({ ...facts, newestFileMs: wallMs + 3 * 3_600_000 }).says).toContain(
      '3 h behind the newest file',
    );
    expect(judgeClock({ ...facts, drift: { wallMs: 1300, monotonicMs: 300 } }).says).toContain(
      '1000 ms another way',
    );
  });

  test('and against that of another edge, which says it in each answer', async () => {
    const serve = async (aheadMs: number): Promise<Finding[]> => {
      const server = await answering((_, response) => {
        response.setHeader('date', new Date(Date.now() + aheadMs).toUTCString());
        response.writeHead(401).end('{}');
      });
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      return checkReach({ name: 'the central', edgeId: 'x', url }, systemClock);
    };
    expect(said(await serve(0), 'clock')).toBe('ok: it agrees with that of the central');
    const wrong = await serve(3_600_000);
    expect(said(wrong, 'peers')).toMatch(/ok: the central answers at .* in \d+ ms/);
    expect(said(wrong, 'clock')).toMatch(/problem: the clock is 60 min behind that of the central.*Set it/);
    expect(judgeTimeAgainst('b', 5000).level).toBe('warning');
    const gone = await checkReach({ name: 'b', edgeId: 'x', url: 'http://127.0.0.1:9' }, systemClock);
    expect(said(gone, 'peers')).toContain('peerBind');
  });
});

describe('the container engine', () => {
  const docker = { ANTIRIO_ORCHESTRATOR__RUNTIME: 'docker' };

  test('that is not there, ended, or not ours to use is told as what it is', async () => {
    expect(configWith(docker).orchestrator['runtime']).toBe('docker');
    const none = await checkEngine('docker', { DOCKER_HOST: `unix://${dataDir}/none.sock` });
    expect(said(none, 'engine')).toMatch(/problem: there is no container engine at .*apt install/);
    expect(judgeSocket('/s', 'EACCES', 'pi').says).toContain('usermod -aG docker pi');
    expect(judgeSocket('/s', 'ECONNREFUSED', 'pi').says).toContain('systemctl start docker');
    expect((await checkEngine('process', {})).map(({ level }) => level)).toEqual(['ok']);
  });

  test('that answers is asked for its version and architecture', async () => {
    const socket = join(dataDir, 'docker.sock');
    const version = { ApiVersion: '1.24', Arch: 'riscv64', Os: 'linux', Version: '1.0' };
    await answering((_, response) => void response.end(JSON.stringify(version)), socket);
    const found = said(await checkEngine('docker', { DOCKER_HOST: `unix://${socket}` }), 'engine');
    expect(found).toContain('is too old');
    expect(found).toContain('runs images of linux/riscv64');
    expect(judgeEngine({ ...version, ApiVersion: '1.48', Arch: 'arm64' }, 'arm64')).toMatchObject([
      { level: 'ok' },
    ]);
  });
});

describe('the rest', () => {
  test('gateways that are silent, or take no downlinks, are told', () => {
    const heard = { gatewayId: 'aa', pushedAgoMs: 5000, pulledAgoMs: 5000 };
    const levels = (one: object): string => judgeGateways([{ ...heard, ...one }], 1700)[0]?.says ?? '';
    expect(levels({})).toBe('gateway aa reported 5 s ago');
    expect(levels({ pushedAgoMs: 600_000 })).toContain('reported last 600 s ago');
    expect(levels({ pushedAgoMs: undefined })).toContain('has reported nothing');
    expect(levels({ pulledAgoMs: undefined })).toContain('asks for no downlinks');
    expect(judgeGateways([], 1701)).toMatchObject([
      { level: 'warning', says: expect.stringContaining('1701/udp') },
    ]);
  });

  test('memory, Node and ports have their bounds', async () => {
    expect(judgeMemory({ totalBytes: 2 ** 30, availableBytes: 2 ** 29 }).level).toBe('ok');
    expect(judgeMemory({ totalBytes: 2 ** 29, availableBytes: 100 << 20 }).level).toBe('warning');
    expect(judgeMemory({ totalBytes: 2 ** 29, availableBytes: 1 << 20 }).level).toBe('problem');
    expect([judgeNode('24.1.0').level, judgeNode('20.9.0').level]).toEqual(['ok', 'problem']);
    const port = { room: 'broker', kind: 'tcp', port: 80, bind: '192.0.2.1' } as const;
    expect(judgePort(port, 'EACCES').says).toContain('over 1023');
    expect(await portFault('tcp', 0, '192.0.2.1')).toBe('EADDRNOTAVAIL');
    expect(await portFault('udp', 0, '127.0.0.1')).toBeUndefined();
    expect(judgePort(port, 'EADDRNOTAVAIL').says).toContain('192.0.2.1 is no address of this host');
  });

  test('a configuration that is wrong is a finding, and the answer is no', async () => {
    const read = (): EdgeConfig => configWith({ ANTIRIO_NONSENSE: '1' });
    expect(await doctor(read, () => [], true)).toBe(1);
  });
});
