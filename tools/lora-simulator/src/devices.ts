import type { SimulatorConfig } from './config.ts';
import { deriveBytes } from './random.ts';

/** An OTAA device as an edge is provisioned with it; every field in lower-case hex but the name. */
export interface OtaaDevice {
  readonly devEui: string;
  readonly name: string;
  readonly joinEui: string;
  readonly appKey: string;
}

/** One ABP device as an edge is provisioned with it; every field in lower-case hex but the name. */
export interface Device {
  readonly devEui: string;
  readonly name: string;
  readonly devAddr: string;
  readonly nwkSKey: string;
  readonly appSKey: string;
}

// First bytes of our EUIs: locally administered, and different, so that a foreign mote is never a device of ours.
const OWN_EUI = 0x02;
const FOREIGN_EUI = 0x06;
// Odd, so that multiplication modulo 2^24 maps each index to another address.
const ADDRESS_STRIDE = 0x9e_37_79;

type Seeded = Pick<SimulatorConfig, 'seed' | 'devAddrPrefix'>;
type Fleet = Seeded & Pick<SimulatorConfig, 'motes' | 'otaa' | 'joinEui'>;

const keyOf = (seed: string, kind: string, name: string, index: number): string =>
  deriveBytes(seed, `${kind}/${name}/${String(index)}`, 16).toString('hex');

function identityOf(
  seed: string,
  kind: string,
  euiByte: number,
  index: number,
): Pick<Device, 'devEui' | 'name'> {
  const eui = Buffer.concat([
    Buffer.from([euiByte]),
    deriveBytes(seed, `${kind}/devEui`, 4),
    Buffer.alloc(3),
  ]);
  eui.writeUIntBE(index, 5, 3);
  return { devEui: eui.toString('hex'), name: `${kind}-${String(index + 1).padStart(4, '0')}` };
}

function deviceWith(seed: string, kind: string, euiByte: number, index: number, devAddr: string): Device {
  return {
    ...identityOf(seed, kind, euiByte, index),
    devAddr,
    nwkSKey: keyOf(seed, kind, 'nwkSKey', index),
    appSKey: keyOf(seed, kind, 'appSKey', index),
  };
}

/** The device with this index (from 0). Keys follow from the seed; no two devices share a DevEUI or a DevAddr. */
export function deviceAt(config: Seeded, index: number): Device {
  const offset = deriveBytes(config.seed, 'devAddr', 3).readUIntBE(0, 3);
  const suffix = (Math.imul(index, ADDRESS_STRIDE) + offset) & 0xff_ff_ff;
  const devAddr = config.devAddrPrefix + suffix.toString(16).padStart(6, '0');
  return deviceWith(config.seed, 'mote', OWN_EUI, index, devAddr);
}

/** A stranger that happens to have this DevAddr, that of device `index`, with keys of its own. */
export function foreignAt(
  config: Seeded,
  index: number,
  devAddr: string = deviceAt(config, index).devAddr,
): Device {
  return deviceWith(config.seed, 'foreign', FOREIGN_EUI, index, devAddr);
}

/** The same device, as it is where it joins over the air. */
function otaaAt(config: Seeded & Pick<SimulatorConfig, 'joinEui'>, index: number): OtaaDevice {
  return {
    ...identityOf(config.seed, 'mote', OWN_EUI, index),
    joinEui: config.joinEui,
    appKey: keyOf(config.seed, 'mote', 'appKey', index),
  };
}

export const isOtaa = (device: Device | OtaaDevice): device is OtaaDevice => 'appKey' in device;

/** The device with this index as it is activated: by its part `otaa` of the fleet, spread evenly. */
export function provisionedAt(config: Omit<Fleet, 'motes'>, index: number): Device | OtaaDevice {
  // A tolerance, so that 0.1 of ten is one.
  const joined = (count: number): number => Math.floor(count * config.otaa + 1e-9);
  return joined(index + 1) > joined(index) ? otaaAt(config, index) : deviceAt(config, index);
}

/** Every device of a configuration: what the devices file holds. Foreign motes are not among them. */
export function devicesOf(config: Fleet): (Device | OtaaDevice)[] {
  return Array.from({ length: config.motes }, (_, index) => provisionedAt(config, index));
}
