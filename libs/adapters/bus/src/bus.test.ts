import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { silentLog, systemRandom, type Bus } from '@antirio/host';
import {
  contractLogin,
  contractPassword,
  createBroker,
  createLocalBus,
  createMqttBus,
  type Broker,
} from './index.ts';

const secret = systemRandom.bytes(32);
const folder = mkdtempSync(join(tmpdir(), 'antirio-bus-'));
const socketPath = join(folder, 'bus.sock');
const login = contractLogin('c-1');

let broker: Broker;
beforeAll(async () => {
  broker = createBroker(
    {
      secret,
      listeners: [
        { port: 0, bind: '127.0.0.1', anonymous: 'loopback' },
        { socketPath, anonymous: 'none' },
      ],
    },
    silentLog,
  );
  await broker.start();
});
afterAll(async () => {
  await broker.stop();
  rmSync(folder, { recursive: true });
});

const adapters = [
  { name: 'in the process', prefix: 'local/', open: (): Bus => createLocalBus(broker, silentLog) },
  {
    name: 'by MQTT over TCP',
    prefix: 'tcp/',
    open: (): Bus => createMqttBus({ url: `mqtt://127.0.0.1:${broker.ports[0] ?? 0}` }, silentLog),
  },
  {
    name: 'by MQTT over a unix socket, with the login of a contract',
    prefix: `${login}/`,
    open: (): Bus =>
      createMqttBus({ socketPath, username: login, password: contractPassword(secret, login) }, silentLog),
  },
];

const text = (payload: Uint8Array): string => new TextDecoder().decode(payload);

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(5);
}

