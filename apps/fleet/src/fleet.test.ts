import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { httpPeer, silentLog, systemClock, waitFor, type HttpPeer } from '@antirio/host';
import { buildLayer, writeImageArchive } from '@antirio/runtime/test-image';
import { createFleet, fleetOptions, type Fleet } from './index.ts';

const COMPOSE = 'services:\n  edge:\n    image: antirio:1\n';
/** What `balena push` of version 18 prints, by and large, and what becomes of it. */
const CLI = `#!/bin/sh
[ "$1 $2 $3" = "push myorg/bridges --source" ] || { echo "Unexpected arguments: $*" >&2; exit 2; }
cd "$4" || exit 3
printf '\\033[36m[Info]\\033[0m     Starting build for myorg/bridges, user someone\\n'
[ -f slow ] && sleep 30
[ -f contracts/c-1/Dockerfile ] || { echo "BalenaCompositionError: no Dockerfile" >&2; exit 1; }
cp docker-compose.yml "$OLDPWD/pushed.yml"
echo "[Success]  Release successfully created!"
`;

describe('the back-end of a fleet', () => {
  let dir: string;
  let fleet: Fleet;
  let peer: HttpPeer;
  /** What migration says, by contract. */
  let fetches: Record<string, unknown>;

  const migration: HttpPeer = {
    call({ path }) {
      const found = fetches[path.replace('/migration/v1/fetch/', '')];
      const body = new Uint8Array(Buffer.from(JSON.stringify(found ?? {})));
      const json = (): unknown => JSON.parse(Buffer.from(body).toString()) as unknown;
      return Promise.resolve({ status: found === undefined ? 404 : 200, headers: {}, body, json });
    },
    close: () => undefined,
  };
  const start = async (more: Record<string, unknown> = {}): Promise<void> => {
    const command = [join(dir, 'balena')];
    const options = fleetOptions.parse({ port: 0, dataDir: dir, fleet: 'myorg/bridges', command, ...more });
    fleet = createFleet(options, { clock: systemClock, log: silentLog, peers: { migration } });
    await fleet.start();
    peer = httpPeer({ url: `http://127.0.0.1:${fleet.port}` });
  };
  const ask = async (method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, json?: unknown) => {
    const call = { method, path: `/fleet/v1/${path}`, ...(json === undefined ? {} : { json }) };
    const { status, json: read } = await peer.call(call);
    return { status, body: read() as Record<string, unknown> };
  };
  const pushed = async (): Promise<Record<string, unknown>> => {
    const ended = await waitFor(systemClock, 10_000, async () => {
      const { body } = await ask('GET', 'push');
      return body['state'] === 'running' ? undefined : body;
    });
    return ended ?? {};
  };
  const source = (name: string): string => join(dir, 'fleet', 'source', name);

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'fleet-'));
    writeFileSync(join(dir, 'balena'), CLI);
    chmodSync(join(dir, 'balena'), 0o755);
    const archive = join(dir, 'c-1.tar');
    const lower = await buildLayer([
      { name: 'app/main.mjs', content: 'run' },
      { name: 'app/old', content: 'x' },
    ]);
    const upper = await buildLayer([
      { name: 'app/.wh.old' },
      { name: 'bin/tool', content: 't', mode: 0o4755 },
    ]);
    const env = ['PATH=/bin', 'GREETING=kali "mera" $HOME'];
    await writeImageArchive(archive, { layers: [lower, upper], env });
    const configuration = {
      serviceName: 'nodered',
      ports: '1880',
      volumes: 'flows:/data',
      depends_on: ['edge'],
    };
    fetches = { 'c-1': { state: 'DOWNLOADED', archive, imageCid: 'bafy1', configuration } };
    await start();
  });
  afterEach(async () => {
    peer.close();
    await fleet.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  test('appends a contract’s service with the image that was fetched, and pushes it', async () => {
    expect((await ask('PUT', 'compose', { compose: COMPOSE })).status).toBe(200);
    const appended = await ask('POST', 'service/c-1');
    expect(appended).toMatchObject({ status: 200, body: { service: 'antirio-c-1' } });
    expect((await ask('GET', 'service')).body).toEqual([{ contractId: 'c-1', service: 'antirio-c-1' }]);
    const dockerfile = readFileSync(source('contracts/c-1/Dockerfile'), 'utf8');
    expect(dockerfile).toContain('ENV GREETING="kali \\"mera\\" \\$HOME"');
    expect(dockerfile).toContain('ENTRYPOINT ["node","/app/main.mjs"]');
    expect(readFileSync(source('contracts/c-1/rootfs/app/main.mjs'), 'utf8')).toBe('run');
    expect(existsSync(source('contracts/c-1/rootfs/app/old'))).toBe(false);
    expect((await ask('POST', 'push')).status).toBe(202);
    expect(await pushed()).toMatchObject({ id: 1, state: 'done', fleet: 'myorg/bridges' });
    const { body } = await ask('GET', 'push');
    expect(String(body['output'])).toMatch(/^\[Info\] +Starting build/);
    expect((await ask('DELETE', 'service/c-1')).body['compose']).toBe(COMPOSE);
    expect(existsSync(source('contracts/c-1'))).toBe(false);
  });

  test('says why the tool failed, and goes on after that', async () => {
    await ask('PUT', 'compose', { compose: COMPOSE });
    await ask('POST', 'push');
    expect(await pushed()).toMatchObject({
      state: 'failed',
      error: expect.stringMatching(/ended with code 1/),
    });
    expect(String((await ask('GET', 'push')).body['output'])).toContain('BalenaCompositionError');
    rmSync(join(dir, 'balena'));
    await ask('POST', 'push');
    expect(await pushed()).toMatchObject({
      id: 2,
      error: expect.stringMatching(/is the balena CLI installed/),
    });
  });

  test('changes nothing while it is uploaded; an end in the middle is told', async () => {
    await ask('PUT', 'compose', { compose: COMPOSE });
    writeFileSync(source('slow'), '');
    expect((await ask('POST', 'push')).status).toBe(202);
    for (const [method, path] of [
      ['POST', 'push'],
      ['POST', 'service/c-1'],
    ] as const)
      expect(await ask(method, path)).toMatchObject({
        status: 429,
        body: { message: expect.stringMatching(/is (still )?going/) },
      });
    const record = readFileSync(join(dir, 'fleet', 'push.json'), 'utf8');
    peer.close();
    await fleet.stop();
    // As a SIGKILL would have left it
    writeFileSync(join(dir, 'fleet', 'push.json'), record);
    await start();
    expect((await ask('GET', 'push')).body).toMatchObject({ id: 1, state: 'interrupted' });
    rmSync(source('slow'));
    expect((await ask('POST', 'push')).body).toMatchObject({ id: 2, state: 'running' });
    await pushed();
  });

  test('refuses what balena would refuse, what is not there, and what another has changed', async () => {
    expect(await ask('GET', 'compose')).toMatchObject({ status: 404 });
    expect(await ask('POST', 'service/c-1')).toMatchObject({ status: 404 });
    const bad = await ask('PUT', 'compose', { compose: `${COMPOSE}    platform: linux\n` });
    expect(bad).toMatchObject({
      status: 400,
      body: { message: expect.stringMatching(/services\.edge\.platform/) },
    });
    const { body } = await ask('PUT', 'compose', { compose: COMPOSE });
    await ask('POST', 'service/c-1');
    expect(await ask('PUT', 'compose', { compose: COMPOSE, etag: body['etag'] })).toMatchObject({
      status: 409,
    });
    expect(await ask('POST', 'service/c-2')).toMatchObject({ status: 404 });
    expect(await ask('DELETE', 'service/c-2')).toMatchObject({ status: 404 });
    fetches['c-3'] = { state: 'DOWNLOADING', imageCid: 'bafy3', configuration: null };
    expect(await ask('POST', 'service/c-3')).toMatchObject({ status: 429 });
    expect(await ask('POST', 'service/..%2Fup')).toMatchObject({ status: 400 });
    await fleet.stop();
    await start({ fleet: undefined });
    expect(await ask('POST', 'push')).toMatchObject({
      status: 500,
      body: { message: expect.stringMatching(/fleet\.fleet/) },
    });
  });
});
