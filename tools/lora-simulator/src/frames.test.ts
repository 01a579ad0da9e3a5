import { describe, expect, test } from '@jest/globals';
import { encodeLpp } from './cayenne-lpp.ts';
import { airtimeMs, spreadingFactorOf } from './eu868.ts';
import { buildUplink, decryptFrame, micVerifies, readDownlinkHeader } from './frames.ts';

const keys = {
  nwkSKey: Buffer.from('44024241ed4ce9a68c6a8bc055233fd3', 'hex'),
  appSKey: Buffer.from('ec925802ae430ca77fd3dd73cb2cc588', 'hex'),
};
const fields = {
  devAddr: Buffer.from('49be7df1', 'hex'),
  fcnt: 2,
  fPort: 1,
  payload: Buffer.from('test'),
  confirmed: false,
  adr: false,
  adrAckReq: false,
  ack: false,
};

test('an uplink is what the known example of lora-packet says', () => {
  expect(buildUplink(keys, fields).toString('hex')).toBe('40f17dbe4900020001954378762b11ff0d');
});

test.each([0, 1, 0xffff, 0x1_0000, 0xfffe_ffff, 0xffff_ffff])(
  'counter %i goes into MIC and cipher with all its 32 bits',
  (fcnt) => {
    const phyPayload = buildUplink(keys, { ...fields, fcnt });
    expect(phyPayload.readUInt16LE(6)).toBe(fcnt & 0xffff);
    expect(micVerifies(phyPayload, keys.nwkSKey, fcnt)).toBe(true);
    expect(micVerifies(phyPayload, keys.nwkSKey, (fcnt + 0x1_0000) % 0x1_0000_0000)).toBe(false);
    expect(decryptFrame(phyPayload, keys, fcnt).toString()).toBe('test');
  },
);

test('MType and FCtrl carry what the mote says', () => {
  const plain = buildUplink(keys, fields);
  const loud = buildUplink(keys, { ...fields, confirmed: true, adr: true, adrAckReq: true, ack: true });
  expect([plain[0], plain[5]]).toEqual([0x40, 0x00]);
  expect([loud[0], loud[5]]).toEqual([0x80, 0xe0]);
});

describe('a downlink header', () => {
  test('is read without keys', () => {
    const phyPayload = Buffer.from('6028240701a20000020395ddeab48b2dd85fa41ae89e', 'hex');
    expect(readDownlinkHeader(phyPayload)).toEqual({
      devAddr: '01072428',
      fcnt16: 0,
      confirmed: false,
      ack: true,
      fPending: false,
      fOpts: '0203',
      fPort: 0x95,
    });
  });

  test.each([
    ['nothing', ''],
    ['an uplink', '40f17dbe4900020001954378762b11ff0d'],
    ['a join accept', '203df1cef5fc494ac5df21aba1cb1cb43c06e4323d'],
    ['a frame shorter than its FOpts say', '60282407010f000002030405060708'],
  ])('is not made of %s', (_, hex) => {
    expect(readDownlinkHeader(Buffer.from(hex, 'hex'))).toBeUndefined();
  });
});

test('time on air is that of the Semtech formula', () => {
  expect(airtimeMs(7, 23, true)).toBeCloseTo(61.696, 3);
  expect(airtimeMs(12, 23, true)).toBeCloseTo(1_482.752, 3);
  expect(spreadingFactorOf('SF9BW125')).toBe(9);
  expect(spreadingFactorOf('SF9BW250')).toBeUndefined();
});

test('readings are Cayenne LPP', () => {
  const bytes = encodeLpp({ temperatureC: -4.1, humidityPercent: 55.5, batteryVolt: 3.61 });
  expect(bytes.toString('hex')).toBe('0167ffd702686f03020169');
});
