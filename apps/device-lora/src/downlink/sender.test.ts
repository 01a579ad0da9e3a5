import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { devAddr, devEui, oneDevice } from '../session.fixture.ts';
import type { Outcome } from './plan.ts';
import { interval, openScene, sessionOf } from './sender.fixture.ts';

describe('answers without payload', () => {
  test('the answer of one session is never sent into another', async () => {
    const scene = openScene();
    const [first, second] = [sessionOf(1), sessionOf(2)];
    await scene.hear(first, 1, { confirmed: true });
    scene.pass(10_000);
    await scene.hear(second, 1, { confirmed: true });
    const [, frame] = scene.frames();
    expect(frame && [second.cipher.verifies(frame, 1), first.cipher.verifies(frame, 0)]).toEqual([
      true,
      false,
    ]);
  });

  test('a device that counts from the beginning again is answered anew', async () => {
    const scene = openScene();
    const session = sessionOf(1);
    await scene.hear(session, 1, { confirmed: true });
    scene.pass(10_000);
    await scene.hear(session, 1, { confirmed: true });
    expect(scene.frames().map(({ fcnt16 }) => fcnt16)).toEqual([0, 1]);
  });
});

describe('an uplink that is heard once more', () => {
  test('is answered once while its windows are open, and again when it is repeated', async () => {
    const scene = openScene();
    const session = sessionOf(1);
    await scene.hear(session, 1, { confirmed: true });
    scene.sender.queue(interval, devAddr, { replaces: true });
    scene.pass(1500);
    await scene.hear(session, 1, { confirmed: true, novelty: 'retransmission', gateways: ['slow'] });
    expect(scene.sent).toHaveLength(1);
    scene.pass(2000);
    await scene.hear(session, 1, { confirmed: true, novelty: 'retransmission' });
    expect(scene.frames().map(({ fcnt16 }) => fcnt16)).toEqual([0, 1]);
  });

  test('is answered with the same bytes for as long as a device repeats it, and no oftener', async () => {
    const scene = openScene();
    const session = sessionOf(1);
    await scene.hear(session, 1, { confirmed: true });
    for (let n = 0; n < 10; n++) {
      scene.pass(60_000);
      await scene.hear(session, 1, { confirmed: true, novelty: 'retransmission' });
    }
    expect(scene.frames().map(({ fcnt16 }) => fcnt16)).toEqual(Array<number>(8).fill(0));
    await scene.hear(session, 2, { confirmed: true });
    expect(scene.frames()).toHaveLength(9);
  });

  test.each([true, false])('a recorded one, confirmed: %s, calls up no new downlink', async (confirmed) => {
    const scene = openScene();
    const session = sessionOf(1);
    await scene.hear(session, 1, { confirmed });
    scene.sender.queue({ ...interval, confirmed: false }, devAddr, { replaces: true });
    scene.pass(60_000);
    await scene.hear(session, 1, { confirmed, novelty: 'retransmission' });
    expect(scene.latest()).toMatchObject({ state: 'queued' });
    expect(scene.sent).toHaveLength(confirmed ? 2 : 0);
  });

  test('is answered through another gateway where the first one did not send', async () => {
    const scene = openScene();
    const session = sessionOf(1);
    scene.air.push({ outcome: { status: 'TX_FREQ' } });
    await scene.hear(session, 1, { confirmed: true });
    scene.pass(1500);
    await scene.hear(session, 1, { confirmed: true, novelty: 'retransmission', gateways: ['slow'] });
    expect(scene.sent.map(({ to }) => to.gatewayId)).toEqual(['a', 'slow']);
  });
});

describe('a gateway that does not send', () => {
  const hear = async (scene: ReturnType<typeof openScene>): Promise<string[]> => {
    await scene.hear(sessionOf(1), 1, { confirmed: true, gateways: ['a', 'b', 'c'] });
    return scene.sent.map(({ to }) => to.gatewayId);
  };

  test('leaves it to the next one that heard the device, with the same bytes', async () => {
    const scene = openScene();
    scene.air.push(
      { outcome: { status: 'TX_FREQ' } },
      { outcome: { status: 'INTERNAL_ERROR', refused: 'dutyCycle' } },
    );
    expect(await hear(scene)).toEqual(['a', 'b', 'c']);
    expect(new Set(scene.sent.map(({ bytes }) => bytes)).size).toBe(1);
    expect(scene.sent.map(({ to }) => to.context)).toEqual(['a', 'b', 'c']);
    expect(scene.sender.counts()).toMatchObject({ answered: 1, notSent: 0 });
  });

  test('is the last one where it may have sent, or where no counter is left', async () => {
    for (const refused of ['noTxAck', 'noBlock']) {
      const scene = openScene();
      scene.air.push({ outcome: { status: 'INTERNAL_ERROR', refused } });
      expect(await hear(scene)).toEqual(['a']);
    }
  });

  test('leaves the windows that are still ahead', async () => {
    const scene = openScene();
    const late = (by: number) => ({ outcome: { status: 'TOO_LATE' }, meanwhile: () => scene.pass(by) });
    scene.air.push(late(1000), late(1000));
    expect(await hear(scene)).toEqual(['a', 'b']);
    expect(scene.sent.map(({ to }) => to.windows.length)).toEqual([2, 1]);
  });
});

