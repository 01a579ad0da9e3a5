// MAC commands as a mote of LoRaWAN 1.0.x reads and answers them: TS001-1.0.4, section 5; RP002-1.0.x, EU863-870.

/** LinkADRReq: data rate and TXPower 15 mean "as it is". */
export interface LinkAdrReq {
  readonly command: 'LinkADRReq';
  readonly dataRate: number;
  readonly txPower: number;
  readonly chMask: number;
  readonly chMaskCntl: number;
  readonly nbTrans: number;
}

/** What a network asks or tells. */
export type MacRequest =
  | LinkAdrReq
  | { readonly command: 'LinkCheckAns'; readonly margin: number; readonly gatewayCount: number }
  | { readonly command: 'DutyCycleReq'; readonly maxDutyCycle: number }
  | {
      readonly command: 'RXParamSetupReq';
      readonly rx1DrOffset: number;
      readonly rx2DataRate: number;
      readonly freqMhz: number;
    }
  | { readonly command: 'DevStatusReq' }
  | {
      readonly command: 'NewChannelReq';
      readonly index: number;
      readonly freqMhz: number;
      readonly slowest: number;
      readonly fastest: number;
    }
  | { readonly command: 'RXTimingSetupReq'; readonly delayS: number }
  | { readonly command: 'TXParamSetupReq' }
  | { readonly command: 'DlChannelReq'; readonly index: number; readonly freqMhz: number }
  | { readonly command: 'DeviceTimeAns'; readonly gpsSeconds: number };

/** Commands in their order; `unread` is what began with a command that no mote of 1.0.x knows, or was cut off. */
export interface MacRequests {
  readonly requests: readonly MacRequest[];
  readonly unread: Buffer;
}

interface Form {
  readonly size: number;
  readonly read: (bytes: Buffer) => MacRequest;
}

const frequency = (bytes: Buffer, offset: number): number => bytes.readUIntLE(offset, 3) / 10_000;
const high = (byte: number): number => byte >>> 4;
const low = (byte: number): number => byte & 0x0f;

const FORMS: ReadonlyMap<number, Form> = new Map<number, Form>([
  [
    0x02,
    {
      size: 2,
      read: (b) => ({ command: 'LinkCheckAns', margin: b.readUInt8(0), gatewayCount: b.readUInt8(1) }),
    },
  ],
  [
    0x03,
    {
      size: 4,
      read: (b) => ({
        command: 'LinkADRReq',
        dataRate: high(b.readUInt8(0)),
        txPower: low(b.readUInt8(0)),
        chMask: b.readUInt16LE(1),
        chMaskCntl: high(b.readUInt8(3)) & 0x07,
        nbTrans: low(b.readUInt8(3)),
      }),
    },
  ],
  [0x04, { size: 1, read: (b) => ({ command: 'DutyCycleReq', maxDutyCycle: low(b.readUInt8(0)) }) }],
  [
    0x05,
    {
      size: 4,
      read: (b) => ({
        command: 'RXParamSetupReq',
        rx1DrOffset: high(b.readUInt8(0)) & 0x07,
        rx2DataRate: low(b.readUInt8(0)),
        freqMhz: frequency(b, 1),
      }),
    },
  ],
  [0x06, { size: 0, read: () => ({ command: 'DevStatusReq' }) }],
  [
    0x07,
    {
      size: 5,
      read: (b) => ({
        command: 'NewChannelReq',
        index: b.readUInt8(0),
        freqMhz: frequency(b, 1),
        slowest: low(b.readUInt8(4)),
        fastest: high(b.readUInt8(4)),
      }),
    },
  ],
  [
    0x08,
    { size: 1, read: (b) => ({ command: 'RXTimingSetupReq', delayS: Math.max(1, low(b.readUInt8(0))) }) },
  ],
  [0x09, { size: 1, read: () => ({ command: 'TXParamSetupReq' }) }],
  [
    0x0a,
    { size: 4, read: (b) => ({ command: 'DlChannelReq', index: b.readUInt8(0), freqMhz: frequency(b, 1) }) },
  ],
  [0x0d, { size: 5, read: (b) => ({ command: 'DeviceTimeAns', gpsSeconds: b.readUInt32LE(0) }) }],
]);

/** Reads the commands of a downlink's FOpts, or of its FRMPayload on port 0. */
export function readMacRequests(bytes: Buffer): MacRequests {
  const requests: MacRequest[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    const form = FORMS.get(bytes.readUInt8(offset));
    const end = offset + 1 + (form?.size ?? Infinity);
    if (form === undefined || end > bytes.length) break;
    requests.push(form.read(bytes.subarray(offset + 1, end)));
    offset = end;
  }
  return { requests, unread: bytes.subarray(offset) };
}

/** A mote's answer; one that is `sticky` goes into every uplink until a downlink shows that the network has it. */
export interface MacAnswer {
  readonly bytes: Buffer;
  readonly sticky: boolean;
}

const bits = (...flags: readonly boolean[]): number =>
  flags.reduce((byte, flag, bit) => byte | (flag ? 1 << bit : 0), 0);
const once = (...bytes: readonly number[]): MacAnswer => ({ bytes: Buffer.from(bytes), sticky: false });
const sticky = (...bytes: readonly number[]): MacAnswer => ({ bytes: Buffer.from(bytes), sticky: true });

/** What a LinkADRReq block is judged by. */
export interface LinkAdrStatus {
  readonly channelMaskOk: boolean;
  readonly dataRateOk: boolean;
  readonly powerOk: boolean;
}

export const linkAdrAns = (status: LinkAdrStatus): MacAnswer =>
  once(0x03, bits(status.channelMaskOk, status.dataRateOk, status.powerOk));
export const dutyCycleAns = (): MacAnswer => once(0x04);
export const rxParamSetupAns = (
  channelOk: boolean,
  rx2DataRateOk: boolean,
  rx1DrOffsetOk: boolean,
): MacAnswer => sticky(0x05, bits(channelOk, rx2DataRateOk, rx1DrOffsetOk));
/** `battery` 1..254; `margin` in dB, -32..31. */
export const devStatusAns = (battery: number, margin: number): MacAnswer =>
  once(0x06, battery, Math.max(-32, Math.min(31, Math.round(margin))) & 0x3f);
export const newChannelAns = (frequencyOk: boolean, dataRatesOk: boolean): MacAnswer =>
  once(0x07, bits(frequencyOk, dataRatesOk));
export const rxTimingSetupAns = (): MacAnswer => sticky(0x08);
export const dlChannelAns = (frequencyOk: boolean, uplinkExists: boolean): MacAnswer =>
  sticky(0x0a, bits(frequencyOk, uplinkExists));
