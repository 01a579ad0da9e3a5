import { expect, test } from '@jest/globals';
import { silentLog, type Log } from '@antirio/host';
import { createInbox } from './inbox.ts';

const said: unknown[] = [];
const warn = (...given: unknown[]): void => void said.push(given[0]);
const log = Object.assign(Object.create(silentLog) as Log, { warn });
const byte = Uint8Array.of(1);

test.each([1, 3])('what was taken is handled before the end, %d at once', async (concurrency) => {
  const handled: string[] = [];
  const inbox = createInbox({
    filter: 'a/#',
    log,
    required: true,
    maxMessages: 4,
    concurrency,
    async handler(topic) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      handled.push(topic);
    },
  });
  const topics = Array.from({ length: 10 }, (_, i) => `a/${i}`);
  const offers = topics.map((topic) => inbox.offer(topic, byte, { until: 'accepted' }));
  await inbox.close();
  expect(handled).toEqual(topics);
  expect(await Promise.all(offers)).toEqual(topics.map(() => 'taken'));
  expect(await inbox.offer('a/late', byte, { until: 'accepted' })).toBe('refused');
});

test('what a slow handler has not come to in time is told of, and refused to those who wait for it', async () => {
  const hold = Promise.withResolvers<undefined>();
  let runs = 0;
  const inbox = createInbox({
    filter: 'b/#',
    log,
    required: true,
    drainMs: 10,
    handler() {
      runs += 1;
      return hold.promise;
    },
  });
  for (let i = 0; i < 5; i++) void inbox.offer(`b/${i}`, byte, { until: 'accepted' });
  const waited = inbox.offer('b/5', byte, { until: 'handled' });
  const closing = inbox.close();
  expect(await waited).toBe('refused');
  expect(said).toEqual([{ filter: 'b/#', lost: 4 }]);
  hold.resolve(undefined);
  await closing;
  expect(runs).toBe(1);
});
