import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { httpPeer, type HttpPeer } from '@antirio/host';

const MAIN = join(import.meta.dirname, 'main.ts');
const WRITERS = 4;

let dataDir: string;
let child: ChildProcess | undefined;
let peer: HttpPeer;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'antirio-keeper-kill-'));
});
afterEach(async () => {
  await kill();
  rmSync(dataDir, { recursive: true });
});

/** A process of its own, which says at which port it listens. */
async function start(): Promise<void> {
  const own = {
    CORE_KEEPER_DATA_DIR: dataDir,
    CORE_KEEPER_BROKER: 'none',
    CORE_KEEPER_FOLLOW_KEEPER: 'false',
  };
  const env = { ...process.env, NODE_OPTIONS: '', CORE_KEEPER_PORT: '0', ...own };
  const started = spawn(process.execPath, [MAIN], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  child = started;
  let said = '';
  const listens = Promise.withResolvers<string>();
  started.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
    const [, port] = /"port":(\d+)/.exec(said) ?? [];
    if (port !== undefined) listens.resolve(port);
  });
  started.once('exit', () => listens.reject(new TypeError(`it ended: ${said}`)));
  peer = httpPeer({ url: `http://127.0.0.1:${await listens.promise}/api/v3` });
}

async function kill(): Promise<void> {
  const killed = child;
  child = undefined;
  if (killed === undefined) return;
  peer.close();
  if (killed.exitCode !== null || killed.signalCode !== null) return;
  const gone = once(killed, 'exit');
  killed.kill('SIGKILL');
  await gone;
}

/** Writes from several sides until the process is gone; gives what was acknowledged. */
async function write(
  round: number,
  killAfter: number,
): Promise<{ readonly keys: string[]; readonly services: string[] }> {
  const keys: string[] = [];
  const services: string[] = [];
  const writer = async (side: number): Promise<void> => {
    for (let n = 0; ; n += 1) {
      const name = `${round}-${side}-${n}`;
      const key = `edgex/v4/svc/${name}`;
      const put = { method: 'PUT', path: `/kvs/key/${key}`, json: { value: name } } as const;
      const stored = await peer.call(put).catch(() => undefined);
      if (stored === undefined) return;
      keys.push(key);
      if (n % 20 !== 0) continue;
      const healthCheck = { type: 'http', interval: '1h' };
      const registration = { serviceId: name, host: 'h', port: 1, healthCheck };
      const json = { apiVersion: 'v3', registration };
      if ((await peer.call({ method: 'POST', path: '/registry', json }).catch(() => undefined)) === undefined)
        return;
      services.push(name);
      if (keys.length >= killAfter) child?.kill('SIGKILL');
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, (_, side) => writer(side)));
  return { keys, services };
}

test('what was acknowledged is there after SIGKILL: keys and registrations', async () => {
  const acknowledged = { keys: new Set<string>(), services: new Set<string>() };
  for (const [round, killAfter] of [60, 150, 300].entries()) {
    await start();
    const { keys, services } = await write(round, killAfter);
    expect(keys.length).toBeGreaterThanOrEqual(killAfter);
    for (const key of keys) acknowledged.keys.add(key);
    for (const service of services) acknowledged.services.add(service);
    await kill();
  }
  await start();
  const path = '/kvs/key/edgex/v4/svc?plaintext=true';
  const { response } = (await peer.call({ path })).json() as { response: { key: string; value: string }[] };
  const stored = new Map(response.map(({ key, value }) => [key, value]));
  for (const key of acknowledged.keys) expect([key, stored.get(key)]).toEqual([key, key.split('/').at(-1)]);
  const all = (await peer.call({ path: '/registry/all' })).json() as {
    registrations: { serviceId: string }[];
  };
  const registered = new Set(all.registrations.map(({ serviceId }) => serviceId));
  for (const service of acknowledged.services)
    expect([service, registered.has(service)]).toEqual([service, true]);
});
