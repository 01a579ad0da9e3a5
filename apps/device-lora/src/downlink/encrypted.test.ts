import { describe, expect, test } from '@jest/globals';
import { toHex } from '@antirio/kernel';
import { parseDataFrame } from '@antirio/lorawan';
import { openStore } from '../database.ts';
import { encryptAndQueue, holderOf, openBlind, readByMote } from '../holder.fixture.ts';
import { devEui } from '../session.fixture.ts';
import { describeDownlink } from './describe.ts';
import { createEntrusting } from './entrusting.ts';
import { endEncrypted } from './overdue.ts';
import type { Outcome } from './plan.ts';

function openScene({ isBlind = true, db = openStore(':memory:') } = {}) {
  const onAir: Uint8Array[] = [];
  const outcomes: Outcome[] = [];
  const blind = openBlind(db, isBlind, (bytes) => {
    const outcome = outcomes.shift() ?? { status: 'OK' };
    if (outcome.status === 'OK') onAir.push(bytes);
    return outcome;
  });
  const fcnts = (): number[] => onAir.map((bytes) => parseDataFrame(bytes).fcnt16);
  return { ...blind, db, onAir, outcomes, fcnts };
}
const GONE = { status: 'INTERNAL_ERROR', refused: 'noBlock' };
const FULL = { status: 'DUTY_CYCLE_OVERFLOW', refused: 'dutyCycle' };
const plain = { devEui, resource: 'r', fPort: 9, payload: Uint8Array.of(1), confirmed: false };
const AGAIN = /^its counter was passed before it was on air; encrypt it again for another/;

describe('an edge without the AppSKey', () => {
  test('sends what was encrypted for a counter that it named; the device reads it', async () => {
    const scene = openScene();
    const { id } = await encryptAndQueue(scene, 'open');
    expect(scene.state(id)).toMatchObject({ state: 'queued', fcnt: 0, isEncrypted: true });
    await scene.hear({ confirmed: true });
    expect(readByMote(scene.onAir)).toEqual(['open']);
    expect(scene.onAir.map((bytes) => parseDataFrame(bytes))).toMatchObject([{ ack: true, fPort: 5 }]);
    expect(scene.state(id)).toMatchObject({ state: 'sent' });
    await encryptAndQueue(scene, 'shut');
    await scene.hear();
    expect(readByMote(scene.onAir)).toEqual(['open', 'shut']);
  });

  test('repeats a confirmed one with the same bytes until it is acknowledged', async () => {
    const scene = openScene();
    const { id } = await encryptAndQueue(scene, 'open', { confirmed: true });
    await scene.hear();
    await scene.hear();
    expect(new Set(scene.onAir.map((bytes) => toHex(bytes))).size).toBe(1);
    expect(scene.onAir).toHaveLength(2);
    await scene.hear({ ack: true });
    expect(scene.state(id)).toMatchObject({ state: 'acknowledged', attempts: 2 });
  });

  test('sends nothing that it would have to encrypt, and what is encrypted goes all the same', async () => {
    const scene = openScene();
    scene.sender.queue(plain, undefined, { replaces: false });
    await scene.hear({ confirmed: true });
    await encryptAndQueue(scene, 'open');
    await scene.hear();
    expect(readByMote(scene.onAir)).toEqual(['open']);
  });
});

