import { z } from 'zod';
import type { CommandValue, Driver, ReadRequest } from '@antirio/device-sdk';
import { commandValue } from '@antirio/device-sdk';
import type { Device, Reading } from '@antirio/edgex-contracts';
import { AntirioError, type Clock } from '@antirio/kernel';
import { parseInput } from '@antirio/host';
import { parseDevAddr, parseDevEui, type DevAddr } from '@antirio/lorawan';
import { directoryOf } from '../directory.ts';
import { describeDownlink } from '../downlink/describe.ts';
import { downlinkPayload } from '../downlink/payload.ts';
import type { DownlinkSender } from '../downlink/sender.ts';
import type { Downlink, DownlinkStore } from '../downlink/store.ts';
import type { DeviceOptions } from '../options.ts';
import type { Latest } from '../latest.ts';

export interface LoraDriverPorts {
  readonly devices: readonly DeviceOptions[];
  /** The newest reading by device and resource. */
  readonly latest: Latest;
  readonly sender: Pick<DownlinkSender, 'queue'>;
  readonly downlinks: DownlinkStore;
  /** What a downlink waits for. */
  readonly waitOf: (device: DeviceOptions, downlink: Downlink) => string | undefined;
  /** @throws AntirioError where the service may not send now. */
  readonly checkMaySend: (device: DeviceOptions) => void;
  /** The address that the device has now. */
  readonly devAddrOf: (device: DeviceOptions) => DevAddr | undefined;
  readonly clock: Clock;
}

const STATE_RESOURCE = 'downlinkState';
const SHOWN = 10;

function valueOf(reading: Reading): unknown {
  if (reading.kind === 'binary') return reading.binaryValue;
  if (reading.kind === 'object') return reading.objectValue;
  if (reading.kind !== 'simple') return null;
  const { value, valueType } = reading;
  if (valueType === 'String') return value;
  if (valueType === 'Bool') return value === 'true';
  return valueType.endsWith('64') && valueType !== 'Float64' ? BigInt(value) : Number(value);
}

const propertiesSchema = z.looseObject({ devEUI: z.string(), devAddr: z.string().optional() });

/** Whether a device is right that core-metadata wants to give us. @throws AntirioError invalidInput */
export function checkDevice({ protocols }: Pick<Device, 'protocols'>): void {
  const { devEUI, devAddr } = parseInput(propertiesSchema, protocols['lorawan']);
  parseDevEui(devEUI);
  if (devAddr !== undefined) parseDevAddr(devAddr);
}

/** LoRaWAN as EdgeX's commands see it: read is what was heard last, write is a downlink after the next uplink. */
export function createLoraDriver(ports: LoraDriverPorts): Driver {
  const { latest, sender, downlinks, clock } = ports;
  const { byName } = directoryOf(ports.devices);

  const find = (name: string): DeviceOptions => {
    const found = byName.get(name);
    if (found === undefined) throw new AntirioError('notFound', `no LoRaWAN device ${name} is configured`);
    return found;
  };
  const read = (device: DeviceOptions, { resourceName, valueType }: ReadRequest): CommandValue => {
    if (resourceName === STATE_RESOURCE) {
      const newest = downlinks
        .latest(device.devEui, SHOWN)
        .map((one) => describeDownlink(one, ports.waitOf(device, one)));
      const origin = BigInt(Math.round(clock.now())) * 1_000_000n;
      return commandValue(resourceName, 'Object', { downlinks: newest }, { origin });
    }
    const reading = latest.get(device.name, resourceName);
    if (reading === undefined)
      throw new AntirioError('notFound', `${device.name} has not sent ${resourceName} since the start`);
    return commandValue(resourceName, valueType, valueOf(reading), { origin: reading.origin });
  };
  return {
    async read({ name }, requests) {
      const device = find(name);
      return requests.map((request) => read(device, request));
    },
    async write({ name }, requests) {
      const device = find(name);
      ports.checkMaySend(device);
      const made = requests.map(({ resourceName: resource, valueType, attributes, value }) => ({
        resource,
        ...downlinkPayload({ name: resource, valueType, attributes }, value.value),
      }));
      const devAddr = ports.devAddrOf(device);
      for (const one of made) sender.queue({ devEui: device.devEui, ...one }, devAddr, { replaces: true });
    },
    validate: checkDevice,
  };
}
