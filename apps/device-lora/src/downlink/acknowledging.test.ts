import { describe, expect, test } from '@jest/globals';
import type { Database } from '@antirio/host';
import { parseDataFrame } from '@antirio/lorawan';
import { openStore } from '../database.ts';
import { devAddr, devEui, oneDevice, sessionWith } from '../session.fixture.ts';
import { ANOTHERS, createAcknowledging, noteSentAgain } from './acknowledging.ts';
import { createDesk } from './desk.ts';
import { createDownlinkStore, type Downlink } from './store.ts';

/** What the bridge tells while we serve for the first time, again after another edge did, and never. */
const [OURS, AGAIN, NOBODY] = ['pier/3', 'pier/5', ''];

function openScene(db: Database = openStore(':memory:'), deviceClass: 'A' | 'C' = 'A') {
  const clock = { now: () => 1000 };
  const store = createDownlinkStore(db);
  const desk = createDesk(store, clock);
  const proofs: number[] = [];
  const counters = { proved: (_devAddr: string, fcnt: number) => void proofs.push(fcnt) };
  const acks = createAcknowledging({ store, desk, counters, clock });
  const session = sessionWith(oneDevice({ class: deviceClass }).device);
  const { id, cipher } = session;
  const latest = (): Downlink | undefined => store.latest(devEui, 1)[0];
  return {
    db,
    desk,
    proofs,
    latest,
    /** A confirmed one under counter 7, after an uplink. */
    send(after: number, tenure: string | undefined, aloneAfter?: number): void {
      const told = { devEui, resource: 'valve', fPort: 1, payload: new Uint8Array(), confirmed: true };
      const one = store.add(told, 0);
      const bytes = Uint8Array.of(0xa0);
      store.assign(devAddr, 7, { id: one.id, bytes, session: id, after, tenure }, 1000);
      store.update(one.id, { state: 'sent', attempts: 1, aloneAfter }, 1000);
    },
    sendAgain(after: number, tenure: string | undefined): void {
      const one = latest();
      if (one !== undefined) noteSentAgain({ store, clock }, one, { after, tenure });
    },
    hear(fcnt: number, ack: boolean, tenure: string | undefined, receivedAt = 2000): string | undefined {
      const about = { direction: 'up', confirmed: false, ack, devAddr, fcnt, fPort: 2 } as const;
      const phyPayload = cipher.build(about, Uint8Array.of(1));
      const reception = { ...{ gatewayId: 'a', rssi: -60, snr: 8, context: '' } };
      const radio = { frequency: 868_100_000, bandwidth: 125_000, spreadingFactor: 7 };
      const place = { ring: 'own', incarnation: 'i', seq: 1, previousSeq: 0, last: 1, via: 'radio' };
      const uplink = {
        ...({ ...reception, ...radio, ...place, kind: 'uplink', receivedAt, again: false } as const),
        ...{ heardAt: undefined, tenure, phyPayload },
      };
      const frame = parseDataFrame(phyPayload);
      acks.heard({ session, frame, fcnt, uplink, receptions: [uplink], novelty: 'new' });
      return latest()?.state;
    },
  };
}

describe('an acknowledgement names no counter', () => {
  test('and is ours where nobody else can have sent since the uplink before ours', () => {
    const scene = openScene();
    scene.send(10, OURS);
    expect(scene.hear(11, true, OURS)).toBe('acknowledged');
    expect(scene.proofs).toEqual([7]);
  });

  test('and is none of ours where another edge acted in between, however long after', () => {
    const scene = openScene();
    scene.send(10, OURS);
    expect(scene.hear(12, true, AGAIN)).toBe('sent');
    expect(scene.latest()?.error).toBe(ANOTHERS);
    expect(scene.hear(13, false, AGAIN)).toBe('sent');
    expect(scene.proofs).toEqual([]);
    expect(scene.desk.counts()['acknowledgedUnsure']).toBe(1);
  });

  test('but is ours in the next uplink of a device that listened only once in between, whoever acts by then', () => {
    for (const tenure of [NOBODY, AGAIN]) {
      const scene = openScene();
      scene.send(10, OURS, 12);
      expect(scene.hear(12, true, NOBODY)).toBe('sent');
      expect(scene.hear(13, true, tenure)).toBe('acknowledged');
    }
    const scene = openScene();
    scene.send(10, OURS, 12);
    expect(scene.hear(14, true, AGAIN)).toBe('sent');
  });

  test.each([
    ['the same right to act', OURS, 'acknowledged'],
    ['another one', AGAIN, 'sent'],
  ])(
    'heard while we may not act, the next uplink under %s decides, after a start too',
    (_, tenure, state) => {
      const first = openScene();
      first.send(10, OURS);
      expect(first.hear(11, true, NOBODY)).toBe('sent');
      const scene = openScene(first.db);
      expect(scene.hear(12, false, NOBODY)).toBe('sent');
      expect(scene.hear(13, false, tenure)).toBe(state);
      expect(scene.latest()?.ackHeard).toBe(tenure === OURS);
      expect(scene.proofs).toEqual(tenure === OURS ? [7] : []);
    },
  );

  test('of what was sent without our having had the right just before, nothing is known', () => {
    const scene = openScene();
    scene.send(10, NOBODY);
    expect(scene.hear(11, true, NOBODY)).toBe('sent');
    expect(scene.hear(12, true, OURS)).toBe('sent');
  });

  test('in an uplink from before it, that comes home later, is another one’s', () => {
    const scene = openScene();
    scene.send(10, OURS);
    expect(scene.hear(9, true, OURS, 5000)).toBe('sent');
    expect(scene.hear(10, true, OURS, 5000)).toBe('sent');
    // the clock of who heard it is behind ours
    expect(scene.hear(11, true, OURS, 500)).toBe('acknowledged');
  });

  test('sent once more it is as it was under the same right, and anew under another one', () => {
    const scene = openScene();
    scene.send(10, OURS);
    scene.sendAgain(12, OURS);
    expect(scene.latest()).toMatchObject({ after: 10, tenure: OURS });
    scene.hear(13, true, NOBODY);
    scene.sendAgain(13, AGAIN);
    expect(scene.latest()).toMatchObject({ after: 13, tenure: AGAIN, ackHeard: false });
    expect(scene.hear(14, true, AGAIN)).toBe('acknowledged');
  });

  test('of a device that counts anew it is taken after what was sent since', () => {
    const scene = openScene();
    scene.send(1000, OURS);
    scene.sendAgain(0, OURS);
    expect(scene.hear(1, true, OURS)).toBe('acknowledged');
  });

  test('to one that listens at all times, an uplink from before the sending is none by its time', () => {
    const scene = openScene(undefined, 'C');
    scene.send(10, OURS);
    expect(scene.hear(11, true, OURS, 900)).toBe('sent');
    expect(scene.hear(12, true, OURS)).toBe('acknowledged');
  });

  test('with a bridge that tells no rights it is taken as it comes', () => {
    const scene = openScene();
    scene.send(10, undefined);
    expect(scene.hear(11, true, undefined)).toBe('acknowledged');
  });
});
