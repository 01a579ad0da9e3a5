import { describe, expect, test } from '@jest/globals';
import { silentLog } from '@antirio/host';
import { parseDataFrame, parseMacCommands } from '@antirio/lorawan';
import { openStore } from '../database.ts';
import { devAddr, oneDevice, sessionWith } from '../session.fixture.ts';
import type { Session } from '../uplink/sessions.ts';
import { createMacLayer, type MacLayer } from './mac-layer.ts';
import { createMacStore } from './store.ts';

const DAY_MS = 86_400_000;

/** Lives of a service on one disk, and the device that it hears. */
function openLives() {
  const db = openStore(':memory:');
  const store = createMacStore(db);
  let now = 1_800_000_000_000;
  let fcnt = 0;
  const live = (
    device: object = {},
    prefix = '',
  ): { mac: MacLayer; session: Session; hear: () => string[] } => {
    const { options, device: known } = oneDevice(device, prefix);
    const clock = { now: () => now, monotonic: () => now % 1e6 };
    const mac = createMacLayer({ options, store, clock, log: silentLog });
    const session = sessionWith(known);
    const { id, cipher } = session;
    /** A frame that the device sends now; gives what it is asked. Kept on the disk where the layer wants that. */
    const hear = (): string[] => {
      fcnt += 1;
      const phyPayload = cipher.build({ direction: 'up', confirmed: false, devAddr, fcnt });
      const radio = { gatewayId: 'a', rssi: -60, snr: 8, context: '', frequency: 868_100_000 };
      const reception = { ...radio, bandwidth: 125_000, spreadingFactor: 7 };
      const place = { ring: 'own', incarnation: 'i', seq: fcnt, previousSeq: fcnt - 1, last: fcnt };
      const uplink = { kind: 'uplink', ...reception, ...place, via: 'radio', receivedAt: now } as const;
      const { bytes } = mac.heard(
        {
          ...{ session, frame: parseDataFrame(phyPayload), fcnt, receptions: [reception], novelty: 'new' },
          uplink: { ...uplink, again: false, heardAt: now, phyPayload },
        },
        15,
      );
      if (session.macUnsaved && session.mac !== undefined) store.put(id, session.mac);
      session.macUnsaved = false;
      return parseMacCommands(bytes, 'down').commands.map(({ type }) => type);
    };
    return { mac, session, hear };
  };
  return { live, pass: (ms: number): void => void (now += ms) };
}

describe('a device that was configured otherwise than it was made', () => {
  const listensAt = ({ mac, session }: ReturnType<ReturnType<typeof openLives>['live']>) => {
    const { rx1DelayS, rx2, channels } = mac.stateOf(session);
    return [rx1DelayS, rx2.dataRate, channels.length];
  };

  test('is answered by the corrected settings, and keeps them', () => {
    const { live } = openLives();
    const wrong = live();
    for (let n = 0; n < 9; n++) wrong.hear();
    const reception = { rx1DelayS: 5, rx2: { dataRate: 3 }, channels: [867_100_000] };
    const corrected = live({ reception });
    expect(listensAt(corrected)).toEqual([5, 3, 4]);
    corrected.hear();
    expect(listensAt(live({ reception }))).toEqual([5, 3, 4]);
    expect(listensAt(live())).toEqual([1, 0, 3]);
  });

  test('keeps what it was asked meanwhile while its settings stay the same', () => {
    const { live } = openLives();
    const first = live();
    first.session.mac = { ...first.mac.stateOf(first.session), rx1DelayS: 7 };
    first.session.macUnsaved = true;
    first.hear();
    expect(listensAt(live({ reception: { rx1DelayS: 1 } }))).toEqual([7, 0, 3]);
  });
});

describe('the number of a state', () => {
  const numberOf = ({ mac, session }: ReturnType<ReturnType<typeof openLives>['live']>) =>
    mac.stateOf(session).number;

  test('rises with each change that its own edge makes of it, also as the device begins anew, and is kept', () => {
    const { live } = openLives();
    const first = live();
    expect(numberOf(first)).toBeUndefined();
    first.hear();
    expect(numberOf(first)).toBe(1);
    // the next uplink changes nothing that anybody is told
    first.hear();
    expect(numberOf(first)).toBe(1);
    first.mac.reset(first.session);
    expect(first.mac.stateOf(first.session)).toMatchObject({ number: 2, lives: 1 });
    first.hear();
    expect(numberOf(live())).toBe(3);
    // what it is told to begin with now is a change too
    const corrected = live({ reception: { rx1DelayS: 5 } });
    expect(corrected.mac.stateOf(corrected.session)).toMatchObject({ number: 4, lives: 2, rx1DelayS: 5 });
  });

  test('is that of the state which it began from where a service stands in for the device’s own edge', () => {
    const { live } = openLives();
    const own = live();
    own.hear();
    const guest = live({}, 'contract/c1/');
    for (let n = 0; n < 9; n++) guest.hear();
    guest.mac.reset(guest.session);
    expect(numberOf(guest)).toBe(1);
  });
});

test('battery and margin are asked for once a day, however often the service is started', () => {
  const { live, pass } = openLives();
  const askedAt: number[] = [];
  for (let start = 0; start < 40; start++) {
    const { hear } = live();
    if (hear().includes('devStatusReq')) askedAt.push(start);
    // it answers nothing, but that is not asking anew: until it is given up the request goes in each downlink
    while (hear().includes('devStatusReq'));
    pass(DAY_MS / 10);
  }
  expect(askedAt).toEqual([10, 20, 30]);
});