describe('a counter that was named', () => {
  test('is named once, also after a start, and used for nothing else', async () => {
    const scene = openScene();
    const first = await scene.naming.name(scene.device, undefined);
    await scene.hear({ confirmed: true });
    const later = openScene({ db: scene.db });
    const second = await later.naming.name(later.device, undefined);
    await later.hear({ confirmed: true });
    expect([first.fCntDown, ...scene.fcnts(), second.fCntDown, ...later.fcnts()]).toEqual([0, 1, 2, 3]);
    expect(first).toMatchObject({ devEui, devAddr: '01000001', maxPayload: 51 });
  });

  test('is the same one for whoever asks again, and few are named that nobody uses', async () => {
    const scene = openScene();
    const { naming, device } = scene;
    const [a, again] = await Promise.all([naming.name(device, 'a'), naming.name(device, 'a')]);
    expect(again).toEqual(a);
    for (const requestId of ['b', undefined, undefined]) await naming.name(device, requestId);
    await expect(naming.name(device, 'c')).rejects.toMatchObject({ code: 'busy' });
    expect(await naming.name(device, 'a')).toEqual(a);
    // one that is used leaves room, and so does time
    await scene.hear();
    const payload = Uint8Array.of(1);
    const late = { session: a.session, fCntDown: a.fCntDown, payload, fPort: 1, confirmed: false };
    naming.queue(device, late);
    expect((await naming.name(device, 'c')).fCntDown).toBe(4);
    await expect(naming.name(device, 'd')).rejects.toMatchObject({ code: 'busy' });
    scene.now.ms += 300_000;
    expect((await naming.name(device, 'd')).fCntDown).toBe(5);
    expect(() => naming.queue(device, { ...late, fCntDown: 1 })).toThrow(/not named/);
  });

  test('carries one payload: the same once more is the same downlink, another is refused', async () => {
    const scene = openScene();
    const { naming, device } = scene;
    const { session, fCntDown } = await naming.name(device, undefined);
    const one = { session, fCntDown, payload: Uint8Array.of(1), fPort: 5, confirmed: true };
    const { id } = naming.queue(device, one);
    expect(naming.queue(device, one).id).toBe(id);
    await scene.hear();
    expect(naming.queue(device, one)).toMatchObject({ id, state: 'sent' });
    for (const other of [{ payload: Uint8Array.of(2) }, { fPort: 6 }, { confirmed: false }])
      expect(() => naming.queue(device, { ...one, ...other })).toThrow(/has another payload/);
    expect(() => naming.queue(device, { ...one, fCntDown: 7 })).toThrow(/not named/);
    scene.use(2);
    expect(() => naming.queue(device, { ...one, fCntDown: 7 })).toThrow(/another session/);
  });

  test('is taken with what it is taken for, or not at all', () => {
    const { store, now } = openScene();
    const one = { session: now.session.id, fcnt: 3 };
    const named = { ...one, devEui, requestId: undefined, expiresAt: 9 };
    store.name('01000001', named, 0);
    expect(() => store.add({ ...plain, encryptedFor: { ...one, fcnt: 4 } }, 0)).toThrow(/not named/);
    expect(store.add({ ...plain, encryptedFor: one }, 0)).toMatchObject({ isEncrypted: true, fcnt: 3 });
    expect(() => store.add({ ...plain, encryptedFor: one }, 0)).toThrow(/not named/);
    expect(store.latest(devEui, 9)).toHaveLength(1);
    store.requeue(1, 'why', 0);
    expect(store.open(devEui)).toMatchObject([{ fcnt: 3, session: one.session, error: undefined }]);
    expect([store.highestUsed('01000001'), store.highestMade('01000001')]).toEqual([3, undefined]);
  });

  test('is none where no block is granted or another edge acts', async () => {
    const scene = openScene();
    const { naming, device, now } = scene;
    now.granted = false;
    await expect(naming.name(device, undefined)).rejects.toMatchObject({ code: 'unavailable' });
    now.granted = true;
    await scene.hear({ tenure: '' });
    await expect(naming.name(device, undefined)).rejects.toMatchObject({ code: 'conflict' });
    await scene.hear();
    expect(await naming.name(device, undefined)).toMatchObject({ fCntDown: 0 });
    const theirs = { ...device, network: 'chirpStack' } as const;
    await expect(naming.name(theirs, undefined)).rejects.toMatchObject({ code: 'notImplemented' });
  });
});

