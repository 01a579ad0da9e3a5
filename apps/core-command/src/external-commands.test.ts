import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { contractLogin, contractPassword, createBroker, createLocalBus, type Broker } from '@antirio/bus';
import type { BusRequests } from '@antirio/bus-request';
import type { Secrets } from '@antirio/edgex-service';
import { silentLog, systemClock, systemRandom, waitFor, type Bus } from '@antirio/host';
import { uuidV4 } from '@antirio/kernel';
import { errorEnvelope, makeEnvelope, parseEnvelope, responseTopic } from '@antirio/edgex-contracts';
import { createExternalCommands } from './external-commands.ts';
import { coreCommandOptions } from './options.ts';
import type { Room } from './room.ts';
import { openSurroundings, type Json, type Surroundings } from './surroundings.fixture.ts';

// The external broker is another one than the edge's own, and is met by TCP.

const secret = systemRandom.bytes(32);
let around: Surroundings;
let outside: Broker;
let client: Bus;
let heard: { topic: string; envelope: Json }[];

async function startOutside(port = 0): Promise<void> {
  const listeners = [{ port, bind: '127.0.0.1', anonymous: 'loopback' } as const];
  outside = createBroker({ secret, listeners }, silentLog);
  await outside.start();
  client = createLocalBus(outside, silentLog);
  await client.subscribe(
    '#',
    (topic, bytes) => void heard.push({ topic, envelope: parseEnvelope(bytes) as unknown as Json }),
  );
}
async function endOutside(): Promise<void> {
  await client.close();
  await outside.stop();
}

beforeEach(async () => {
  heard = [];
  around = await openSurroundings();
  await startOutside();
});
afterEach(async () => {
  await around.end();
  await endOutside();
  await around.close();
});

const until = (condition: () => Promise<boolean> | boolean): Promise<unknown> =>
  waitFor(systemClock, 10_000, async () => (await condition()) || undefined, 10);

async function start(options: Json = {}): Promise<void> {
  const [port] = outside.ports;
  const externalMqtt = { enabled: true, url: `tcp://127.0.0.1:${port}`, ...options };
  await around.reset({ externalMqtt });
}
const outsideCheck = async (): Promise<Json | undefined> =>
  (await around.room.health())['external broker'] as Json | undefined;
const connected = (): Promise<unknown> => until(async () => (await outsideCheck())?.['ok'] === true);

async function ask(topic: string, answerTopic: string, fields: Json = {}): Promise<Json> {
  const requestID = uuidV4(systemRandom);
  const head = { correlationID: 'c', requestID, queryParams: {}, ...fields };
  await client.publish(topic, makeEnvelope(fields['payload'] ?? '', head));
  const answered = (): Json | undefined =>
    heard.find(({ topic: at, envelope }) => at === answerTopic && envelope['requestID'] === requestID)
      ?.envelope;
  await until(() => answered() !== undefined);
  return answered() ?? {};
}

/** A device service on the edge's own bus. */
const serve = (): Promise<unknown> =>
  around.bus.subscribe('edgex/device/command/request/svc/#', async (topic, bytes) => {
    const { requestID, payload } = parseEnvelope(bytes);
    const answer = topic.endsWith('humidity/get')
      ? errorEnvelope('no humidity', { correlationID: 'c', requestID })
      : makeEnvelope({ topic, payload }, { correlationID: 'c', requestID });
    await around.bus.publish(responseTopic('svc', requestID), answer);
  });

test('commands come by the external broker, go on by the edge’s bus, and the answers go back', async () => {
  await start();
  await serve();
  await connected();
  expect(
    await ask('edgex/command/request/d/temperature/set', 'edgex/command/response/d/temperature/set', {
      payload: { temperature: '5' },
    }),
  ).toMatchObject({
    errorCode: 0,
    correlationID: 'c',
    payload: {
      topic: 'edgex/device/command/request/svc/d/temperature/set',
      payload: { temperature: '5' },
    },
  });
  expect(
    await ask('edgex/command/request/d/humidity/get', 'edgex/command/response/d/humidity/get'),
  ).toMatchObject({ errorCode: 1, payload: 'no humidity' });
  expect(
    await ask('edgex/command/request/none/both/get', 'edgex/command/response/none/both/get'),
  ).toMatchObject({ errorCode: 1 });
});

test('questions are answered there, too', async () => {
  await start();
  await connected();
  expect(await ask('edgex/commandquery/request/d', 'edgex/commandquery/response')).toMatchObject({
    payload: { deviceCoreCommand: { deviceName: 'd' } },
  });
  expect(
    await ask('edgex/commandquery/request/all', 'edgex/commandquery/response', {
      queryParams: { limit: '1' },
    }),
  ).toMatchObject({ payload: { totalCount: 2 } });
  expect(await ask('edgex/commandquery/request/none', 'edgex/commandquery/response')).toMatchObject({
    errorCode: 1,
  });
});

test('what cannot be answered is left alone; the broker may be away, and topics are as configured', async () => {
  const topics = { commandRequest: 'plant/do/#', commandResponsePrefix: 'plant/done' };
  await start({ topics, retain: false });
  await serve();
  await connected();
  const [port = 0] = outside.ports;
  await endOutside();
  await until(async () => (await outsideCheck())?.['ok'] === false);
  await startOutside(port);
  await connected();
  heard = [];
  await client.publish('plant/do/d/both/erase', makeEnvelope('', { correlationID: 'c', requestID: 'x' }));
  await client.publish('plant/do/d/both/get', Buffer.from('{}'));
  await until(async () => (await ask('plant/do/d/both/get', 'plant/done/d/both/get'))['errorCode'] === 0);
  const answers = heard.filter(({ topic }) => topic.startsWith('plant/done/'));
  expect(answers.map(({ topic }) => topic)).not.toContain('plant/done/d/both/erase');
  expect(around.room.port).toBeGreaterThan(0);
});

test('with a login it waits for its secret, and goes there anew with another one', async () => {
  const login = contractLogin('c-1');
  const topics = {
    commandRequest: `${login}/do/#`,
    commandResponsePrefix: `${login}/done`,
    queryRequest: `${login}/ask/#`,
    queryResponse: `${login}/told`,
  };
  await start({ authMode: 'usernamepassword', secretName: 'outside', topics });
  expect(await outsideCheck()).toEqual({ ok: false, detail: expect.stringContaining('secret outside') });
  const store = async (password: string): Promise<void> => {
    const secretData = Object.entries({ username: login, password }).map(([key, value]) => ({ key, value }));
    const json = { apiVersion: 'v3', requestId: uuidV4(systemRandom), secretName: 'outside', secretData };
    expect((await around.peer.call({ method: 'POST', path: '/secret', json })).status).toBe(201);
  };
  await store('wrong');
  await until(async () => !String((await outsideCheck())?.['detail']).includes('secret outside'));
  expect(await outsideCheck()).toMatchObject({ ok: false });
  await store(contractPassword(secret, login));
  await connected();
  expect(await ask(`${login}/ask/d`, `${login}/told`)).toMatchObject({
    payload: { deviceCoreCommand: { deviceName: 'd' } },
  });
});

test('what cannot be begun is told of, and ends nothing else', async () => {
  await start();
  const options = coreCommandOptions.parse({ dataDir: '/nowhere' });
  const room = {
    options: { ...options, externalMqtt: { ...options.externalMqtt, url: 'tcp://broker:99999' } },
    ports: { log: silentLog },
  } as unknown as Room;
  const external = createExternalCommands(room, {} as BusRequests, {} as Secrets);
  await until(() => String(external.health().detail).includes('broker:99999'));
  await external.close();
});
