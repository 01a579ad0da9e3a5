import { expect, test } from '@jest/globals';
import { silentLog, systemRandom, type Bus } from '@antirio/host';
import { toHex } from '@antirio/kernel';
import { parseDevAddr } from '@antirio/lorawan';
import { LENT_TOPIC, lentSend, type LentOutcome, type LentSend } from '@antirio/service-contract';
import type { HeardUplink } from '../uplink/reader.ts';
import { openLender, type Lender } from './lender.ts';

const devAddr = parseDevAddr('01000001');
const bytes = new Uint8Array(14).fill(7);
const windows = [1, 2].map((seconds) => ({
  ...{ delayUs: seconds * 1e6, frequency: 868_100_000, power: 14, bandwidth: 125_000, spreadingFactor: 7 },
}));

/** A lender whose bus and arbitrator are the test. */
async function openScene(outcome: LentOutcome['outcome'] = 'sent') {
  const time = { now: 1000 };
  const asked: LentSend[] = [];
  const results: unknown[] = [];
  const listeners = new Map<string, (topic: string, payload: Uint8Array) => unknown>();
  const tell = (what: string, message: unknown): unknown =>
    listeners.get(`${LENT_TOPIC}/${what}`)?.('', Buffer.from(JSON.stringify(message)));
  const bus = {
    subscribe: async (topic: string, listener: (topic: string, payload: Uint8Array) => unknown) => {
      listeners.set(topic, listener);
      return { close: async () => undefined };
    },
    publish: async (topic: string, payload: string) => {
      const message = JSON.parse(payload) as unknown;
      if (topic.endsWith('/result')) results.push(message);
      if (!topic.endsWith('/send')) return;
      const request = lentSend.parse(message);
      asked.push(request);
      setImmediate(() => tell('outcome', { requestId: request.requestId, outcome }));
    },
  } as unknown as Bus;
  const clock = { now: () => time.now, monotonic: () => time.now };
  const lender: Lender = await openLender({ bus, clock, random: systemRandom, log: silentLog });
  const heard = (fcnt: number): HeardUplink => {
    const uplink = { heardAt: time.now, phyPayload: new Uint8Array(13).fill(fcnt) };
    // only what the lender looks at
    return {
      session: { id: 's', devAddr, device: { name: 'mote' } },
      uplink,
      fcnt,
    } as unknown as HeardUplink;
  };
  tell('sample', { devAddrs: [devAddr], forMs: 60_000 });
  return { lender, time, asked, results, heard, tell };
}

test('a sampled device is sent one downlink through the provider, once for each sample', async () => {
  const { lender, asked, heard, tell, time } = await openScene();
  expect(lender.wants(devAddr)).toBe(true);
  expect(await lender.send(heard(5), bytes, windows)).toEqual({ kind: 'onAir' });
  expect(asked).toMatchObject([
    { devAddr, uplink: toHex(new Uint8Array(13).fill(5)), phyPayload: toHex(bytes), leftMs: 1850 },
  ]);
  expect(lender.wants(devAddr)).toBe(false);
  expect(await lender.send(heard(6), bytes, windows)).toBeUndefined();
  tell('sample', { devAddrs: [devAddr], forMs: 60_000 });
  time.now += 60_000;
  expect(lender.wants(devAddr)).toBe(false);
  expect(asked).toHaveLength(1);
});

test('what was not sent goes the usual way; of what may have been nobody sends a second', async () => {
  const refused = await openScene('notSent');
  expect(await refused.lender.send(refused.heard(5), bytes, windows)).toBeUndefined();
  refused.lender.heard(refused.heard(6), true, 3);
  expect(refused.results).toEqual([]);
  const unsure = await openScene('unsure');
  expect(await unsure.lender.send(unsure.heard(5), bytes, windows)).toMatchObject({ kind: 'onAir' });
  unsure.lender.heard(unsure.heard(6), false, undefined);
  expect(unsure.results).toEqual([]);
});

test('without a window ahead nobody is asked', async () => {
  const { lender, asked, heard, time } = await openScene();
  const late = heard(5);
  time.now += 1900;
  expect(await lender.send(late, bytes, windows)).toBeUndefined();
  expect(asked).toEqual([]);
});

test.each([
  ['the next uplink answers', 6, true, [{ devAddr, answered: true, margin: 9 }]],
  ['the next uplink does not answer', 6, false, [{ devAddr, answered: false }]],
  ['an answer comes after one that nobody heard', 8, true, [{ devAddr, answered: true, margin: 9 }]],
  ['the one that may have had the answer was not heard', 8, false, []],
  ['it is an older one', 5, true, []],
])('%s', async (_what, fcnt, answers, expected) => {
  const { lender, heard, results } = await openScene();
  await lender.send(heard(5), bytes, windows);
  lender.heard(heard(fcnt), answers, 9);
  // once only
  if (fcnt > 5) lender.heard(heard(9), true, 9);
  expect(results).toEqual(expected);
});