describe('one whose counter cannot be used any more is told so and never sent with another', () => {
  test('because a frame with a higher one was made', async () => {
    const scene = openScene();
    const { id } = await encryptAndQueue(scene, 'late');
    // it came from an answer that was under way already
    scene.store.assign('01000001', 9, undefined, 0);
    expect(scene.state(id)).toMatchObject({ state: 'queued' });
    await scene.hear({ confirmed: true });
    const ended = scene.state(id);
    expect(ended).toMatchObject({ state: 'failed', error: expect.stringMatching(AGAIN) });
    expect(ended && describeDownlink(ended, undefined)).toMatchObject({ encryptAgain: true, fCntDown: 0 });
    expect(scene.desk.counts()).toMatchObject({ passed: 1, failed: 1 });
    expect(scene.fcnts()).toEqual([10]);
  });

  test('which is seen at once, and at the door', async () => {
    const scene = openScene();
    const { naming, device } = scene;
    const { session, fCntDown } = await naming.name(device, undefined);
    // a repetition long after: what was not sent yet is not risked
    await scene.hear();
    const { id } = await encryptAndQueue(scene, 'late');
    await scene.hear({ novelty: 'retransmission', confirmed: true });
    expect(scene.state(id)).toMatchObject({ state: 'failed', error: expect.stringMatching(AGAIN) });
    const one = { session, fCntDown, payload: Uint8Array.of(1), fPort: 5, confirmed: true };
    expect(() => naming.queue(device, one)).toThrow(AGAIN);
  });

  test('because the fence does not let it pass', async () => {
    const scene = openScene();
    scene.outcomes.push(GONE);
    const { id } = await encryptAndQueue(scene, 'foreign', { confirmed: true });
    await scene.hear();
    await scene.hear();
    expect(scene.state(id)).toMatchObject({ state: 'failed', error: expect.stringMatching(AGAIN) });
    expect(scene.onAir).toEqual([]);
  });

  test('because the device has another session', async () => {
    const scene = openScene();
    const { id } = await encryptAndQueue(scene, 'former');
    scene.use(2);
    await scene.hear();
    expect(scene.state(id)).toMatchObject({ state: 'failed', error: expect.stringMatching(AGAIN) });
    expect(scene.onAir).toEqual([]);
  });

  test('because this edge serves the device no more; what is at a gateway is left alone', async () => {
    const scene = openScene();
    const { id } = await encryptAndQueue(scene, 'left');
    scene.sender.queue(plain, undefined, { replaces: false });
    scene.desk.busy.add(devEui);
    expect(endEncrypted(scene)).toBe(0);
    scene.desk.busy.delete(devEui);
    expect(endEncrypted(scene)).toBe(1);
    expect(scene.state(id)).toMatchObject({ state: 'failed', error: expect.stringMatching(AGAIN) });
    expect(scene.store.open(devEui)).toMatchObject([{ resource: 'r' }]);
  });

  test('because the device waits for an acknowledgement that its bytes have not', async () => {
    const scene = openScene();
    const sent = await encryptAndQueue(scene, 'maybe', { confirmed: true });
    await scene.hear();
    await scene.hear({ confirmed: true });
    const unknown = expect.stringMatching(/^nobody knows whether the device has it/);
    expect(scene.state(sent.id)).toMatchObject({ state: 'failed', error: unknown });
    scene.outcomes.push(FULL);
    const unsent = await encryptAndQueue(scene, 'not');
    await scene.hear();
    await scene.hear({ confirmed: true });
    expect(scene.state(unsent.id)).toMatchObject({ state: 'failed', error: expect.stringMatching(AGAIN) });
    expect(readByMote(scene.onAir)).toEqual(['maybe']);
  });
});

describe('beside others', () => {
  test('it goes first, and what it is told in comes after', async () => {
    const scene = openScene({ isBlind: false });
    scene.sender.queue(plain, undefined, { replaces: false });
    const { fCntDown } = await scene.naming.name(scene.device, undefined);
    await encryptAndQueue(scene, 'second');
    const payload = holderOf(1).encryptDown(scene.now.session.devAddr, fCntDown, Buffer.from('first'));
    const { id: session } = scene.now.session;
    scene.naming.queue(scene.device, { session, fCntDown, payload, fPort: 5, confirmed: false });
    for (let i = 0; i < 3; i++) await scene.hear({ confirmed: true });
    expect(readByMote(scene.onAir)).toEqual(['first', 'second', '\u0001']);
    expect(scene.fcnts()).toEqual([0, 1, 2]);
  });

  test('it is not entrusted to another edge: that one has other counters', async () => {
    const scene = openScene({ isBlind: false });
    const { store, desk, now } = scene;
    const random = { bytes: (size: number) => new Uint8Array(size), int: () => 0 } as never;
    const entrusting = createEntrusting({
      store,
      desk,
      clock: { now: () => now.ms },
      random,
      log: {} as never,
    });
    const { id } = await encryptAndQueue(scene, 'mine', { confirmed: true });
    expect(entrusting.listOf(now.session)).toBeUndefined();
    scene.sender.queue({ ...plain, confirmed: true }, undefined, { replaces: false });
    expect(entrusting.listOf(now.session)).toBeDefined();
    expect(scene.state(id)).toMatchObject({ entrusted: false });
  });
});
