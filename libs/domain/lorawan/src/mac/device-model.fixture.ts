import type { DownlinkMacCommand, MacRequest, ReceiveParameters, UplinkMacCommand } from '../index.ts';

/** A device's side of the MAC layer by the letter of LoRaWAN 1.0.4, for tests: it takes what it likes. */
export interface DeviceModel {
  readonly reception: () => Omit<ReceiveParameters, 'channels'> & {
    readonly moved: ReadonlyMap<number, number>;
  };
  /** Hz of each channel that is defined, and whether it is sent on. */
  readonly channels: () => ReadonlyMap<number, { readonly frequency: number; readonly enabled: boolean }>;
  readonly sending: () => { readonly dataRate: number; readonly txPower: number; readonly nbTrans: number };
  readonly maxDutyCycle: () => number;
  /** Answers for the next uplink: those that are repeated until a downlink was heard, and those that are sent once. */
  uplink(): UplinkMacCommand[];
  downlink(commands: readonly DownlinkMacCommand[]): void;
}

type Taken = Record<MacRequest['type'], boolean>;

export function deviceModel(takes: Taken): DeviceModel {
  let reception = { rx1DelayS: 1, rx1DrOffset: 0, rx2: { frequency: 869_525_000, dataRate: 0 } };
  const moved = new Map<number, number>();
  const channels = new Map(
    [868_100_000, 868_300_000, 868_500_000].map((frequency, i) => [i, { frequency, enabled: true }]),
  );
  let sending = { dataRate: 0, txPower: 0, nbTrans: 1 };
  let maxDutyCycle = 0;
  let repeated: UplinkMacCommand[] = [];
  let once: UplinkMacCommand[] = [];

  const doRadio = (command: DownlinkMacCommand): void => {
    if (command.type === 'linkADRReq') {
      const taken = takes.linkADRReq;
      once.push({ type: 'linkADRAns', powerAck: true, dataRateAck: taken, channelMaskAck: true });
      const { dataRate, txPower, nbTrans } = command;
      if (!taken) return;
      sending = { dataRate, txPower, nbTrans };
      for (const [i, channel] of channels)
        channels.set(i, { ...channel, enabled: (command.chMask & (1 << i)) !== 0 });
    } else if (command.type === 'newChannelReq') {
      once.push({ type: 'newChannelAns', dataRateRangeAck: takes.newChannelReq, channelFrequencyAck: true });
      const { chIndex, frequency } = command;
      if (!takes.newChannelReq) return;
      moved.delete(chIndex);
      if (frequency === 0) channels.delete(chIndex);
      else channels.set(chIndex, { frequency, enabled: true });
    } else if (command.type === 'devStatusReq') once.push({ type: 'devStatusAns', battery: 200, margin: 7 });
    else if (command.type === 'dutyCycleReq') {
      once.push({ type: 'dutyCycleAns' });
      maxDutyCycle = command.maxDutyCycle;
    }
  };
  const doReception = (command: DownlinkMacCommand): void => {
    if (command.type === 'rxParamSetupReq') {
      const taken = takes.rxParamSetupReq;
      repeated.push({
        type: 'rxParamSetupAns',
        rx1DrOffsetAck: taken,
        rx2DataRateAck: true,
        channelAck: true,
      });
      const { rx1DrOffset, frequency, rx2DataRate } = command;
      if (taken) reception = { ...reception, rx1DrOffset, rx2: { frequency, dataRate: rx2DataRate } };
    } else if (command.type === 'rxTimingSetupReq') {
      repeated.push({ type: 'rxTimingSetupAns' });
      reception = { ...reception, rx1DelayS: Math.max(1, command.delay) };
    } else if (command.type === 'dlChannelReq') {
      const channelFrequencyAck = takes.dlChannelReq;
      repeated.push({ type: 'dlChannelAns', uplinkFrequencyExists: true, channelFrequencyAck });
      if (channelFrequencyAck) moved.set(command.chIndex, command.frequency);
    }
  };
  return {
    reception: () => ({ ...reception, moved }),
    channels: () => channels,
    sending: () => sending,
    maxDutyCycle: () => maxDutyCycle,
    uplink() {
      const answers = [...repeated, ...once];
      once = [];
      return answers;
    },
    downlink(commands) {
      repeated = [];
      for (const command of commands) {
        doRadio(command);
        doReception(command);
      }
    },
  };
}
