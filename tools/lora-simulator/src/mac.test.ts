import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { MacRequest } from './mac-commands.ts';
import type { MacLayer } from './mac-layer.ts';
import type { MacParameters } from './mac-parameters.ts';
import type { MoteState } from './mac-rules.ts';
import { asksForDownlink, backedOff } from './adr-back-off.ts';
import { parseConfig } from './config.ts';
import { createDutyCycle } from './duty-cycle.ts';
import { readMacRequests } from './mac-commands.ts';
import { createMacLayer } from './mac-layer.ts';
import { factoryParameters, JOIN_CHANNELS, usableChannels } from './mac-parameters.ts';
import { answerRequests } from './mac-rules.ts';

const state: MoteState = { version: '1.0.4', battery: 200, snr: -7.6 };
const joined = factoryParameters(9, JOIN_CHANNELS);

function obey(
  hex: string,
  parameters: MacParameters = joined,
  changes: Partial<MoteState> = {},
): { answers: string; parameters: MacParameters } {
  const { requests } = readMacRequests(Buffer.from(hex, 'hex'));
  const result = answerRequests(requests, parameters, { ...state, ...changes });
  const answers = Buffer.concat(result.answers.map(({ bytes }) => bytes)).toString('hex');
  return { answers, parameters: result.parameters };
}

describe('commands', () => {
  test.each<[string, MacRequest]>([
    ['021403', { command: 'LinkCheckAns', margin: 20, gatewayCount: 3 }],
    [
      '0352ff0001',
      { command: 'LinkADRReq', dataRate: 5, txPower: 2, chMask: 0xff, chMaskCntl: 0, nbTrans: 1 },
    ],
    ['040a', { command: 'DutyCycleReq', maxDutyCycle: 10 }],
    ['0523d2ad84', { command: 'RXParamSetupReq', rx1DrOffset: 2, rx2DataRate: 3, freqMhz: 869.525 }],
    ['06', { command: 'DevStatusReq' }],
    ['0703184f8450', { command: 'NewChannelReq', index: 3, freqMhz: 867.1, slowest: 0, fastest: 5 }],
    ['0800', { command: 'RXTimingSetupReq', delayS: 1 }],
    ['0805', { command: 'RXTimingSetupReq', delayS: 5 }],
    ['0905', { command: 'TXParamSetupReq' }],
    ['0a03d2ad84', { command: 'DlChannelReq', index: 3, freqMhz: 869.525 }],
    ['0d0100000080', { command: 'DeviceTimeAns', gpsSeconds: 1 }],
  ])('%s is read', (hex, request) => {
    expect(readMacRequests(Buffer.from(hex, 'hex'))).toEqual({
      requests: [request],
      unread: Buffer.alloc(0),
    });
  });

  test('are read up to one that nobody knows or that is cut off', () => {
    const read = (hex: string): [number, string] => {
      const { requests, unread } = readMacRequests(Buffer.from(hex, 'hex'));
      return [requests.length, unread.toString('hex')];
    };
    expect(read('0606800102')).toEqual([2, '800102']);
    expect(read('06035000')).toEqual([1, '035000']);
  });
});

describe('LinkADRReq', () => {
  const ok = { parameters: { dataRate: 5, txPower: 2, nbTrans: 3 } };

  test('sets data rate, power, channels and NbTrans together', () => {
    expect(obey('0352050003')).toMatchObject({ answers: '0307', ...ok });
    const { channels } = obey('0352050003').parameters;
    expect(channels.map((channel) => channel?.enabled)).toEqual([true, false, true]);
  });

  test.each([
    ['a channel that the mote does not have', '0352080001', '0306'],
    ['no channel at all', '0352000001', '0306'],
    ['a mask for other channels than there are', '0352070011', '0306'],
    ['a data rate that it does not have', '0362070001', '0305'],
    ['a power that it does not have', '0358070001', '0303'],
  ])('with %s changes nothing, and says so', (_, hex, answers) => {
    expect(obey(hex)).toEqual({ answers, parameters: joined });
  });

  test('keeps what is 15, and all channels with ChMaskCntl 6', () => {
    const masked = obey('03ff010002').parameters;
    expect(masked).toMatchObject({ dataRate: 3, txPower: 0, nbTrans: 2 });
    expect(usableChannels(masked)).toHaveLength(1);
    expect(usableChannels(obey('03ff000061', masked).parameters)).toHaveLength(3);
  });

  test('with NbTrans 0 keeps it in 1.0.4, and means one in 1.0.3', () => {
    const thrice = obey('0352070003').parameters;
    expect(obey('0352070000', thrice).parameters.nbTrans).toBe(3);
    expect(obey('0352070000', thrice, { version: '1.0.3' }).parameters.nbTrans).toBe(1);
  });

  test('in a block is one: an answer for each, all the same, the last rules', () => {
    expect(obey('0310010001' + '0352020002')).toMatchObject({
      answers: '03070307',
      parameters: { dataRate: 5, txPower: 2, nbTrans: 2 },
    });
    expect(obey('0310080001' + '0352020002')).toEqual({ answers: '03060306', parameters: joined });
    // Another command between them makes two blocks.
    expect(obey('0310080001' + '06' + '0352020002')).toMatchObject({
      answers: '0306' + '06c838' + '0307',
      parameters: { dataRate: 5 },
    });
  });
});

