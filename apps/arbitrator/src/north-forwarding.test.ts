import { beforeEach, describe, expect, test } from '@jest/globals';
import type { HttpCall, HttpPeer } from '@antirio/host';
import { contractCredential, contractForwardingKey, type ProviderPhase } from '@antirio/service-contract';
import { createNorthForwarding, type CutForwarding, type NorthForwarding } from './north-forwarding.ts';

const ID = '6f1b2b52-4a3d-4c86-9f0e-a7d1c45be02f';
const forwarding = { kind: 'http', url: 'https://cloud.example/in' } as const;
const key = contractForwardingKey('ab'.repeat(32), ID);
const keys = { keyVersion: 1, sessions: [], forwarding: { key } };
const counters = {};
const active: ProviderPhase = { at: 'active', from: 1, epoch: 5 };
const reading: ProviderPhase = { at: 'reading', from: 1 };
const statement = { contractId: ID, epoch: 5, from: 1, through: 2, devices: [] };
const stating: ProviderPhase = { at: 'stating', statement, counters };

interface CoreData {
  readonly peer: HttpPeer;
  readonly asked: string[];
  readonly logins: unknown[];
  state: string | undefined;
  behind: number;
}

/** Core-data, as far as it is asked. */
function coreData(): CoreData {
  const room = {
    ...{ asked: [] as string[], logins: [] as unknown[] },
    ...{ state: undefined as string | undefined, behind: 0 },
  };
  const call = ({ method = 'GET', path, json }: HttpCall) => {
    const what = `${method}${path.replace(`/api/v3/forwarding/${ID}`, '')}`;
    room.asked.push(what);
    if (method === 'PUT') {
      const { login } = json as { login?: unknown };
      room.logins.push(login);
      room.state = login === undefined ? 'needsLogin' : 'forwarding';
    }
    const status = room.state === undefined ? 404 : method === 'DELETE' ? 204 : 200;
    if (method === 'DELETE') room.state = undefined;
    const told = { state: room.state, behind: room.behind };
    const body = Buffer.from(status === 204 ? '' : JSON.stringify(told));
    return Promise.resolve({ status, headers: {}, body, json: () => told });
  };
  return Object.assign(room, { peer: { call, close: () => undefined } });
}

const clock = (): { now: number; monotonic: () => number } => {
  const time = { now: 0, monotonic: () => time.now };
  return time;
};

const cuts: CutForwarding[] = [];
beforeEach(() => {
  cuts.length = 0;
});
const northOn = (room: CoreData, time = clock()): NorthForwarding =>
  createNorthForwarding(
    { contractId: ID, forwarding },
    { coreData: room.peer, clock: time, onCut: (cut) => void cuts.push(cut) },
  );

describe('forwarding while a provider serves', () => {
  test('begins with the opening, under the epoch once there is one, and sends what is left at the end', async () => {
    const room = coreData();
    const time = clock();
    const north = northOn(room, time);
    await north.settle(reading, keys);
    expect(room.logins).toEqual([undefined]);
    await north.settle(active, keys);
    const login = contractCredential(key, ID, 5);
    expect(login.username).toBe(`contract/${ID}/5`);
    expect(room.logins[1]).toEqual(login);
    await north.settle(active, keys);
    expect(room.asked).toEqual(['PUT', 'PUT']);
    // core-data has forgotten the login
    room.state = 'needsLogin';
    time.now = 2500;
    await north.settle(active, keys);
    expect(room.state).toBe('forwarding');
    await north.settle(stating, keys);
    expect(room.asked.at(-1)).toBe('POST/end');
    room.state = 'needsLogin';
    time.now = 5000;
    await north.settle(stating, keys);
    expect(room.logins.at(-1)).toEqual(login);
    room.state = 'ended';
    time.now = 7500;
    await north.settle({ at: 'ended' }, undefined);
    expect(room.asked.slice(-3)).toEqual(['POST/end', 'GET', 'DELETE']);
    time.now = 10_000;
    await north.settle({ at: 'ended' }, undefined);
    expect(room.state).toBeUndefined();
  });

  test('never logs in without an epoch, and leaves alone what no contract speaks of', async () => {
    const room = coreData();
    const ports = { coreData: room.peer, clock: clock(), onCut: () => undefined };
    const silent = createNorthForwarding({ contractId: ID, forwarding: undefined }, ports);
    await silent.settle(active, keys);
    await silent.end();
    expect(room.asked).toEqual([]);
    const north = northOn(room);
    await north.settle(active, undefined);
    expect(room.logins).toEqual([undefined]);
    await north.settle({ at: 'ready' }, undefined);
    expect(room.asked.at(-1)).toBe('DELETE');
  });

  test.each(['needsLogin', 'revoked', 'notAllowed'])(
    'what is left stays while it is %s and the keys are gone, and is told of at the very end',
    async (state) => {
      const room = coreData();
      const time = clock();
      // begun again, without the keys
      const north = northOn(room, time);
      Object.assign(room, { state, behind: 7 });
      for (const phase of [stating, { at: 'stated', from: 1, epoch: 5 }, { at: 'ended' }] as const) {
        time.now += 2500;
        await north.settle(phase, undefined);
      }
      expect({ asked: new Set(room.asked), state: room.state, cuts }).toEqual({
        ...{ asked: new Set(['POST/end']), state, cuts: [] },
      });
      await north.end();
      expect(room.state).toBeUndefined();
      expect(cuts).toEqual([{ behind: 7, state, lastError: undefined }]);
      await north.end();
      expect(cuts).toHaveLength(1);
    },
  );

  test('has another key for each contract, and another password for each epoch', () => {
    const other = contractForwardingKey('ab'.repeat(32), ID.replace('6', '7'));
    expect(other).not.toBe(key);
    expect(contractCredential(key, ID, 6).password).not.toBe(contractCredential(key, ID, 5).password);
  });
});
