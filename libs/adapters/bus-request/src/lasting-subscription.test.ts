import { expect, test } from '@jest/globals';
import { AntirioError } from '@antirio/kernel';
import type { Bus, Subscription } from '@antirio/host';
import { lastingSubscription } from './lasting-subscription.ts';

/** A bus whose broker takes a subscription when told to. */
function busWith(subscribe: () => Promise<Subscription>): Bus {
  return {
    subscribe,
    publish: async () => undefined,
    health: () => ({ ok: true }),
    close: async () => undefined,
  };
}

test('it is tried until the broker takes it, and closed then', async () => {
  let tries = 0;
  let closed = 0;
  const bus = busWith(async () => {
    tries += 1;
    if (tries < 3) throw new AntirioError('unavailable', 'no broker');
    return { close: async () => void (closed += 1) };
  });
  let told = 0;
  const lasting = lastingSubscription(bus, 'a/#', () => undefined, { onSubscribed: () => void (told += 1) });
  await lasting.settled;
  expect([tries, told]).toEqual([3, 1]);
  await lasting.close();
  expect(closed).toBe(1);
});

test('its end does not wait for a broker that is away; what that takes later is closed', async () => {
  const taken = Promise.withResolvers<Subscription>();
  const closed = Promise.withResolvers<string>();
  let told = 0;
  const lasting = lastingSubscription(
    busWith(() => taken.promise),
    'a/#',
    () => undefined,
    { onSubscribed: () => void (told += 1) },
  );
  await lasting.close();
  taken.resolve({ close: async () => closed.resolve('closed') });
  expect(await closed.promise).toBe('closed');
  expect(told).toBe(0);
});

test('it tells why the broker does not take it: in its health, and once', async () => {
  const refusals = ['first', 'second'];
  const took = Promise.withResolvers<undefined>();
  const bus = busWith(async () => {
    const why = refusals.shift();
    if (why === undefined) await took.promise;
    else throw new AntirioError('forbidden', why);
    return { close: async () => undefined };
  });
  const told: unknown[] = [];
  const lasting = lastingSubscription(bus, 'a/#', () => undefined, {
    onFailure: (error) => told.push(error),
  });
  expect(lasting.health()).toMatchObject({ ok: false });
  while (!lasting.health().detail?.includes('second')) await new Promise((resolve) => setTimeout(resolve, 5));
  took.resolve(undefined);
  await lasting.settled;
  expect(told).toEqual([expect.objectContaining({ message: 'first' })]);
  expect(lasting.health()).toEqual({ ok: true });
  await lasting.close();
});
