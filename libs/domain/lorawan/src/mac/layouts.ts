import { AntirioError } from '@antirio/kernel';
import type { DownlinkMacCommand, MacCommand, UplinkMacCommand } from './commands.ts';
import type { FieldReader, FieldWriter } from './fields.ts';

export interface Layout<Command extends MacCommand> {
  readonly cid: number;
  /** Bytes after the CID. */
  readonly length: number;
  read(from: FieldReader): Command;
  write(command: Command, to: FieldWriter): void;
}

type Layouts<Command extends MacCommand> = {
  readonly [Type in Command['type']]: Layout<Extract<Command, { readonly type: Type }>>;
};

const bare = <Command extends MacCommand>(cid: number, command: Command): Layout<Command> => ({
  cid,
  length: 0,
  read: () => command,
  write: () => undefined,
});

/** Six bits, two's complement. */
const marginOf = (bits: number): number => (bits >= 32 ? bits - 64 : bits);

function marginBits(margin: number): number {
  if (!Number.isInteger(margin) || margin < -32 || margin > 31)
    throw new AntirioError('invalidInput', `DevStatusAns: a margin is -32 to 31 dB, not ${margin}`);
  return margin & 0x3f;
}

export const UPLINK_LAYOUTS: Layouts<UplinkMacCommand> = {
  linkCheckReq: bare(0x02, { type: 'linkCheckReq' }),
  linkADRAns: {
    cid: 0x03,
    length: 1,
    read: (from) => ({
      type: 'linkADRAns',
      powerAck: from.flag(0, 2),
      dataRateAck: from.flag(0, 1),
      channelMaskAck: from.flag(0, 0),
    }),
    write(command, to) {
      to.flag(0, 2, command.powerAck);
      to.flag(0, 1, command.dataRateAck);
      to.flag(0, 0, command.channelMaskAck);
    },
  },
  dutyCycleAns: bare(0x04, { type: 'dutyCycleAns' }),
  rxParamSetupAns: {
    cid: 0x05,
    length: 1,
    read: (from) => ({
      type: 'rxParamSetupAns',
      rx1DrOffsetAck: from.flag(0, 2),
      rx2DataRateAck: from.flag(0, 1),
      channelAck: from.flag(0, 0),
    }),
    write(command, to) {
      to.flag(0, 2, command.rx1DrOffsetAck);
      to.flag(0, 1, command.rx2DataRateAck);
      to.flag(0, 0, command.channelAck);
    },
  },
  devStatusAns: {
    cid: 0x06,
    length: 2,
    read: (from) => ({
      type: 'devStatusAns',
      battery: from.byte(0),
      margin: marginOf(from.bits(1, 0, 6)),
    }),
    write(command, to) {
      to.uint(0, 1, command.battery);
      to.bits(1, 0, 6, marginBits(command.margin));
    },
  },
  newChannelAns: {
    cid: 0x07,
    length: 1,
    read: (from) => ({
      type: 'newChannelAns',
      dataRateRangeAck: from.flag(0, 1),
      channelFrequencyAck: from.flag(0, 0),
    }),
    write(command, to) {
      to.flag(0, 1, command.dataRateRangeAck);
      to.flag(0, 0, command.channelFrequencyAck);
    },
  },
  rxTimingSetupAns: bare(0x08, { type: 'rxTimingSetupAns' }),
  txParamSetupAns: bare(0x09, { type: 'txParamSetupAns' }),
  dlChannelAns: {
    cid: 0x0a,
    length: 1,
    read: (from) => ({
      type: 'dlChannelAns',
      uplinkFrequencyExists: from.flag(0, 1),
      channelFrequencyAck: from.flag(0, 0),
    }),
    write(command, to) {
      to.flag(0, 1, command.uplinkFrequencyExists);
      to.flag(0, 0, command.channelFrequencyAck);
    },
  },
  deviceTimeReq: bare(0x0d, { type: 'deviceTimeReq' }),
  pingSlotInfoReq: {
    cid: 0x10,
    length: 1,
    read: (from) => ({ type: 'pingSlotInfoReq', periodicity: from.bits(0, 0, 3) }),
    write: (command, to) => {
      to.bits(0, 0, 3, command.periodicity);
    },
  },
  pingSlotChannelAns: {
    cid: 0x11,
    length: 1,
    read: (from) => ({
      type: 'pingSlotChannelAns',
      dataRateAck: from.flag(0, 1),
      channelFrequencyAck: from.flag(0, 0),
    }),
    write(command, to) {
      to.flag(0, 1, command.dataRateAck);
      to.flag(0, 0, command.channelFrequencyAck);
    },
  },
  beaconTimingReq: bare(0x12, { type: 'beaconTimingReq' }),
  beaconFreqAns: {
    cid: 0x13,
    length: 1,
    read: (from) => ({ type: 'beaconFreqAns', beaconFrequencyAck: from.flag(0, 0) }),
    write: (command, to) => {
      to.flag(0, 0, command.beaconFrequencyAck);
    },
  },
};

