import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { systemClock, waitFor, type HttpPeer } from '@antirio/host';
import { parseEnvelope } from '@antirio/edgex-contracts';
import { introduce, Room, startEdge, type TestEdge } from './edges.fixture.ts';

interface Entity {
  readonly name: string;
  readonly baseAddress?: string;
}

/** Keeps what it is given, as far as a device service asks for it. */
class Metadata extends Room {
  readonly entities = new Map<string, Entity>();

  constructor() {
    super();
    const base = { apiVersion: 'v3', statusCode: 200 };
    this.answer = ({ method, url, body }) => {
      const [kind = '', by, name = ''] = url.replace(/^.api.v3./, '').split(/[/?]/);
      if (method === 'POST' || method === 'PATCH')
        return { status: 207, body: this.#take(kind, JSON.parse(body) as Record<string, Entity>[]) };
      if (kind === 'ping') return { status: 200, body: base };
      if (by === 'service') {
        const all = [...this.entities].filter(([key]) => key.startsWith(`${kind}/`)).map(([, one]) => one);
        const field = kind === 'device' ? 'devices' : 'provisionWatchers';
        return { status: 200, body: { ...base, totalCount: all.length, [field]: all } };
      }
      const found = this.entities.get(`${kind}/${name}`);
      if (found === undefined) return { status: 404, body: { ...base, statusCode: 404 } };
      return { status: 200, body: { ...base, [kind === 'deviceprofile' ? 'profile' : 'service']: found } };
    };
  }

  #take(kind: string, requests: readonly Record<string, Entity>[]): unknown {
    return requests.map((request) => {
      const entity = request['device'] ?? request['profile'] ?? request['service'];
      if (entity === undefined) return { statusCode: 400 };
      const key = `${kind}/${entity.name}`;
      this.entities.set(key, { ...this.entities.get(key), ...entity });
      return { apiVersion: 'v3', statusCode: 201 };
    });
  }
}

let metadata: Metadata;
let coreMetadata: HttpPeer;
let edge: TestEdge;
let other: TestEdge;

async function until(what: () => unknown): Promise<void> {
  const found = await waitFor(systemClock, 15_000, async () => ((await what()) === true ? true : undefined));
  expect(found === undefined ? what.toString() : 'so').toBe('so');
}

beforeEach(async () => {
  metadata = new Metadata();
  coreMetadata = await metadata.open();
  const devices = { aliveInterval: '50ms', stateInterval: '1h' };
  edge = await startEdge({ devices }, { coreMetadata });
  other = await startEdge();
});
afterEach(async () => {
  await edge.close();
  await other.close();
  coreMetadata.close();
  metadata.close();
});

const read = async (command: string): Promise<unknown> => {
  const name = other.identity.edgeId;
  const answer = await edge.local.call({ path: `/api/v3/device/name/${name}/${command}` });
  return answer.status === 200
    ? (answer.json() as { event: { readings: { value: unknown }[] } }).event.readings.map(
        ({ value }) => value,
      )
    : answer.status;
};

test('another edge is a device: whether it answers, how fast, and the epoch of the contracts with it', async () => {
  const us = edge.identity.edgeId;
  const them = other.identity.edgeId;
  edge.rooms.arbitrator.answer = () => ({
    status: 200,
    body: [
      { terms: { customer: us, provider: them }, phase: { at: 'guarded', epoch: 3 } },
      { terms: { customer: them, provider: us }, phase: { at: 'ended', epoch: 7 } },
      { terms: { customer: us, provider: 'another' }, phase: { epoch: 9 } },
      { terms: { customer: us, provider: them } },
    ],
  });
  const alive: unknown[] = [];
  await edge.bus.subscribe(`edgex/events/device/edge2edge/Edge/${them}/Alive`, (_topic, bytes) => {
    const { event } = parseEnvelope(bytes).payload as { event: { readings: { value: string }[] } };
    alive.push(event.readings[0]?.value);
  });
  await introduce(edge, other);
  await introduce(other, edge);
  await until(async () => Array.isArray(await read('Epoch')));
  expect(metadata.entities.get('deviceservice/edge2edge')).toMatchObject({
    baseAddress: `http://127.0.0.1:${edge.edge.port}`,
  });
  expect(await read('State')).toEqual(['true', expect.stringMatching(/^\d\.\d+e[+-]\d\d$/), '7']);
  await until(() => alive.length === 1);
  await other.edge.stop();
  await until(() => alive.length === 2);
  expect(alive).toEqual(['true', 'false']);
  expect(await read('RoundTrip')).toEqual([null]);
});

test('a door without core-metadata opens as ever', async () => {
  expect((await other.local.call({ path: '/api/v3/ready' })).status).toBe(200);
  expect((await other.local.call({ path: '/api/v3/device/name/a/Alive' })).status).toBe(404);
});

test('started again it is the same service with the same devices', async () => {
  await introduce(edge, other);
  await until(async () => Array.isArray(await read('Alive')));
  await edge.restart();
  await until(async () => JSON.stringify(await read('Alive')) === '["true"]');
  expect([...metadata.entities.keys()].toSorted()).toEqual(
    [`device/${other.identity.edgeId}`, 'deviceprofile/Edge', 'deviceservice/edge2edge'].toSorted(),
  );
});
