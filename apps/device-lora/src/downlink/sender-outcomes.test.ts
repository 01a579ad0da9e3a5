import { describe, expect, test } from '@jest/globals';
import { devAddr, devEui } from '../session.fixture.ts';
import { interval, openScene, sessionOf } from './sender.fixture.ts';

describe('what becomes of a downlink', () => {
  test('an acknowledgement is for the newest confirmed downlink of its own session', async () => {
    const scene = openScene();
    const [old, session] = [sessionOf(1), sessionOf(2)];
    const [first, second] = [scene.store.add(interval, 0), scene.store.add(interval, 0)];
    const third = scene.store.add(interval, 0);
    for (const [{ id }, of, fcnt] of [
      [first, old, 40],
      [second, session, 7],
      [third, session, 8],
    ] as const) {
      scene.store.assign(devAddr, fcnt, { id, bytes: Uint8Array.of(0xa0), session: of.id }, 0);
      scene.store.update(id, { state: 'sent', attempts: 1 }, 0);
    }
    await scene.hear(session, 1, { ack: true });
    const states = scene.store.latest(devEui, 3).map(({ id, state }) => [id, state]);
    expect(states[0]).toEqual([third.id, 'acknowledged']);
    expect(states.filter(([, state]) => state === 'acknowledged')).toHaveLength(1);
  });

  test('what another edge was answered in our place ends none of ours, which goes again', async () => {
    const scene = openScene();
    const session = sessionOf(1);
    scene.sender.queue(interval, devAddr, { replaces: true });
    await scene.hear(session, 1, { tenure: 'pier/3' });
    expect(scene.latest()).toMatchObject({ state: 'sent', after: 1, tenure: 'pier/3' });
    // it serves now, sends a confirmed downlink, and its guest hears the answer
    scene.pass(10_000);
    await scene.hear(session, 3, { ack: true, tenure: 'pier/5' });
    expect(scene.sent).toHaveLength(2);
    expect(scene.latest()).toMatchObject({ state: 'sent', after: 3, tenure: 'pier/5', attempts: 2 });
    expect(scene.proofs).toEqual([]);
    scene.pass(10_000);
    await scene.hear(session, 4, { ack: true, tenure: 'pier/5' });
    expect([scene.latest()?.state, scene.proofs]).toEqual(['acknowledged', [0]]);
  });

  test.each([
    ['acknowledged', 'listens after an uplink only once', {}, 1],
    ['sent', 'may repeat the uplink as it wants an answer', { confirmed: true }, 1],
    ['sent', 'repeats its uplinks', {}, 2],
  ])('of one that went out just before another edge took over, %s where the device %s', async (...how) => {
    const [state, , uplink, nbTrans] = how;
    const scene = openScene();
    const session = sessionOf(1);
    session.mac = { ...scene.mac.stateOf(session), nbTrans };
    scene.sender.queue(interval, devAddr, { replaces: true });
    await scene.hear(session, 1, { ...uplink, tenure: 'pier/3' });
    expect(scene.latest()).toMatchObject({ state: 'sent', attempts: 1 });
    scene.pass(10_000);
    await scene.hear(session, 2, { ack: true, tenure: '' });
    expect(scene.latest()?.state).toBe(state);
  });

  test.each([
    ['killed', 'pier/3', 'acknowledged'],
    ['killed, and could not act before', '', 'sent'],
  ])(
    'one that went to the gateway of an edge that was %s then is its own all the same',
    async (_, tenure, state) => {
      const scene = openScene();
      const session = sessionOf(1);
      const { id } = scene.sender.queue(interval, devAddr, { replaces: true });
      // nobody says any more what became of it
      const meanwhile = (): void => scene.store.update(id, { state: 'failed' }, 0);
      scene.air.push({ outcome: { status: 'OK' }, meanwhile });
      await scene.hear(session, 1, { tenure });
      scene.store.update(id, { state: 'sending' }, 0);
      scene.pass(10_000);
      await scene.hear(session, 2, { ack: true, tenure: '' });
      expect(scene.store.latest(devEui, 1)[0]?.state).toBe(state);
    },
  );

  test.each([
    ['went on air', 'OK', undefined],
    ['has to go once more', 'TOO_LATE', undefined],
    ['lost its counter', 'INTERNAL_ERROR', 'noBlock'],
  ])('one that was replaced while it %s stays ended', async (_, status, refused) => {
    const scene = openScene();
    const older = scene.sender.queue(interval, devAddr, { replaces: true });
    const meanwhile = (): void => {
      scene.sender.queue({ ...interval, payload: Uint8Array.of(2) }, devAddr, { replaces: true });
    };
    scene.air.push({ outcome: { status, refused }, meanwhile });
    await scene.hear(sessionOf(1), 1);
    expect(scene.sent).toHaveLength(1);
    expect(scene.store.latest(devEui, 2)).toMatchObject([
      { state: 'queued' },
      { id: older.id, state: 'failed', error: 'replaced' },
    ]);
  });

  test('one that was replaced while its counter was awaited is not sent', async () => {
    const scene = openScene();
    const older = scene.sender.queue(interval, devAddr, { replaces: true });
    const heard = scene.hear(sessionOf(1), 1);
    scene.sender.queue({ ...interval, payload: Uint8Array.of(2) }, devAddr, { replaces: true });
    await heard;
    expect(scene.sent).toHaveLength(0);
    expect(scene.store.latest(devEui, 2)).toMatchObject([
      { state: 'queued' },
      { id: older.id, state: 'failed', error: 'replaced' },
    ]);
  });
});

