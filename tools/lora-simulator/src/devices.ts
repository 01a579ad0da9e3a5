import type { SimulatorConfig } from './config.ts';
import { deriveBytes } from './random.ts';

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

function deviceWith(seed: string, kind: string, euiByte: number, index: number, devAddr: string): Device {
  const eui = Buffer.concat([
    Buffer.from([euiByte]),
    deriveBytes(seed, `${kind}/devEui`, 4),
    Buffer.alloc(3),
  ]);
  eui.writeUIntBE(index, 5, 3);
  const key = (name: string): string =>
    deriveBytes(seed, `${kind}/${name}/${String(index)}`, 16).toString('hex');
  return {
    devEui: eui.toString('hex'),
    name: `${kind}-${String(index + 1).padStart(4, '0')}`,
    devAddr,
    nwkSKey: key('nwkSKey'),
    appSKey: key('appSKey'),
  };
}

/** The device with this index (from 0). Keys follow from the seed; no two devices share a DevEUI or a DevAddr. */
export function deviceAt(config: Seeded, index: number): Device {
  const offset = deriveBytes(config.seed, 'devAddr', 3).readUIntBE(0, 3);
  const suffix = (Math.imul(index, ADDRESS_STRIDE) + offset) & 0xff_ff_ff;
  const devAddr = config.devAddrPrefix + suffix.toString(16).padStart(6, '0');
  return deviceWith(config.seed, 'mote', OWN_EUI, index, devAddr);
}

/** A stranger that happens to have the DevAddr of device `index`, with keys of its own. */
export function foreignAt(config: Seeded, index: number): Device {
  return deviceWith(config.seed, 'foreign', FOREIGN_EUI, index, deviceAt(config, index).devAddr);
}

/** Every device of a configuration: what the devices file holds. Foreign motes are not among them. */
export function devicesOf(config: Seeded & Pick<SimulatorConfig, 'motes'>): Device[] {
  return Array.from({ length: config.motes }, (_, index) => deviceAt(config, index));
}
