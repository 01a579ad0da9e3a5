import { describe, expect, jest, test } from '@jest/globals';
import { isAntirioError } from '@antirio/kernel';
import { deviceProfile } from '@antirio/edgex-contracts';
import { parseDevEui, parseSessionId } from '@antirio/lorawan';
import { openStore } from '../database.ts';
import { downlinkPayload } from './payload.ts';
import { judgeOutcomes, planAnswer } from './plan.ts';
import { createDownlinkStore, type Downlink } from './store.ts';

const devEui = parseDevEui('0102030405060708');
const base: Downlink = {
  id: 1,
  devEui,
  resource: 'interval',
  fPort: 1,
  payload: Uint8Array.of(1),
  confirmed: true,
  isEncrypted: false,
  state: 'queued',
  attempts: 0,
  fcnt: undefined,
  bytes: undefined,
  session: undefined,
  after: undefined,
  tenure: undefined,
  aloneAfter: undefined,
  ackHeard: false,
  entrusted: false,
  given: undefined,
  createdAt: 0,
  updatedAt: 0,
  error: undefined,
};
const bytes = Uint8Array.of(0x60);

describe('what answers an uplink', () => {
  test('what is on its way goes again with its own bytes before anything new', () => {
    const underWay: Downlink = { ...base, id: 2, state: 'sent', attempts: 1, fcnt: 5, bytes };
    expect(planAnswer([underWay, base], true).answer).toMatchObject({ kind: 'repeat', downlink: { id: 2 } });
    expect(planAnswer([base], true).answer).toMatchObject({ kind: 'send', downlink: { id: 1 } });
    expect(planAnswer([], true).answer).toEqual({ kind: 'empty' });
    expect(planAnswer([], false).answer).toEqual({ kind: 'none' });
  });

  test('after three times on air a confirmed downlink is given up, and the next one goes', () => {
    const tired: Downlink = { ...base, id: 2, state: 'sent', attempts: 3, fcnt: 5, bytes };
    expect(planAnswer([tired, base], false)).toMatchObject({
      givenUp: [{ id: 2 }],
      answer: { kind: 'send', downlink: { id: 1 } },
    });
  });

  test('the bridge’s outcomes: on air, again with the same bytes, or only under a new counter', () => {
    expect(judgeOutcomes([{ status: 'TOO_LATE' }, { status: 'OK' }])).toEqual({ kind: 'onAir' });
    expect(
      judgeOutcomes([{ status: 'INTERNAL_ERROR', refused: 'noTxAck' }, { status: 'IGNORED' }]).kind,
    ).toBe('onAir');
    expect(judgeOutcomes([{ status: 'TOO_LATE' }, { status: 'TOO_LATE' }])).toEqual({
      kind: 'again',
      why: 'TOO_LATE',
    });
    expect(judgeOutcomes([{ status: 'INTERNAL_ERROR', refused: 'leaseEnded' }])).toEqual({
      kind: 'again',
      why: 'leaseEnded',
    });
    expect(judgeOutcomes([{ status: 'INTERNAL_ERROR', refused: 'noBlock' }])).toEqual({
      kind: 'newCounter',
      why: 'noBlock',
    });
    expect(judgeOutcomes([])).toEqual({ kind: 'again', why: 'no outcome', isUnsure: true });
  });
});

describe('downlinks on the disk', () => {
  test('keep their states, bytes and counters; a counter only rises', () => {
    const store = createDownlinkStore(openStore(':memory:'));
    const first = store.add(base, 100);
    expect(first).toMatchObject({
      state: 'queued',
      attempts: 0,
      createdAt: 100,
      payload: Uint8Array.of(1),
      bytes: undefined,
      session: undefined,
    });
    const session = parseSessionId('00112233445566aa');
    store.assign('01000001', 17, { id: first.id, bytes, session }, 200);
    store.assign('01000001', 3, undefined, 200);
    expect(store.highestUsed('01000001')).toBe(17);
    expect(store.open(devEui)).toMatchObject([{ state: 'sending', fcnt: 17, bytes, session }]);
    store.update(first.id, { state: 'sent', attempts: 1 }, 300);
    expect(store.open(devEui)).toMatchObject([{ state: 'sent', updatedAt: 300 }]);
    store.requeue(first.id, 'noBlock', 400);
    expect(store.open(devEui)).toMatchObject([
      { state: 'queued', fcnt: undefined, bytes: undefined, session: undefined, error: 'noBlock' },
    ]);
    store.update(first.id, { state: 'acknowledged' }, 500);
    expect(store.open(devEui)).toEqual([]);
    expect(store.latest(devEui, 5)).toMatchObject([{ state: 'acknowledged' }]);
  });

  test('an unconfirmed one is over once it is on air, and old ones are not kept for ever', () => {
    const store = createDownlinkStore(openStore(':memory:'));
    for (let i = 0; i < 80; i++) {
      const { id } = store.add({ ...base, confirmed: false }, i);
      store.update(id, { state: 'sent' }, i);
    }
    expect(store.open(devEui)).toEqual([]);
    expect(store.latest(devEui, 100).length).toBeLessThanOrEqual(51);
  });
});

