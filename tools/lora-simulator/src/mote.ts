import type { SimulatorConfig } from './config.ts';
import type { Device } from './devices.ts';
import type { Random } from './random.ts';
import type { Frame } from './transmission.ts';
import type { SessionKeys } from './frames.ts';
import type { DownlinkReception } from './downlink-reception.ts';
import { encodeLpp } from './cayenne-lpp.ts';
import { createDownlinkReception } from './downlink-reception.ts';
import { ADR_ACK_LIMIT } from './eu868.ts';
import { buildUplink } from './frames.ts';
import { createRandom } from './random.ts';

/** An ABP end device of LoRaWAN 1.0.x, class A. */
export interface Mote {
  readonly device: Device;
  readonly spreadingFactor: number;
  /** Its next uplink; spends one FCntUp. */
  nextUplink(txId: number, at: number): Frame;
  readonly reception: DownlinkReception;
}

/** How a mote differs from the others. */
export interface MoteOptions {
  readonly device: Device;
  readonly fcntUpStart: number;
  /** Counters its sender skips before each frame, for a foreign mote most of whose frames go elsewhere. */
  readonly skip?: (random: Random) => number;
}

const keysOf = (device: Device): SessionKeys => ({
  nwkSKey: Buffer.from(device.nwkSKey, 'hex'),
  appSKey: Buffer.from(device.appSKey, 'hex'),
});

// A slow wave with noise on it, each within what its encoding holds: no two readings look alike.
function measure(random: Random, phase: number, count: number): Buffer {
  const wave = Math.sin(phase + count / 50);
  return encodeLpp({
    temperatureC: 18 + 9 * wave + random.between(-1.5, 1.5),
    humidityPercent: 55 - 25 * wave + random.between(-5, 5),
    batteryVolt: 3.6 - Math.min(0.8, count / 100_000) + random.between(-0.05, 0.05),
  });
}

/** A mote whose radio settings, ADR flag and readings follow from the seed and its DevEUI. */
export function createMote(config: SimulatorConfig, options: MoteOptions): Mote {
  const { device } = options;
  const keys = keysOf(device);
  const devAddr = Buffer.from(device.devAddr, 'hex');
  const random = createRandom(config.seed, `mote/${device.devEui}`);
  const phase = random.between(0, 2 * Math.PI);
  const adr = random.chance(config.adr);
  const spreadingFactor = config.spreadingFactors[random.integer(config.spreadingFactors.length)] ?? 7;
  const reception = createDownlinkReception(device, keys, config.fcntDownStart);
  let count = 0;
  let fcnt = options.fcntUpStart;

  return {
    device,
    spreadingFactor,
    reception,
    nextUplink(txId, at) {
      fcnt = (fcnt + (options.skip?.(random) ?? 0)) % 0x1_0000_0000;
      const fields = {
        devAddr,
        fcnt,
        fPort: config.fPort,
        payload: measure(random, phase, count),
        confirmed: random.chance(config.confirmedUplinks),
        adr,
        adrAckReq: adr && reception.silentUplinks >= ADR_ACK_LIMIT,
        ack: reception.takeAck(),
      };
      count += 1;
      fcnt = (fcnt + 1) % 0x1_0000_0000;
      reception.countUplink();
      return { ...fields, firstTxId: txId, firstAt: at, phyPayload: buildUplink(keys, fields) };
    },
  };
}
