// Two edges of which one holds what the other missed: real processes, of the bundle.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundle, nodeFlags } from '@antirio/bundle';
import {
  claimOffsets,
  createProcesses,
  portOf,
  startWarden,
  type OwnProcess,
  type Room,
} from '@antirio/demo';
import { openRings } from '@antirio/gateway-bridge';
import { makeIdentityFile, silentLog, systemClock, systemRandom } from '@antirio/host';
import type { EdgeId } from '@antirio/kernel';
import { BenchError } from './benchmark.ts';
import type { Fleet } from './lora-motes.ts';
import { healthy, monotonic } from './setting.ts';

export const CONTRACT = '11111111-2222-4333-8444-555555555555';
/** Of a frame in a ring, at most. */
const BYTES_PER_FRAME = 160;
const AT_ONCE = 2000;

const rx = {
  tmst: 1,
  frequency: 868_100_000,
  spreadingFactor: 7,
  bandwidth: 125_000,
  codeRate: '4/5',
  rssi: -71,
  snr: 7.5,
  channel: 0,
  rfChain: 0,
  crcOk: true,
};

export interface HandbackEdge {
  readonly name: 'a' | 'b';
  readonly edgeId: EdgeId;
  readonly process: OwnProcess;
  url(room: Room): string;
  stop(): Promise<void>;
}

/** What one edge lacks, as it lies at the other. */
export interface Backlog {
  readonly fleet: Fleet;
  readonly frames: number;
  readonly budgetBytes: number;
}

export interface HandbackSetting {
  /** Writes the ring of the contract as the provider's bridge would have it. */
  prepare(fleet: Fleet, frames: number, signal: AbortSignal): Promise<Backlog>;
  start(name: 'a' | 'b', rooms: readonly string[], backlog: Backlog): Promise<HandbackEdge>;
  /** Makes the edges known to each other. */
  introduce(a: HandbackEdge, b: HandbackEdge): Promise<void>;
  close(): Promise<void>;
}

/** Says who the parties are, in place of an arbitrator with a ledger behind it. */
async function openParties(parties: {
  readonly customer: EdgeId;
  readonly provider: EdgeId;
}): Promise<{ readonly url: string; close(): void }> {
  const server: Server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ terms: parties }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, close: () => void server.close() };
}

export async function openHandbackSetting(): Promise<HandbackSetting> {
  const folder = mkdtempSync(join(tmpdir(), 'antirio-bench-handback-'));
  const { antirio } = await bundle({ outDir: join(folder, 'bundle'), only: ['antirio'] });
  if (antirio === undefined) throw new BenchError('the command could not be bundled');
  const claimed = await claimOffsets(2);
  const logs = join(folder, 'logs');
  mkdirSync(logs);
  const processes = createProcesses(logs);
  const warden = await startWarden(processes, logs);
  const dataDir = (name: string): string => join(folder, name);
  const ids = new Map<string, EdgeId>();
  for (const name of ['a', 'b']) {
    mkdirSync(dataDir(name));
    ids.set(name, makeIdentityFile(join(dataDir(name), 'identity.json')).edgeId);
  }
  const idOf = (name: 'a' | 'b'): EdgeId => {
    const id = ids.get(name);
    if (id === undefined) throw new BenchError(`no edge ${name}`);
    return id;
  };
  const parties = await openParties({ customer: idOf('a'), provider: idOf('b') });
  const offsetOf = (name: 'a' | 'b'): number => claimed.offsets[name === 'a' ? 0 : 1] ?? 0;
  const put = async (url: string, json: unknown): Promise<void> => {
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(url, { method: 'PUT', headers, body: JSON.stringify(json) });
    if (!response.ok) throw new BenchError(`${url}: ${response.status} ${await response.text()}`);
  };
  return {
    async prepare(fleet, frames, signal) {
      const budgetBytes = Math.ceil(frames * BYTES_PER_FRAME) + (1 << 20);
      const rings = openRings({
        folder: join(dataDir('b'), 'gateway-bridge', 'rings'),
        neighbourhoodBytes: 1 << 20,
        totalBudgetBytes: 2 * budgetBytes + (64 << 20),
        segmentBytes: 1 << 20,
        framesPerSecond: 1,
        burst: 1,
        clock: systemClock,
        random: systemRandom,
        log: silentLog,
      });
      const devAddrs = fleet.devices.map(({ devAddr }) => devAddr);
      const about = { budgetBytes, prefix: `contract/${CONTRACT}/`, deliver: false, retainS: 3600 };
      const { ring } = await rings.put(CONTRACT, { devAddrs, devEuis: [], ...about }, { owner: idOf('a') });
      for (let done = 0; done < frames; done += AT_ONCE) {
        signal.throwIfAborted();
        const taken = fleet.uplinks(Math.min(AT_ONCE, frames - done)).map(({ phyPayload }, i) => {
          const receivedAt = 1_790_000_000_000 + done + i;
          return ring.take(
            { gatewayId: '0016c001ff10be00', phyPayload, rx, receivedAt, via: 'radio' },
            false,
          );
        });
        for (const one of taken) {
          if (one.kind !== 'stored') throw new BenchError(`a frame was ${one.kind}`);
          await one.durable;
        }
      }
      await rings.close();
      return { fleet, frames, budgetBytes };
    },
    async start(name, rooms, { budgetBytes, fleet }) {
      const offset = offsetOf(name);
      const secretsFile = join(dataDir(name), 'secrets.json');
      writeFileSync(secretsFile, JSON.stringify({ keyVersion: 1, sessions: fleet.sessions }), {
        mode: 0o600,
      });
      const config = {
        logLevel: 'warn',
        services: { arbitrator: { url: parties.url } },
        gatewayBridge: { rings: { totalBudgetBytes: 4 * budgetBytes + (640 << 20) } },
        deviceLora: { secretsFile, devices: fleet.devices },
      };
      writeFileSync(join(dataDir(name), 'antirio.jsonc'), JSON.stringify(config), { mode: 0o600 });
      const where = ['--data-dir', dataDir(name), '--port-offset', String(offset), '--json'];
      const args = [...nodeFlags, antirio, 'serve', 'broker', ...rooms, ...where];
      const startedAt = monotonic();
      const own = await processes.start({ name: `edge-${name}`, args });
      const url = (room: Room): string => `http://127.0.0.1:${portOf(room, offset)}`;
      await healthy([url('gatewayBridge'), url('edge2edge')], own, startedAt);
      return {
        ...{ name, edgeId: idOf(name), process: own, url },
        async stop() {
          own.signal('SIGTERM');
          await own.ended;
        },
      };
    },
    async introduce(a, b) {
      for (const [one, other] of [
        [a, b],
        [b, a],
      ] as const) {
        const url = `http://127.0.0.1:${portOf('edge2edge', offsetOf(other.name)) + 10}`;
        await put(`${one.url('edge2edge')}/api/v3/peer/${other.edgeId}`, { url });
      }
    },
    async close() {
      await processes.stopAll();
      warden.dismiss();
      parties.close();
      claimed.release();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
