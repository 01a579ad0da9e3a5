import { spawn, type ChildProcess } from 'node:child_process';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { httpPeer, systemClock, waitFor, type HttpPeer } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Edge A's room as a process of its own that can be killed at any moment and started again at the same port. */
export class RoomProcess {
  readonly dataDir: string;
  /** Where orchestrator and edge2edge are. */
  readonly around: string;
  port = 0;
  #http: HttpPeer | undefined;
  #child: ChildProcess | undefined;

  constructor(dataDir: string, around: string) {
    this.dataDir = dataDir;
    this.around = around;
  }

  get http(): HttpPeer {
    if (this.#http === undefined) throw new AntirioError('unavailable', 'the room is not started');
    return this.#http;
  }

  async start(): Promise<HttpPeer> {
    this.port ||= await freePort();
    const settings = {
      PORT: this.port,
      DATA_DIR: this.dataDir,
      EDGE_ID: 'A',
      ORCHESTRATOR_URL: this.around,
      EDGE2EDGE_URL: this.around,
    };
    const env = Object.entries(settings).map(([name, value]) => [
      `ANTIRIO_FILECOIN_INTERFACE_${name}`,
      String(value),
    ]);
    this.#child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts')], {
      env: { ...process.env, NODE_OPTIONS: '', ...(Object.fromEntries(env) as Record<string, string>) },
      stdio: 'ignore',
    });
    const http = httpPeer({ url: `http://127.0.0.1:${this.port}` });
    this.#http = http;
    const up = await waitFor(systemClock, 60_000, async () => {
      const answer = await http.call({ path: '/filecoin_interface/health' }).catch(() => undefined);
      return answer?.status === 200 ? true : undefined;
    });
    if (up !== true) throw new AntirioError('timeout', 'the room does not start');
    return http;
  }

  async kill(): Promise<void> {
    this.#http?.close();
    this.#http = undefined;
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('close', resolve));
  }
}
