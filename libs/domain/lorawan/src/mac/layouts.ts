import type { DownlinkMacCommand, MacCommand, UplinkMacCommand } from './commands.ts';
import {
  flag,
  frequency,
  int,
  lengthOf,
  reserved,
  uint,
  type Field,
  type Kind,
  type Reserved,
} from './fields.ts';

/** How a command is written: chapters 5 and 12 to 14 of LoRaWAN 1.0.4. */
export interface Layout {
  readonly cid: number;
  /** Bytes after the CID. */
  readonly length: number;
  /** Least significant bit first. */
  readonly fields: readonly (Field | Reserved)[];
}

type Values<Command> = Omit<Command, 'type'>;
type FieldOf<Command> = {
  [Name in keyof Values<Command>]: readonly [
    name: Name,
    kind: Kind<Values<Command>[Name] extends boolean ? boolean : number>,
  ];
}[keyof Values<Command>];

/** A command's fields by their names: one that it has not is an error of the compiler. */
type Lists<Command extends MacCommand> = {
  readonly [Type in Command['type']]: readonly [
    cid: number,
    ...fields: (FieldOf<Extract<Command, { readonly type: Type }>> | Reserved)[],
  ];
};

const layoutsOf = (
  lists: Readonly<Record<string, readonly [cid: number, ...fields: (Field | Reserved)[]]>>,
): Readonly<Record<string, Layout>> =>
  Object.fromEntries(
    Object.entries(lists).map(([type, [cid, ...fields]]) => [
      type,
      { cid, length: lengthOf(fields), fields },
    ]),
  );

const UPLINKS: Lists<UplinkMacCommand> = {
  linkCheckReq: [0x02],
  linkADRAns: [0x03, ['channelMaskAck', flag], ['dataRateAck', flag], ['powerAck', flag]],
  dutyCycleAns: [0x04],
  rxParamSetupAns: [0x05, ['channelAck', flag], ['rx2DataRateAck', flag], ['rx1DrOffsetAck', flag]],
  devStatusAns: [0x06, ['battery', uint(8)], ['margin', int(6)]],
  newChannelAns: [0x07, ['channelFrequencyAck', flag], ['dataRateRangeAck', flag]],
  rxTimingSetupAns: [0x08],
  txParamSetupAns: [0x09],
  dlChannelAns: [0x0a, ['channelFrequencyAck', flag], ['uplinkFrequencyExists', flag]],
  deviceTimeReq: [0x0d],
  pingSlotInfoReq: [0x10, ['periodicity', uint(3)]],
  pingSlotChannelAns: [0x11, ['channelFrequencyAck', flag], ['dataRateAck', flag]],
  beaconTimingReq: [0x12],
  beaconFreqAns: [0x13, ['beaconFrequencyAck', flag]],
};

const DOWNLINKS: Lists<DownlinkMacCommand> = {
  linkCheckAns: [0x02, ['margin', uint(8)], ['gatewayCount', uint(8)]],
  linkADRReq: [
    0x03,
    ['txPower', uint(4)],
    ['dataRate', uint(4)],
    ['chMask', uint(16)],
    ['nbTrans', uint(4)],
    ['chMaskCntl', uint(3)],
  ],
  dutyCycleReq: [0x04, ['maxDutyCycle', uint(4)]],
  rxParamSetupReq: [
    0x05,
    ['rx2DataRate', uint(4)],
    ['rx1DrOffset', uint(3)],
    reserved(1),
    ['frequency', frequency],
  ],
  devStatusReq: [0x06],
  newChannelReq: [
    0x07,
    ['chIndex', uint(8)],
    ['frequency', frequency],
    ['minDataRate', uint(4)],
    ['maxDataRate', uint(4)],
  ],
  rxTimingSetupReq: [0x08, ['delay', uint(4)]],
  txParamSetupReq: [0x09, ['maxEirp', uint(4)], ['uplinkDwellTime', flag], ['downlinkDwellTime', flag]],
  dlChannelReq: [0x0a, ['chIndex', uint(8)], ['frequency', frequency]],
  deviceTimeAns: [0x0d, ['seconds', uint(32)], ['fraction', uint(8)]],
  pingSlotInfoAns: [0x10],
  pingSlotChannelReq: [0x11, ['frequency', frequency], ['dataRate', uint(4)]],
  beaconTimingAns: [0x12, ['delay', uint(16)], ['channel', uint(8)]],
  beaconFreqReq: [0x13, ['frequency', frequency]],
};

export const UPLINK_LAYOUTS = layoutsOf(UPLINKS);
export const DOWNLINK_LAYOUTS = layoutsOf(DOWNLINKS);
