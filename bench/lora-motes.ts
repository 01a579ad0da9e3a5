// Motes with their keys, and the uplinks that they send: built before the time runs.
import { randomBytes } from 'node:crypto';
import { createSessionCipher, parseDevAddr, type SessionCipher } from '@antirio/lorawan';

export interface BenchDevice {
  readonly devEui: string;
  readonly name: string;
  readonly devAddr: string;
}

export interface BenchSession {
  readonly devEui: string;
  readonly devAddr: string;
  readonly nwkSKey: string;
  readonly appSKey: string;
}

/** One uplink as a gateway hears it. */
export interface BenchUplink {
  readonly devEui: string;
  readonly fcnt: number;
  /** Degrees Celsius, as the event has to say. */
  readonly temperature: number;
  readonly phyPayload: Buffer;
}

/** A fleet whose motes send one after the other. */
export interface Fleet {
  readonly devices: readonly BenchDevice[];
  readonly sessions: readonly BenchSession[];
  /** The next uplinks. */
  uplinks(count: number): BenchUplink[];
}

const FIRST_DEV_ADDR = 0x26_00_00_00;

/** Eleven bytes of Cayenne LPP: temperature, humidity, an analog input. */
function payloadOf(temperature: number): Uint8Array {
  const payload = Uint8Array.of(1, 103, 0, 0, 2, 104, 90, 3, 2, 255, 246);
  new DataView(payload.buffer).setInt16(2, Math.round(temperature * 10));
  return payload;
}

export function makeFleet(motes: number): Fleet {
  const sessions = Array.from({ length: motes }, (_, n) => ({
    devEui: `70b3d57ed0${n.toString(16).padStart(6, '0')}`,
    devAddr: (FIRST_DEV_ADDR + n).toString(16).padStart(8, '0'),
    nwkSKey: randomBytes(16).toString('hex'),
    appSKey: randomBytes(16).toString('hex'),
  }));
  const ciphers = new Map<number, SessionCipher>();
  const cipherOf = (n: number, { nwkSKey, appSKey }: BenchSession): SessionCipher => {
    const cipher =
      ciphers.get(n) ??
      createSessionCipher({ nwkSKey: Buffer.from(nwkSKey, 'hex'), appSKey: Buffer.from(appSKey, 'hex') });
    ciphers.set(n, cipher);
    return cipher;
  };
  let sent = 0;
  const next = (): BenchUplink => {
    const [n, fcnt] = [sent % motes, Math.floor(sent / motes)];
    const session = sessions[n];
    if (session === undefined) throw new RangeError('a fleet has at least one mote');
    const temperature = ((sent % 500) - 200) / 10;
    sent += 1;
    const head = { direction: 'up', confirmed: false, fPort: 2, fcnt } as const;
    const fields = { ...head, devAddr: parseDevAddr(session.devAddr) };
    const bytes = cipherOf(n, session).build(fields, payloadOf(temperature));
    return { devEui: session.devEui, fcnt, temperature, phyPayload: Buffer.from(bytes) };
  };
  return {
    devices: sessions.map(({ devEui, devAddr }) => ({ devEui, devAddr, name: `mote-${devEui.slice(10)}` })),
    sessions,
    uplinks: (count) => Array.from({ length: count }, next),
  };
}
