import { afterEach, expect, test } from '@jest/globals';
import { silentLog, type Bus } from '@antirio/host';
import { createHearingBook, NEIGHBOUR_HEARING_TOPIC } from '@antirio/service-contract';
import { marginBy, openNeighbours, type Neighbours } from './neighbours.ts';

const devAddr = '01000001';
let neighbours: Neighbours | undefined;
afterEach(() => neighbours?.close());

/** A bus of which only the subscription is used. */
async function listening() {
  let onMessage: (topic: string, payload: Uint8Array) => unknown = () => undefined;
  const time = { now: 0 };
  const bus = {
    subscribe: async (_filter: string, handler: typeof onMessage) => {
      onMessage = handler;
      return { close: async () => undefined };
    },
  } as unknown as Bus;
  neighbours = await openNeighbours({ bus, clock: { monotonic: () => time.now }, log: silentLog });
  const of = neighbours;
  const tell = (contract: string, message: unknown): unknown =>
    onMessage(
      `${NEIGHBOUR_HEARING_TOPIC}/${contract}/0`,
      Buffer.from(typeof message === 'string' ? message : JSON.stringify(message)),
    );
  return { of: (since: number) => of.marginOf(devAddr, since), tell, time };
}

test('a provider is believed to hear a device, or not to, by what it heard since the last change only', () => {
  const book = createHearingBook();
  for (let fcnt = 0; fcnt < 60; fcnt++) {
    book.sent(devAddr, fcnt);
    if (fcnt < 40) book.heard(devAddr, fcnt, fcnt === 39 ? 3 : -2);
  }
  const [told] = book.messages()[0]?.devices ?? [];
  if (told === undefined) throw new TypeError('nothing told');
  expect(told.heard).toHaveLength(20);
  expect(marginBy(told, 30)).toEqual({ heard: 'at', snr: 3 });
  expect(marginBy(told, 40)).toEqual({ heard: 'never' });
  expect(marginBy(told, 55)).toEqual({ heard: 'unknown' });
});

test('of several providers the one that hears it worst counts, as long as it is told of', async () => {
  const { of, tell, time } = await listening();
  expect(of(0)).toBeUndefined();
  tell('one', { devices: [{ devAddr, through: 20, heard: [[20, 7]] }] });
  tell('two', { devices: [{ devAddr, through: 20, heard: [[19, -4]] }] });
  expect(of(0)).toEqual({ heard: 'at', snr: -4 });
  tell('three', { devices: [{ devAddr, through: 20, heard: [] }] });
  expect(of(0)).toEqual({ heard: 'never' });
  tell('three', '');
  tell('two', 'no JSON');
  expect(of(0)).toEqual({ heard: 'at', snr: -4 });
  time.now = 600_001;
  expect(of(0)).toBeUndefined();
});