describe('while something else is sent to the device', () => {
  test.each([
    [300, [2]],
    [1400, [1]],
    [2500, []],
  ])(
    'its uplink is answered when that is done, after %i ms in the windows that are ahead',
    async (ms, windows) => {
      const scene = openScene();
      scene.desk.busy.add(devEui);
      await scene.hear(sessionOf(1), 1, { confirmed: true });
      expect(scene.sent).toHaveLength(0);
      scene.pass(ms);
      scene.desk.release(devEui);
      await setImmediate();
      expect(scene.sent.map(({ to }) => to.windows.length)).toEqual(windows);
      expect(scene.frames().every(({ ack }) => ack)).toBe(true);
      expect(scene.desk.busy.size).toBe(0);
    },
  );

  test('the newest of several uplinks is the one', async () => {
    const scene = openScene();
    const session = sessionOf(1);
    scene.desk.busy.add(devEui);
    await scene.hear(session, 1, { confirmed: true });
    scene.pass(500);
    await scene.hear(session, 2, { confirmed: true });
    scene.desk.release(devEui);
    await setImmediate();
    expect(scene.sent).toHaveLength(1);
    expect(scene.sent[0]?.to.windows).toHaveLength(2);
  });
});

describe('a device that listens at all times and asks for an acknowledgement', () => {
  const onWay = (state: 'sending' | 'sent', confirmed: boolean) => {
    const scene = openScene();
    const session = { ...sessionOf(1), device: oneDevice({ class: 'C' }).device };
    const { id } = scene.store.add({ ...interval, confirmed }, 0);
    const { payload, fPort } = interval;
    const bytes = session.cipher.build({ direction: 'down', confirmed, devAddr, fcnt: 0, fPort }, payload);
    scene.store.assign(devAddr, 0, { id, bytes, session: session.id }, 1_000_000);
    scene.store.update(id, { state, attempts: state === 'sent' ? 1 : 0 }, 1_000_000);
    scene.countFrom(1);
    scene.pass(100);
    return { scene, session };
  };

  test.each([
    ['sent', true],
    ['sending', false],
  ] as const)('is not given what is %s once more under another counter', async (state, confirmed) => {
    const { scene, session } = onWay(state, confirmed);
    await scene.hear(session, 1, { confirmed: true });
    expect(scene.frames()).toMatchObject([{ fcnt16: 1, ack: true, confirmed: false }]);
    expect(scene.frames()[0]?.fPort).toBeUndefined();
    expect(scene.latest()).toMatchObject({ state, fcnt: 0, attempts: state === 'sent' ? 1 : 0 });
    // nor is it repeated, now that its counter was passed
    scene.pass(10_000);
    await scene.hear(session, 2);
    expect(scene.sent).toHaveLength(1);
    scene.pass(10_000);
    await scene.hear(session, 3, { ack: true });
    expect(scene.latest()?.state).toBe(confirmed ? 'acknowledged' : 'sending');
  });
});

describe('what the network asks of a device', () => {
  const askFor = async (scene: ReturnType<typeof openScene>, outcome: Outcome): Promise<number> => {
    const session = sessionOf(1);
    const pending = [{ command: { type: 'devStatusReq' }, attempts: 0, inFlight: false }] as const;
    session.mac = { ...scene.mac.stateOf(session), pending };
    for (let fcnt = 1; fcnt <= 8; fcnt++) {
      scene.air.push({ outcome });
      await scene.hear(session, fcnt);
      scene.pass(10_000);
    }
    return scene.mac.counts().gaveUp;
  };

  test('is given up only where it went on air often enough', async () => {
    expect(await askFor(openScene(), { status: 'OK' })).toBe(1);
    expect(await askFor(openScene(), { status: 'TX_FREQ' })).toBe(0);
    const scene = openScene();
    scene.noCounters();
    expect(await askFor(scene, { status: 'OK' })).toBe(0);
  });
});
