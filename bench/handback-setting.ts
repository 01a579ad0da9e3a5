// Two edges of which one holds what the other missed: real processes, of the bundle.
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { portOf, type OwnProcess, type Room } from '@antirio/demo';
import { openRings } from '@antirio/gateway-bridge';
import { makeIdentityFile, silentLog, systemClock, systemRandom } from '@antirio/host';
import type { EdgeId } from '@antirio/kernel';
import { BenchError } from './benchmark.ts';
import { configure, openBundled } from './bundled.ts';
import type { Fleet } from './lora-motes.ts';

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

const EDGES = ['a', 'b'] as const;

export async function openHandbackSetting(): Promise<HandbackSetting> {
  const bundled = await openBundled(EDGES.length);
  const [a, b] = EDGES.map((name, i) => {
    const place = bundled.place(name, i);
    return { ...place, edgeId: makeIdentityFile(join(place.folder, 'identity.json')).edgeId };
  });
  if (a === undefined || b === undefined) throw new BenchError('two edges are needed');
  const places = { a, b };
  const parties = await openParties({ customer: a.edgeId, provider: b.edgeId });
  const put = async (url: string, json: unknown): Promise<void> => {
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(url, { method: 'PUT', headers, body: JSON.stringify(json) });
    if (!response.ok) throw new BenchError(`${url}: ${response.status} ${await response.text()}`);
  };
  return {
    async prepare(fleet, frames, signal) {
      const budgetBytes = Math.ceil(frames * BYTES_PER_FRAME) + (1 << 20);
      const rings = openRings({
        folder: join(b.folder, 'gateway-bridge', 'rings'),
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
      const { ring } = await rings.put(CONTRACT, { devAddrs, devEuis: [], ...about }, { owner: a.edgeId });
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
      const place = places[name];
      const secretsFile = join(place.folder, 'secrets.json');
      writeFileSync(secretsFile, JSON.stringify({ keyVersion: 1, sessions: fleet.sessions }), {
        mode: 0o600,
      });
      configure(place, {
        logLevel: 'warn',
        services: { arbitrator: { url: parties.url } },
        gatewayBridge: { rings: { totalBudgetBytes: 4 * budgetBytes + (640 << 20) } },
        deviceLora: { secretsFile, devices: fleet.devices },
      });
      const args = ['serve', 'broker', ...rooms];
      return {
        ...{ name, edgeId: place.edgeId },
        ...(await bundled.start(place, args, ['gatewayBridge', 'edge2edge'])),
      };
    },
    async introduce(one, other) {
      for (const [from, to] of [
        [one, other],
        [other, one],
      ] as const) {
        const url = `http://127.0.0.1:${portOf('edge2edgePublic', places[to.name].offset)}`;
        await put(`${from.url('edge2edge')}/api/v3/peer/${to.edgeId}`, { url });
      }
    },
    async close() {
      parties.close();
      await bundled.close();
    },
  };
}
