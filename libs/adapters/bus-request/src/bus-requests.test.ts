import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createBroker, createLocalBus, type Broker } from '@antirio/bus';
import { silentLog, systemRandom, type Bus } from '@antirio/host';
import { isAntirioError } from '@antirio/kernel';
import { makeEnvelope, parseEnvelope, responseTopic } from '@antirio/edgex-contracts';
import { createBusRequests, type BusRequests } from './index.ts';

let broker: Broker;
let bus: Bus;
let requests: BusRequests;

beforeEach(async () => {
  broker = createBroker({ secret: systemRandom.bytes(32), listeners: [] }, silentLog);
  await broker.start();
  bus = createLocalBus(broker, silentLog);
  requests = createBusRequests(bus, { random: systemRandom, log: silentLog });
});
afterEach(async () => {
  await requests.close();
  await bus.close();
  await broker.stop();
});

const ask = (serviceName: string, payload: unknown, timeoutMs = 5000): Promise<unknown> =>
  requests
    .request({ topic: `ask/${serviceName}`, serviceName, payload, timeoutMs })
    .then((answer) => answer.payload)
    .catch((error: unknown) => (isAntirioError(error) ? error.code : error));

/** Answers with what it was asked, first with garbage and with a foreign id. */
const echo = (serviceName: string): Promise<unknown> =>
  bus.subscribe(`ask/${serviceName}`, async (_topic, bytes) => {
    const { requestID, payload } = parseEnvelope(bytes);
    await bus.publish(responseTopic(serviceName, 'foreign'), makeEnvelope('no', { correlationID: 'c' }));
    await bus.publish(responseTopic(serviceName, requestID), '{');
    await bus.publish(
      responseTopic(serviceName, requestID),
      makeEnvelope(payload, { correlationID: 'c', requestID }),
    );
  });

test('each request gets its own answer, whatever else comes', async () => {
  await echo('a');
  await echo('b');
  const answers = await Promise.all([ask('a', { n: 1 }), ask('b', { n: 2 }), ask('a', { n: 3 })]);
  expect(answers).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
});

test('who is not answered in time is told so', async () => {
  expect(await ask('nobody', {}, 30)).toBe('timeout');
});

test('a closed bus is unavailable', async () => {
  await bus.close();
  expect(await ask('a', {})).toBe('unavailable');
});
