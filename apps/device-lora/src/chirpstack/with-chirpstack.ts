import type { DevEui } from '@antirio/lorawan';
import type { DownlinkSender } from '../downlink/sender.ts';
import type { DeviceOptions } from '../options.ts';
import type { South } from '../south.ts';
import type { ChirpStack } from './chirpstack.ts';

interface Asked {
  readonly sender: Pick<DownlinkSender, 'queue'>;
  readonly waitOf: South['waitOf'];
  /** @throws AntirioError where nothing may be sent to the device now. */
  readonly checkMaySend: (device: DeviceOptions, isEncrypted?: boolean) => void;
}

/** Downlinks of both networks: each device's go where it is answered. */
export function withChirpStack(south: South, chirpStack: ChirpStack | undefined): Asked {
  const checkMaySend: Asked['checkMaySend'] = (device, isEncrypted) =>
    south.activation.checkMaySend(device, isEncrypted);
  if (chirpStack === undefined) return { sender: south.sender, waitOf: south.waitOf, checkMaySend };
  const { downlinks } = chirpStack;
  const theirs = new Set<DevEui>(chirpStack.devices.map(({ devEui }) => devEui));
  const isTheirs = ({ devEui }: Pick<DeviceOptions, 'devEui'>): boolean => theirs.has(devEui);
  return {
    sender: {
      queue: (downlink, devAddr, how) =>
        isTheirs(downlink) ? downlinks.queue(downlink, how) : south.sender.queue(downlink, devAddr, how),
    },
    waitOf: (device, downlink) =>
      isTheirs(device) ? downlinks.waitsFor(downlink) : south.waitOf(device, downlink),
    checkMaySend: (device, isEncrypted) =>
      isTheirs(device) ? downlinks.checkMaySend() : checkMaySend(device, isEncrypted),
  };
}
