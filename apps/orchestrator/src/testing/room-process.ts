import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { httpPeer, type HttpPeer } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { until, type TestEdge } from './edge.ts';

const APPS = join(import.meta.dirname, '..', '..', '..');

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** A room in a process of its own, which can be killed. */
export interface RoomProcess {
  readonly url: string;
  readonly http: HttpPeer;
  /** Resolves when it answers. */
  start(): Promise<void>;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
}

export async function roomProcess(
  room: string,
  settings: Readonly<Record<string, string | number>>,
): Promise<RoomProcess> {
  const port = await freePort();
  const prefix = `ANTIRIO_${room.toUpperCase().replaceAll('-', '_')}_`;
  const env = Object.fromEntries(
    Object.entries({ ...settings, PORT: port }).map(([key, value]) => [prefix + key, String(value)]),
  );
  const url = `http://127.0.0.1:${port}`;
  const http = httpPeer({ url });
  let child: ChildProcess | undefined;
  return {
    url,
    http,
    async start() {
      if (child !== undefined) throw new AntirioError('internal', 'it runs already');
      child = spawn(process.execPath, [join(APPS, room, 'src', 'main.ts')], {
        stdio: 'ignore',
        env: { ...process.env, NODE_OPTIONS: '', ...env },
      });
      await until(
        `${room} answers`,
        async () => {
          const answer = await http.call({ path: '/api/v3/ping' }).catch(() => undefined);
          return answer?.status === 200 ? true : undefined;
        },
        45_000,
      );
    },
    async kill() {
      if (child === undefined) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
      child = undefined;
    },
  };
}

/** The orchestrator of a test edge. */
export function orchestratorProcess(
  { dir, brokerUrl, urls }: TestEdge,
  settings: Readonly<Record<string, string | number>>,
): Promise<RoomProcess> {
  return roomProcess('orchestrator', {
    ...{ DATA_DIR: dir, BROKER: brokerUrl, FOLLOW_INTERVAL_MS: 50, STOP_GRACE_MS: 500 },
    ...{ MIGRATION_URL: urls.migration, DMU_URL: urls.dmu, ARBITRATOR_URL: urls.arbitrator },
    ...{ CORE_DATA_URL: urls.coreData, CORE_METADATA_URL: urls.coreMetadata },
    ...settings,
  });
}
