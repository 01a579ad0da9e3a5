import { expect, test } from '@jest/globals';
import { createBroker, createLocalBus } from '@antirio/bus';
import { silentLog, systemRandom } from '@antirio/host';
import { withBaseTopic } from './base-topic.ts';

test('topics begin as configured outside, and with edgex inside', async () => {
  const broker = createBroker({ secret: systemRandom.bytes(32), listeners: [] }, silentLog);
  await broker.start();
  const outer = createLocalBus(broker, silentLog);
  const inner = withBaseTopic(outer, 'plant/one');
  const heard: string[] = [];
  const all = Promise.withResolvers<undefined>();
  const hear = (who: string) => (topic: string) => {
    if (heard.push(`${who} ${topic}`) === 4) all.resolve(undefined);
  };
  await outer.subscribe('#', hear('outer'));
  await inner.subscribe('edgex/response/#', hear('inner'));
  await inner.publish('edgex/response/a', new Uint8Array());
  await inner.publish('edgexother/b', new Uint8Array());
  await outer.publish('edgex/response/c', new Uint8Array());
  await all.promise;
  expect(heard.toSorted()).toEqual([
    'inner edgex/response/a',
    'outer edgex/response/c',
    'outer edgexother/b',
    'outer plant/one/response/a',
  ]);
  expect(withBaseTopic(outer, 'edgex')).toBe(outer);
  await inner.close();
  await broker.stop();
});