describe('other commands', () => {
  test('set the windows', () => {
    expect(obey('0523d2ad84')).toMatchObject({
      answers: '0507',
      parameters: { reception: { rx1DrOffset: 2, rx2: { freqMhz: 869.525, datr: 'SF9BW125' } } },
    });
    expect(obey('0805')).toMatchObject({
      answers: '08',
      parameters: { reception: { rx1DelayMs: 5_000, rx2DelayMs: 6_000 } },
    });
    // Each of offset, data rate and frequency wrong: nothing changes.
    expect(obey('0563d2ad84')).toEqual({ answers: '0503', parameters: joined });
    expect(obey('0527d2ad84')).toEqual({ answers: '0505', parameters: joined });
    expect(obey('0523000000')).toEqual({ answers: '0506', parameters: joined });
  });

  test('make and remove channels, but never the default ones', () => {
    const more = obey('0703184f8450');
    expect(more).toMatchObject({ answers: '0703' });
    expect(more.parameters.channels[3]).toMatchObject({ freqMhz: 867.1, fastest: 5, enabled: true });
    expect(obey('070300000050', more.parameters).parameters.channels[3]).toBeUndefined();
    for (const [hex, answers] of [
      ['0702184f8450', '0700'],
      ['0710184f8450', '0700'],
      ['0703010000' + '50', '0702'],
      ['0703184f8405', '0701'],
      ['0703184f8460', '0701'],
    ] as const) {
      expect(obey(hex)).toEqual({ answers, parameters: joined });
    }
  });

  test('move RX1 of a channel elsewhere', () => {
    expect(obey('0a01d2ad84')).toMatchObject({ answers: '0a03' });
    expect(obey('0a01d2ad84').parameters.channels[1]?.downlinkMhz).toBe(869.525);
    expect(obey('0a09d2ad84')).toEqual({ answers: '0a01', parameters: joined });
    expect(obey('0a01010000')).toEqual({ answers: '0a02', parameters: joined });
  });

  test('ask for battery and margin, limit the duty cycle, or say nothing to EU868', () => {
    expect(obey('06').answers).toBe('06c838');
    expect(obey('06', joined, { snr: 99 }).answers).toBe('06c81f');
    expect(obey('06', joined, { snr: -99 }).answers).toBe('06c820');
    expect(obey('0404')).toMatchObject({ answers: '04', parameters: { maxDutyCycle: 4 } });
    expect(obey('0905')).toEqual({ answers: '', parameters: joined });
    expect(obey('020101' + '0d0100000080')).toEqual({ answers: '', parameters: joined });
  });
});

test('whatever a network sends, a mote keeps a channel, a data rate and windows that it has', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 6 }),
      fc.constantFrom('1.0.3' as const, '1.0.4' as const),
      (downlinks, version) => {
        let parameters = joined;
        for (const bytes of downlinks) {
          const { requests, unread } = readMacRequests(Buffer.from(bytes));
          expect(unread.length).toBeLessThanOrEqual(bytes.length);
          parameters = answerRequests(requests, parameters, { ...state, version }).parameters;
        }
        expect(parameters.dataRate).toBeLessThanOrEqual(5);
        expect(parameters.txPower).toBeLessThanOrEqual(7);
        expect(parameters.nbTrans).toBeGreaterThanOrEqual(1);
        expect(parameters.channels.length).toBeLessThanOrEqual(16);
        expect(parameters.channels.slice(0, 3)).not.toContain(undefined);
        expect(parameters.reception.rx2DelayMs - parameters.reception.rx1DelayMs).toBe(1_000);
        expect(parameters.reception.rx1DrOffset).toBeLessThanOrEqual(5);
      },
    ),
    { seed: 5, numRuns: 2_000 },
  );
});

