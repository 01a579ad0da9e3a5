import { expect, test } from '@jest/globals';
import { createBroker, createLocalBus } from '@antirio/bus';
import { silentLog, type Bus, type BusHandler } from '@antirio/host';
import { AntirioError, fromUtf8, toHex } from '@antirio/kernel';
import { openStore } from '../database.ts';
import { holderOf, openBlind, readByMote } from '../holder.fixture.ts';
import { devAddr, devEui } from '../session.fixture.ts';
import { openDownlinksAsked } from './asked.ts';
import { createHolder } from './holder.ts';

async function openScene() {
  const onAir: Uint8Array[] = [];
  const blind = openBlind(openStore(':memory:'), true, (bytes) => {
    onAir.push(bytes);
    return { status: 'OK' };
  });
  const told: { topic: string; body: Record<string, unknown> }[] = [];
  const gate = { isShut: false };
  let handler: BusHandler | undefined;
  const bus = {
    subscribe: (_topic: string, given: BusHandler) => {
      handler = given;
      return Promise.resolve({ close: () => Promise.resolve() });
    },
    publish: (topic: string, text: string) => {
      told.push({ topic, body: JSON.parse(text) as Record<string, unknown> });
      return Promise.resolve();
    },
  } as unknown as Bus;
  const { device, naming } = blind;
  await openDownlinksAsked({
    ...{ bus, prefix: 'contract/c/', log: silentLog, devices: [device], naming, waitOf: () => 'its turn' },
    checkMaySend: (_device, isEncrypted) => {
      if (gate.isShut || !isEncrypted) throw new AntirioError('locked', 'shut');
    },
  });
  const ask = async (question: object): Promise<Record<string, unknown>> => {
    await handler?.('', Buffer.from(JSON.stringify({ requestId: 'r', devEui, ...question })));
    return told.pop()?.body ?? {};
  };
  return { ...blind, onAir, told, ask, gate };
}

test('who stands in for a device’s edge names a counter, takes what was encrypted and tells what became of it', async () => {
  const scene = await openScene();
  const { ask } = scene;
  const { counter } = (await ask({ want: 'counter', key: 'k' })) as {
    counter: { session: string; fCntDown: number };
  };
  expect(counter).toMatchObject({ devEui, devAddr, fCntDown: 0 });
  const { session, fCntDown } = counter;
  expect(await ask({ want: 'state', session, fCntDown })).toEqual({ requestId: 'r' });
  const payload = toHex(holderOf(1).encryptDown(devAddr, fCntDown, Buffer.from('open')));
  const downlink = { session, fCntDown, payload, fPort: 5, confirmed: false };
  const queued = await ask({ want: 'queue', downlink });
  expect(queued).toMatchObject({ downlink: { state: 'queued', isEncrypted: true, waitingFor: 'its turn' } });
  await scene.hear();
  expect(await ask({ want: 'state', session, fCntDown })).toMatchObject({ downlink: { state: 'sent' } });
  expect(readByMote(scene.onAir)).toEqual(['open']);
});

test('who has just taken over names a counter before its device was heard again', async () => {
  const { ask, hear, naming, device } = await openScene();
  // as it stood by
  await hear({ tenure: '' });
  await expect(naming.name(device, undefined)).rejects.toMatchObject({ code: 'conflict' });
  expect(await ask({ want: 'counter', key: 'k' })).toMatchObject({ counter: { devEui, fCntDown: 0 } });
});

test('what it refuses is said with its code', async () => {
  const { ask, gate } = await openScene();
  const unnamed = { session: '00'.repeat(8), fCntDown: 3, payload: '0a', fPort: 5, confirmed: false };
  expect(await ask({ want: 'queue', downlink: unnamed })).toMatchObject({ error: { code: 'gone' } });
  expect(await ask({ want: 'counter', devEui: 'ff'.repeat(8) })).toMatchObject({
    error: { code: 'notFound' },
  });
  gate.isShut = true;
  expect(await ask({ want: 'counter' })).toMatchObject({ error: { code: 'locked', message: 'shut' } });
  expect(await ask({ want: 'nothing' })).toEqual({});
});

test('where no counter is granted others are answered meanwhile', async () => {
  const broker = createBroker({ secret: new Uint8Array(32), listeners: [] }, silentLog);
  await broker.start();
  const bus = createLocalBus(broker, silentLog);
  const { device, naming } = openBlind(openStore(':memory:'));
  const answered = Promise.withResolvers<undefined>();
  const waiting = { ...naming, name: () => answered.promise.then(() => Promise.reject(new Error('none'))) };
  await openDownlinksAsked({
    ...{ bus, prefix: '', log: silentLog, devices: [device], naming: waiting, waitOf: () => undefined },
    checkMaySend: () => undefined,
  });
  await bus.subscribe('antirio/downlink/told', (_topic, payload) => {
    if (fromUtf8(payload) === '{"requestId":"second"}') answered.resolve(undefined);
  });
  const ask = (question: object): Promise<void> =>
    bus.publish('antirio/downlink/asked', JSON.stringify({ devEui, ...question }));
  const given = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => given.resolve(false), 3000);
  answered.promise.then(() => given.resolve(true), given.reject);
  try {
    await ask({ requestId: 'first', want: 'counter' });
    await ask({ requestId: 'second', want: 'state', session: '00'.repeat(8), fCntDown: 3 });
    expect(await given.promise).toBe(true);
  } finally {
    clearTimeout(timer);
    answered.resolve(undefined);
    await bus.close();
    await broker.stop();
  }
});

test('its own edge encrypts for each counter once, above all that may be used, and not out of the device’s hearing', () => {
  const { store, now, device } = openBlind(openStore(':memory:'), false);
  const { session } = now;
  const sessions = () => ({ sessionsOf: () => [session] }) as never;
  const encrypt = createHolder({ store, sessions });
  const payload = Buffer.from('open');
  store.assign(devAddr, 9, undefined, 0);
  const of = (fCntDown: number, id = session.id): Uint8Array =>
    encrypt(device, { session: id, fCntDown, payload });
  expect(toHex(of(20))).toBe(toHex(holderOf(1).encryptDown(devAddr, 20, payload)));
  for (const used of [9, 20, 19]) expect(() => of(used)).toThrow(/may be used already/);
  expect(() => of(20 + 8193)).toThrow(/deaf/);
  expect(of(20 + 8192)).toHaveLength(payload.length);
  expect(store.highestUsed(devAddr)).toBe(20 + 8192);
  expect(() => of(9000, '00'.repeat(8) as never)).toThrow(/no keys/);
  const blind = openBlind(openStore(':memory:'));
  const none = createHolder({ store, sessions: () => ({ sessionsOf: () => [blind.now.session] }) as never });
  expect(() => none(device, { session: session.id, fCntDown: 9000, payload })).toThrow(/AppSKey/);
});
