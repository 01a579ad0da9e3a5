// Payloads of the MAC commands of LoRaWAN 1.0.4, chapters 5 and 12 to 14. Frequencies are in Hz; data rates, powers and
// channels are their numbers in the region's tables.

/** What a device sends. */
export type UplinkMacCommand =
  | { readonly type: 'linkCheckReq' }
  | {
      readonly type: 'linkADRAns';
      readonly powerAck: boolean;
      readonly dataRateAck: boolean;
      readonly channelMaskAck: boolean;
    }
  | { readonly type: 'dutyCycleAns' }
  | {
      readonly type: 'rxParamSetupAns';
      readonly rx1DrOffsetAck: boolean;
      readonly rx2DataRateAck: boolean;
      readonly channelAck: boolean;
    }
  /** Battery: 0 external power, 1 to 254 of its range, 255 unknown. Margin: dB, -32 to 31, SNR of the last DevStatusReq. */
  | { readonly type: 'devStatusAns'; readonly battery: number; readonly margin: number }
  | {
      readonly type: 'newChannelAns';
      readonly dataRateRangeAck: boolean;
      readonly channelFrequencyAck: boolean;
    }
  | { readonly type: 'rxTimingSetupAns' }
  | { readonly type: 'txParamSetupAns' }
  | {
      readonly type: 'dlChannelAns';
      readonly uplinkFrequencyExists: boolean;
      readonly channelFrequencyAck: boolean;
    }
  | { readonly type: 'deviceTimeReq' }
  /** A ping slot every 2^periodicity seconds. */
  | { readonly type: 'pingSlotInfoReq'; readonly periodicity: number }
  | {
      readonly type: 'pingSlotChannelAns';
      readonly dataRateAck: boolean;
      readonly channelFrequencyAck: boolean;
    }
  /** Up to 1.0.2. */
  | { readonly type: 'beaconTimingReq' }
  | { readonly type: 'beaconFreqAns'; readonly beaconFrequencyAck: boolean };

/** What a network server sends. */
export type DownlinkMacCommand =
  /** Margin: dB above what the demodulator needs, 0 to 254. */
  | { readonly type: 'linkCheckAns'; readonly margin: number; readonly gatewayCount: number }
  /** 15 for data rate or power means: as it is. */
  | {
      readonly type: 'linkADRReq';
      readonly dataRate: number;
      readonly txPower: number;
      /** Bit n for channel n of the block that `chMaskCntl` says. */
      readonly chMask: number;
      readonly chMaskCntl: number;
      readonly nbTrans: number;
    }
  /** 1/2^maxDutyCycle of the time, for all bands together. */
  | { readonly type: 'dutyCycleReq'; readonly maxDutyCycle: number }
  | {
      readonly type: 'rxParamSetupReq';
      readonly rx1DrOffset: number;
      readonly rx2DataRate: number;
      readonly frequency: number;
    }
  | { readonly type: 'devStatusReq' }
  /** A frequency of 0 switches the channel off. */
  | {
      readonly type: 'newChannelReq';
      readonly chIndex: number;
      readonly frequency: number;
      readonly minDataRate: number;
      readonly maxDataRate: number;
    }
  /** Seconds to RX1; 0 means 1. */
  | { readonly type: 'rxTimingSetupReq'; readonly delay: number }
  /** `maxEirp` is its number in the table of 5.8. */
  | {
      readonly type: 'txParamSetupReq';
      readonly downlinkDwellTime: boolean;
      readonly uplinkDwellTime: boolean;
      readonly maxEirp: number;
    }
  | { readonly type: 'dlChannelReq'; readonly chIndex: number; readonly frequency: number }
  /** GPS time at the end of the uplink: seconds since 1980-01-06 and 1/256 of one. */
  | { readonly type: 'deviceTimeAns'; readonly seconds: number; readonly fraction: number }
  | { readonly type: 'pingSlotInfoAns' }
  | { readonly type: 'pingSlotChannelReq'; readonly frequency: number; readonly dataRate: number }
  /** Up to 1.0.2. Delay to the next beacon in 30 ms. */
  | { readonly type: 'beaconTimingAns'; readonly delay: number; readonly channel: number }
  | { readonly type: 'beaconFreqReq'; readonly frequency: number };

export type MacCommand = UplinkMacCommand | DownlinkMacCommand;