describe('a MAC layer', () => {
  const config = parseConfig({ gateways: [{ id: '00000000000000aa', port: 1700 }], mac: 'answered' });
  const layer = (): MacLayer => createMacLayer(joined, config);
  const down = (fOpts: string, changes: object = {}) => ({
    ...{ fOpts: Buffer.from(fOpts, 'hex'), fPort: null, payload: Buffer.alloc(0), fPending: false },
    ...{ snr: 5, battery: 254 },
    ...changes,
  });
  const answersOf = (mac: MacLayer): string => mac.takeAnswers().toString('hex');

  test('says most answers once, and those on windows until a downlink comes', () => {
    const mac = layer();
    expect(mac.receive(down('06' + '0802' + '0523d2ad84'))).toMatchObject({
      answers: '06fe05' + '08' + '0507',
    });
    expect([answersOf(mac), answersOf(mac), answersOf(mac)]).toEqual(['06fe05080507', '080507', '080507']);
    mac.receive(down('06'));
    expect([answersOf(mac), answersOf(mac)]).toEqual(['06fe05', '']);
  });

  test('keeps an answer that no uplink has carried yet', () => {
    const mac = layer();
    mac.receive(down('0802'));
    mac.receive(down(''));
    expect(answersOf(mac)).toBe('08');
  });

  test('takes commands from port 0 as well, but never from both places', () => {
    const mac = layer();
    expect(mac.receive(down('', { fPort: 0, payload: Buffer.from('06', 'hex') }))).toMatchObject({
      requests: [{ command: 'DevStatusReq' }],
    });
    expect(mac.receive(down('06', { fPort: 0, payload: Buffer.from('06', 'hex') }))).toBeUndefined();
    expect(mac.receive(down('', { fPort: 2, payload: Buffer.from('06', 'hex') }))).toBeUndefined();
  });

  test('wants a window where FPending is set, once', () => {
    const mac = layer();
    mac.receive(down('', { fPending: true }));
    expect([mac.takePoll(), mac.takePoll()]).toEqual([true, false]);
  });

  test('leaves out what no frame can hold', () => {
    const mac = layer();
    mac.receive(down('', { fPort: 0, payload: Buffer.alloc(200, 6) }));
    expect(mac.takeAnswers()).toHaveLength(51);
    mac.receive(down('', { fPort: 0, payload: Buffer.from(`08${'06'.repeat(30)}`, 'hex') }));
    expect(mac.takeAnswers()).toHaveLength(49);
    expect(answersOf(mac)).toBe('08');
  });

  test('that only records does nothing', () => {
    const mac = createMacLayer(joined, { ...config, mac: 'recorded' });
    expect(mac.receive(down('0352050003', { fPending: true }))).toBeUndefined();
    expect([answersOf(mac), mac.takePoll(), mac.parameters]).toEqual(['', false, joined]);
    expect([mac.beforeUplink(true, 63), mac.beforeUplink(true, 64)]).toEqual([false, true]);
    expect(mac.beforeUplink(false, 64)).toBe(false);
  });
});

describe('without downlinks', () => {
  const patience = { limit: 64, delay: 32 };
  const fast = { ...obey('0352010003').parameters, txPower: 4 };
  const after = (uplinks: number, parameters = fast): MacParameters => {
    let current = parameters;
    for (let silent = 0; silent <= uplinks; silent += 1) current = backedOff(current, silent, patience);
    return current;
  };

  test('a mote asks after 64 uplinks, then gains power, then slows down, then takes all channels', () => {
    expect(after(95)).toEqual(fast);
    expect(after(96)).toEqual({ ...fast, txPower: 0 });
    expect(after(127)).toEqual({ ...fast, txPower: 0 });
    expect(after(128)).toMatchObject({ dataRate: 4, txPower: 0 });
    expect(after(96 + 5 * 32)).toMatchObject({ dataRate: 0, nbTrans: 3 });
    const last = after(96 + 6 * 32);
    expect(last).toMatchObject({ dataRate: 0, nbTrans: 1 });
    expect(usableChannels(last)).toHaveLength(3);
    expect(after(1_000)).toEqual(last);
    expect([63, 64].map((silent) => asksForDownlink(fast, silent, patience, '1.0.4'))).toEqual([false, true]);
  });

  test('a mote that can do no more asks on in 1.0.4, and no more in 1.0.3', () => {
    const slow = factoryParameters(12, JOIN_CHANNELS);
    expect(asksForDownlink(slow, 500, patience, '1.0.4')).toBe(true);
    expect(asksForDownlink(slow, 500, patience, '1.0.3')).toBe(false);
    expect(asksForDownlink({ ...slow, txPower: 1 }, 500, patience, '1.0.3')).toBe(true);
  });
});

test('the law keeps each band silent after a transmission, a network the whole mote', () => {
  const lawful = createDutyCycle(true);
  lawful.spend(868.1, 1_000, 60, 0);
  expect(lawful.freeAt(868.5)).toBe(7_000);
  expect(lawful.freeAt(867.1)).toBe(-Infinity);
  lawful.spend(867.1, 1_000, 60, 4);
  expect(lawful.freeAt(869.525)).toBe(1_960);
  const free = createDutyCycle(false);
  free.spend(868.1, 1_000, 60, 0);
  expect(free.freeAt(868.1)).toBe(-Infinity);
  free.spend(868.1, 1_000, 60, 1);
  expect(free.freeAt(867.1)).toBe(1_120);
});