export const DOWNLINK_LAYOUTS: Layouts<DownlinkMacCommand> = {
  linkCheckAns: {
    cid: 0x02,
    length: 2,
    read: (from) => ({ type: 'linkCheckAns', margin: from.byte(0), gatewayCount: from.byte(1) }),
    write(command, to) {
      to.uint(0, 1, command.margin);
      to.uint(1, 1, command.gatewayCount);
    },
  },
  linkADRReq: {
    cid: 0x03,
    length: 4,
    read: (from) => ({
      type: 'linkADRReq',
      dataRate: from.bits(0, 4, 4),
      txPower: from.bits(0, 0, 4),
      chMask: from.uint(1, 2),
      chMaskCntl: from.bits(3, 4, 3),
      nbTrans: from.bits(3, 0, 4),
    }),
    write(command, to) {
      to.bits(0, 4, 4, command.dataRate);
      to.bits(0, 0, 4, command.txPower);
      to.uint(1, 2, command.chMask);
      to.bits(3, 4, 3, command.chMaskCntl);
      to.bits(3, 0, 4, command.nbTrans);
    },
  },
  dutyCycleReq: {
    cid: 0x04,
    length: 1,
    read: (from) => ({ type: 'dutyCycleReq', maxDutyCycle: from.bits(0, 0, 4) }),
    write: (command, to) => {
      to.bits(0, 0, 4, command.maxDutyCycle);
    },
  },
  rxParamSetupReq: {
    cid: 0x05,
    length: 4,
    read: (from) => ({
      type: 'rxParamSetupReq',
      rx1DrOffset: from.bits(0, 4, 3),
      rx2DataRate: from.bits(0, 0, 4),
      frequency: from.frequency(1),
    }),
    write(command, to) {
      to.bits(0, 4, 3, command.rx1DrOffset);
      to.bits(0, 0, 4, command.rx2DataRate);
      to.frequency(1, command.frequency);
    },
  },
  devStatusReq: bare(0x06, { type: 'devStatusReq' }),
  newChannelReq: {
    cid: 0x07,
    length: 5,
    read: (from) => ({
      type: 'newChannelReq',
      chIndex: from.byte(0),
      frequency: from.frequency(1),
      minDataRate: from.bits(4, 0, 4),
      maxDataRate: from.bits(4, 4, 4),
    }),
    write(command, to) {
      to.uint(0, 1, command.chIndex);
      to.frequency(1, command.frequency);
      to.bits(4, 0, 4, command.minDataRate);
      to.bits(4, 4, 4, command.maxDataRate);
    },
  },
  rxTimingSetupReq: {
    cid: 0x08,
    length: 1,
    read: (from) => ({ type: 'rxTimingSetupReq', delay: from.bits(0, 0, 4) }),
    write: (command, to) => {
      to.bits(0, 0, 4, command.delay);
    },
  },
  txParamSetupReq: {
    cid: 0x09,
    length: 1,
    read: (from) => ({
      type: 'txParamSetupReq',
      downlinkDwellTime: from.flag(0, 5),
      uplinkDwellTime: from.flag(0, 4),
      maxEirp: from.bits(0, 0, 4),
    }),
    write(command, to) {
      to.flag(0, 5, command.downlinkDwellTime);
      to.flag(0, 4, command.uplinkDwellTime);
      to.bits(0, 0, 4, command.maxEirp);
    },
  },
  dlChannelReq: {
    cid: 0x0a,
    length: 4,
    read: (from) => ({ type: 'dlChannelReq', chIndex: from.byte(0), frequency: from.frequency(1) }),
    write(command, to) {
      to.uint(0, 1, command.chIndex);
      to.frequency(1, command.frequency);
    },
  },
  deviceTimeAns: {
    cid: 0x0d,
    length: 5,
    read: (from) => ({ type: 'deviceTimeAns', seconds: from.uint(0, 4), fraction: from.byte(4) }),
    write(command, to) {
      to.uint(0, 4, command.seconds);
      to.uint(4, 1, command.fraction);
    },
  },
  pingSlotInfoAns: bare(0x10, { type: 'pingSlotInfoAns' }),
  pingSlotChannelReq: {
    cid: 0x11,
    length: 4,
    read: (from) => ({
      type: 'pingSlotChannelReq',
      frequency: from.frequency(0),
      dataRate: from.bits(3, 0, 4),
    }),
    write(command, to) {
      to.frequency(0, command.frequency);
      to.bits(3, 0, 4, command.dataRate);
    },
  },
  beaconTimingAns: {
    cid: 0x12,
    length: 3,
    read: (from) => ({ type: 'beaconTimingAns', delay: from.uint(0, 2), channel: from.byte(2) }),
    write(command, to) {
      to.uint(0, 2, command.delay);
      to.uint(2, 1, command.channel);
    },
  },
  beaconFreqReq: {
    cid: 0x13,
    length: 3,
    read: (from) => ({ type: 'beaconFreqReq', frequency: from.frequency(0) }),
    write: (command, to) => {
      to.frequency(0, command.frequency);
    },
  },
};