describe('the bytes of a written value', () => {
  const resource = (valueType: string, attributes?: Record<string, unknown>) => {
    const profile = deviceProfile.parse({
      name: 'p',
      deviceResources: [
        {
          name: 'r',
          // EdgeX has no binary values that are written
          properties: { valueType, readWrite: valueType === 'Binary' ? 'R' : 'W' },
          ...(attributes === undefined ? {} : { attributes }),
        },
      ],
    });
    const { name, properties, attributes: given } = profile.deviceResources![0]!;
    return { name, valueType: properties.valueType, attributes: given };
  };
  const hexOf = (valueType: string, value: unknown, attributes?: Record<string, unknown>) =>
    Buffer.from(downlinkPayload(resource(valueType, attributes), value).payload).toString('hex');

  test('numbers most significant byte first, text as its digits say, binary as base64', () => {
    expect(hexOf('Uint16', '300')).toBe('012c');
    expect(hexOf('Int8', -2)).toBe('fe');
    expect(hexOf('Bool', true)).toBe('01');
    expect(hexOf('Float32', '1.5')).toBe('3fc00000');
    expect(hexOf('Uint64', '18446744073709551615')).toBe('ffffffffffffffff');
    expect(hexOf('String', '0a0b')).toBe('0a0b');
    expect(hexOf('String', 'on', { encoding: 'utf8' })).toBe('6f6e');
    expect(hexOf('Binary', 'AQI=')).toBe('0102');
    expect(hexOf('Object', { payload: 'ff', fPort: 3, confirmed: true })).toBe('ff');
    expect(hexOf('Object', 'ff')).toBe('ff');
  });

  test('port and confirmation as the attributes say', () => {
    expect(downlinkPayload(resource('Uint8', { fPort: '10', confirmed: 'true' }), 1)).toMatchObject({
      fPort: 10,
      confirmed: true,
    });
    expect(downlinkPayload(resource('Uint8'), 1)).toMatchObject({ fPort: 1, confirmed: false });
  });

  test('what is no value of the type is refused', () => {
    const wrong: [string, unknown, Record<string, unknown>?][] = [
      ['Uint8', '256'],
      ['Uint8', 'x'],
      ['Uint8', null],
      ['String', '0g'],
      ['Binary', '?'],
      ['Object', { payload: 'zz' }],
      ['Object', { fPort: 0 }],
      ['Object', { other: 1 }],
      ['Uint8', 1, { fPort: 300 }],
      ['Uint8Array', '[1]'],
    ];
    for (const [type, value, attributes] of wrong)
      try {
        hexOf(type, value, attributes);
        throw new Error(`accepted ${type} ${JSON.stringify(value)}`);
      } catch (error) {
        expect(isAntirioError(error)).toBe(true);
      }
  });
});

test('which devices have something waiting is told without a look at all that is kept', () => {
  const db = openStore(':memory:');
  const prepare = jest.spyOn(db, 'prepare');
  createDownlinkStore(db);
  const queries = prepare.mock.calls.map(([sql]) => sql).filter((sql) => sql.includes('DISTINCT'));
  prepare.mockRestore();
  expect(queries).toHaveLength(2);
  for (const query of queries) {
    const plan = db.prepare(`EXPLAIN QUERY PLAN ${query}`).all();
    expect(plan.map((row) => String(row['detail']))).toEqual([
      expect.stringContaining('INDEX downlink_open'),
    ]);
  }
});