describe('a device proves that it heard a counter', () => {
  const status = Uint8Array.of(6, 255, 10);

  test('by an answer to what the last downlink asked, and not by one that nobody asked for', async () => {
    const scene = openScene();
    const session = sessionOf(1);
    scene.countFrom(5);
    await scene.hear(session, 1, { fOpts: status });
    expect(scene.proofs).toEqual([]);
    scene.asks.proof = true;
    scene.pass(10_000);
    await scene.hear(session, 2);
    expect(scene.frames()).toMatchObject([{ fcnt16: 5 }]);
    scene.asks.proof = false;
    scene.pass(10_000);
    await scene.hear(session, 3, { fOpts: status });
    expect(scene.proofs).toEqual([5]);
    scene.pass(10_000);
    await scene.hear(session, 4, { fOpts: status });
    expect(scene.proofs).toEqual([5]);
  });

  test('by an acknowledgement of a confirmed downlink', async () => {
    const scene = openScene();
    const session = sessionOf(1);
    scene.countFrom(7);
    scene.sender.queue({ ...interval, confirmed: true }, devAddr, { replaces: true });
    await scene.hear(session, 1);
    scene.pass(10_000);
    await scene.hear(session, 2);
    expect(scene.proofs).toEqual([]);
    scene.pass(10_000);
    await scene.hear(session, 3, { ack: true });
    expect(scene.proofs).toEqual([7]);
  });
});

describe('a downlink through the gateway of a provider, of which nobody knows whether the device hears it', () => {
  test.each([true, false])('is never a command, confirmed: %s; the next answer is', async (confirmed) => {
    const scene = openScene();
    const session = sessionOf(1);
    Object.assign(scene.asks, { proof: true, lends: true });
    scene.sender.queue({ ...interval, confirmed }, devAddr, { replaces: true });
    await scene.hear(session, 1);
    expect([scene.lent, scene.frames().map(({ fcnt16 }) => fcnt16)]).toEqual([[], [0]]);
    expect(scene.latest()).toMatchObject({ state: 'sent', fcnt: 0 });
    scene.pass(10_000);
    await scene.hear(session, 2, { ack: confirmed });
    expect([scene.lent, scene.sent.length]).toEqual([[1], 1]);
  });

  test('acknowledges: a device that misses it asks again, and its own gateway answers', async () => {
    const scene = openScene();
    const session = sessionOf(1);
    Object.assign(scene.asks, { proof: true, lends: true });
    await scene.hear(session, 1, { confirmed: true });
    expect([scene.lent, scene.sent.length]).toEqual([[0], 0]);
    scene.pass(10_000);
    await scene.hear(session, 1, { confirmed: true, novelty: 'retransmission' });
    expect([scene.lent, scene.frames().map(({ fcnt16 }) => fcnt16)]).toEqual([[0], [0]]);
  });
});