describe.each(adapters)('a bus $name', ({ prefix, open }) => {
  let bus: Bus;
  let other: Bus;
  let seen: string[];
  const note = (topic: string, payload: Uint8Array): void =>
    void seen.push(`${topic.slice(prefix.length)}=${text(payload)}`);

  beforeEach(() => {
    seen = [];
    bus = open();
    other = open();
  });
  afterEach(async () => {
    await bus.close();
    await other.close();
  });

  test('carries texts and bytes, empty ones too', async () => {
    const got: Uint8Array[] = [];
    await bus.subscribe(`${prefix}bytes`, (_, payload) => void got.push(payload));
    await other.publish(`${prefix}bytes`, 'grüß', { qos: 1 });
    await other.publish(`${prefix}bytes`, Uint8Array.of(0, 255, 128), { qos: 1 });
    await other.publish(`${prefix}bytes`, new Uint8Array(0), { qos: 1 });
    await until(() => got.length === 3);
    expect(got.map((payload) => [...payload])).toEqual([
      [...new TextEncoder().encode('grüß')],
      [0, 255, 128],
      [],
    ]);
    expect(got.every((payload) => Object.getPrototypeOf(payload) === Uint8Array.prototype)).toBe(true);
  });

  test('gives each subscription what its filter takes', async () => {
    await bus.subscribe(`${prefix}+/up`, note);
    await bus.subscribe(`${prefix}a/#`, note);
    for (const topic of ['a/up', 'b/up', 'a/x/y', 'b/x/up'])
      await other.publish(`${prefix}${topic}`, '1', { qos: 1 });
    await other.publish(`${prefix}a/end`, '1', { qos: 1 });
    await until(() => seen.includes('a/end=1') && seen.includes('b/up=1'));
    expect(seen.toSorted()).toEqual(['a/end=1', 'a/up=1', 'a/up=1', 'a/x/y=1', 'b/up=1']);
  });

  test('gives retained messages to those who come later, until they are cleared', async () => {
    await other.publish(`${prefix}state`, 'one', { qos: 1, retain: true });
    await other.publish(`${prefix}state`, 'two', { qos: 1, retain: true });
    await bus.subscribe(`${prefix}state`, note);
    await until(() => seen.includes('state=two'));
    await other.publish(`${prefix}state`, 'three', { qos: 1, retain: true });
    await until(() => seen.includes('state=three'));
    await other.publish(`${prefix}state`, '', { qos: 1, retain: true });
    await until(() => seen.includes('state='));
    const late: string[] = [];
    await bus.subscribe(`${prefix}state`, (_, payload) => void late.push(text(payload)));
    await other.publish(`${prefix}state`, 'live', { qos: 1 });
    await until(() => late.length > 0);
    expect(late).toEqual(['live']);
  });

  test('loses and reorders nothing when a handler is slower than its publisher', async () => {
    const order: number[] = [];
    let running = 0;
    let most = 0;
    await bus.subscribe(`${prefix}burst`, async (_, payload) => {
      most = Math.max(most, ++running);
      if (order.length % 500 === 0) await delay(5);
      order.push(Number(text(payload)));
      running -= 1;
    });
    const count = 5000;
    for (let base = 0; base < count; base += 500)
      await Promise.all(
        Array.from({ length: 500 }, (_, i) => other.publish(`${prefix}burst`, String(base + i), { qos: 1 })),
      );
    await until(() => order.length === count);
    expect(order).toEqual(Array.from({ length: count }, (_, i) => i));
    expect(most).toBe(1);
  });

  test('runs as many handlers at once as are wanted, begun in order, and waits for them at the end', async () => {
    const order: number[] = [];
    const holds: PromiseWithResolvers<undefined>[] = [];
    const options = { concurrency: 4, maxMessages: 2 };
    const subscription = await bus.subscribe(
      `${prefix}wide`,
      async (_, payload) => {
        order.push(Number(text(payload)));
        const hold = Promise.withResolvers<undefined>();
        holds.push(hold);
        await hold.promise;
      },
      options,
    );
    for (let i = 0; i < 20; i++) void other.publish(`${prefix}wide`, String(i)).catch(() => undefined);
    await until(() => order.length === 4);
    await delay(20);
    expect(order).toEqual([0, 1, 2, 3]);
    // The last one first: a place is free, whichever it was.
    for (let ended = 0; ended < 20; ended++) {
      await until(() => holds.length > 0);
      holds.pop()?.resolve(undefined);
    }
    expect(order).toEqual(Array.from({ length: 20 }, (_, i) => i));
    await subscription.close();
  });

  test('keeps a subscription alive when its handler fails', async () => {
    await bus.subscribe(`${prefix}fail`, (topic, payload) => {
      note(topic, payload);
      throw new TypeError('planted');
    });
    await other.publish(`${prefix}fail`, '1', { qos: 1 });
    await other.publish(`${prefix}fail`, '2', { qos: 1 });
    await until(() => seen.length === 2);
    expect(seen).toEqual(['fail=1', 'fail=2']);
  });

  test('lets handlers publish to each other and wait, in a circle', async () => {
    await bus.subscribe(`${prefix}ask`, async (_, payload) => {
      await bus.publish(`${prefix}answer`, payload, { qos: 1 });
    });
    await bus.subscribe(`${prefix}answer`, async (topic, payload) => {
      note(topic, payload);
      const n = Number(text(payload));
      if (n < 20) await bus.publish(`${prefix}ask`, String(n + 1), { qos: 1 });
    });
    await other.publish(`${prefix}ask`, '1', { qos: 1 });
    await until(() => seen.length === 20);
    expect(seen.at(-1)).toBe('answer=20');
  });

  test('ends a subscription, also from its own handler, and leaves the others', async () => {
    const ending = await bus.subscribe(`${prefix}end`, async () => {
      seen.push('once');
      await ending.close();
    });
    await bus.subscribe(`${prefix}end`, () => void seen.push('stays'));
    await other.publish(`${prefix}end`, '1', { qos: 1 });
    await until(() => seen.length === 2);
    await other.publish(`${prefix}end`, '2', { qos: 1 });
    await until(() => seen.length === 3);
    expect(seen.toSorted()).toEqual(['once', 'stays', 'stays']);
  });

  test('handles what it has taken before the end of a subscription that has to take it', async () => {
    const order: number[] = [];
    const begun = Promise.withResolvers<undefined>();
    const subscription = await bus.subscribe(
      `${prefix}drain`,
      async (_, payload) => {
        begun.resolve(undefined);
        await delay(1);
        order.push(Number(text(payload)));
      },
      { required: true },
    );
    const count = 50;
    for (let i = 0; i < count; i++) void other.publish(`${prefix}drain`, String(i), { qos: 0 });
    await other.publish(`${prefix}elsewhere`, '', { qos: 1 });
    await begun.promise;
    await subscription.close();
    expect(order).toEqual(Array.from({ length: count }, (_, i) => i));
  });

  test('refuses wrong topics and filters, and everything once it is closed', async () => {
    for (const topic of ['', 'a/+', 'a/#', 'a\0', 'x'.repeat(2000), '/'.repeat(200)])
      await expect(bus.publish(topic, '1')).rejects.toMatchObject({ code: 'invalidInput' });
    for (const filter of ['', 'a/#/b', 'a+', 'a/b#', '\0'])
      await expect(bus.subscribe(filter, () => undefined)).rejects.toMatchObject({ code: 'invalidInput' });
    expect(bus.health().ok).toBe(true);
    await bus.close();
    expect(bus.health().ok).toBe(false);
    await expect(bus.publish(`${prefix}x`, '1')).rejects.toMatchObject({ code: 'unavailable' });
    await expect(bus.subscribe(`${prefix}x`, () => undefined)).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('crosses to the other kinds of bus', async () => {
    const local = createLocalBus(broker, silentLog);
    await bus.subscribe(`${prefix}cross`, note);
    await local.publish(`${prefix}cross`, 'from the process', { qos: 1 });
    await until(() => seen.length === 1);
    const back: string[] = [];
    await local.subscribe(`${prefix}back`, (_, payload) => void back.push(text(payload)));
    await bus.publish(`${prefix}back`, 'hello', { qos: 1 });
    await until(() => back.length === 1);
    expect([...seen, ...back]).toEqual(['cross=from the process', 'hello']);
    await local.close();
  });
});

describe('the bus in the process', () => {
  test('publishes with QoS 1 until every handler is through, with QoS 0 until the queues have it', async () => {
    const bus = createLocalBus(broker, silentLog);
    let handled = 0;
    const hold = Promise.withResolvers<undefined>();
    await bus.subscribe('wait/#', async () => {
      await hold.promise;
      handled += 1;
    });
    await bus.publish('wait/0', 'x');
    expect(handled).toBe(0);
    const published = bus.publish('wait/1', 'x', { qos: 1 });
    await delay(20);
    expect(handled).toBe(0);
    hold.resolve(undefined);
    await published;
    expect(handled).toBe(2);
    await bus.close();
  });

  test('tells a publisher of QoS 1 that a subscriber refused who has to take it, and no one else', async () => {
    const bus = createLocalBus(broker, silentLog);
    const fail = (): never => {
      throw new TypeError('planted');
    };
    await bus.subscribe('refusing/own', fail, { required: true });
    await bus.subscribe('refusing/#', fail);
    await expect(bus.publish('refusing/own', '1', { qos: 1 })).rejects.toMatchObject({ code: 'unavailable' });
    await bus.publish('refusing/own', '1');
    await bus.publish('refusing/other', '1', { qos: 1 });
    await bus.close();
    await bus
      .publish('refusing/own', '1', { qos: 1 })
      .catch((error: unknown) => expect(error).toMatchObject({ code: 'unavailable' }));
  });

  test('answers timeout to a publisher whose subscriber hangs, and busy when too much is under way', async () => {
    const bus = createLocalBus(broker, silentLog, { publishTimeoutMs: 50, maxPending: 2 });
    const hold = Promise.withResolvers<undefined>();
    await bus.subscribe('hang', () => hold.promise);
    const first = bus.publish('hang', '1', { qos: 1 });
    const second = bus.publish('hang', '2', { qos: 1 });
    await expect(bus.publish('hang', '3', { qos: 1 })).rejects.toMatchObject({ code: 'busy' });
    await expect(first).rejects.toMatchObject({ code: 'timeout' });
    await expect(second).rejects.toMatchObject({ code: 'timeout' });
    hold.resolve(undefined);
    await bus.close();
  });

  test('keeps the order of retained and other messages', async () => {
    const bus = createLocalBus(broker, silentLog);
    const order: string[] = [];
    await bus.subscribe('order/#', (_, payload) => void order.push(text(payload)));
    const count = 200;
    await Promise.all(
      Array.from({ length: count }, (_, i) =>
        bus.publish(`order/${i % 3}`, String(i), { qos: i % 2 === 0 ? 0 : 1, retain: i % 5 === 0 }),
      ),
    );
    expect(order).toEqual(Array.from({ length: count }, (_, i) => String(i)));
    await bus.close();
  });

  test('hides the broker’s own topics from wildcards', async () => {
    const bus = createLocalBus(broker, silentLog);
    const topics: string[] = [];
    await bus.subscribe('#', (topic) => void topics.push(topic));
    const client = createMqttBus({ url: `mqtt://127.0.0.1:${broker.ports[0] ?? 0}` }, silentLog);
    await client.publish('seen', '1', { qos: 1 });
    await until(() => topics.includes('seen'));
    expect(topics.filter((topic) => topic.startsWith('$'))).toEqual([]);
    await client.close();
    await bus.close();
  });
});

describe('the bus by MQTT', () => {
  test('finds a restarted broker again, with its subscriptions', async () => {
    const options = { secret, listeners: [{ port: 0, bind: '127.0.0.1', anonymous: 'loopback' as const }] };
    const first = createBroker(options, silentLog);
    await first.start();
    const port = first.ports[0] ?? 0;
    const bus = createMqttBus({ url: `mqtt://127.0.0.1:${port}` }, silentLog);
    const seen: string[] = [];
    let back = 0;
    await bus.subscribe('again/#', (_, payload) => void seen.push(text(payload)), {
      onBack: () => void (back += 1),
    });
    await bus.publish('again/1', 'before', { qos: 1 });
    await until(() => seen.length === 1);
    expect(back).toBe(0);
    await first.stop();
    await until(() => !bus.health().ok);

    const second = createBroker(
      { ...options, listeners: [{ port, bind: '127.0.0.1', anonymous: 'loopback' }] },
      silentLog,
    );
    await second.start();
    await bus.publish('again/2', 'after', { qos: 1 });
    const local = createLocalBus(second, silentLog);
    while (!seen.includes('after')) {
      await local.publish('again/2', 'after', { qos: 1 });
      await delay(20);
    }
    expect(bus.health().ok).toBe(true);
    expect(back).toBe(1);
    await bus.close();
    await second.stop();
  });

  test('fails clearly where there is no broker, and with a wrong address', async () => {
    const bus = createMqttBus({ socketPath: join(folder, 'nobody.sock') }, silentLog, {
      publishTimeoutMs: 100,
      subscribeTimeoutMs: 100,
    });
    await expect(bus.publish('a', '1', { qos: 1 })).rejects.toMatchObject({
      code: expect.stringMatching(/unavailable|timeout/),
    });
    await expect(bus.subscribe('a', () => undefined)).rejects.toMatchObject({
      code: expect.stringMatching(/unavailable|timeout/),
    });
    expect(bus.health().ok).toBe(false);
    await bus.close();
    expect(() => createMqttBus({ url: 'http://x' }, silentLog)).toThrow('mqtt://');
  });
});
