import { createHmac } from 'node:crypto';
import type { Device } from '@antirio/lora-simulator';

/** A reading as core-data's REST interface gives it, as far as it is looked at here. */
export interface StoredReading {
  readonly resourceName: string;
  readonly value?: string | null;
}

/** An event as core-data's REST interface gives it, as far as it is looked at here. */
export interface StoredEvent {
  readonly id: string;
  readonly deviceName: string;
  readonly readings: readonly StoredReading[];
  readonly tags?: Readonly<Record<string, unknown>>;
}

/** What makes a reading one reading: DevEUI, session and 32-bit counter, written as one text. */
export type IdentityKey = string & { readonly identity?: never };

export function identityKey(devEui: string, session: string, fcnt: number): IdentityKey {
  return `${devEui.toLowerCase()}/${session.toLowerCase()}/${fcnt}`;
}

/** First 8 bytes of HMAC-SHA-256(NwkSKey, DevAddr): by the design's words, not by the product's code. */
export function sessionOf({ nwkSKey, devAddr }: Pick<Device, 'nwkSKey' | 'devAddr'>): string {
  const mac = createHmac('sha256', Buffer.from(nwkSKey, 'hex')).update(Buffer.from(devAddr, 'hex')).digest();
  return mac.subarray(0, 8).toString('hex');
}

const textOf = (value: unknown): string =>
  typeof value === 'string' || typeof value === 'number' ? String(value) : '';

/** The identity that an event claims in its tags; undefined where it claims none. */
export function claimedIdentity({ tags = {} }: StoredEvent): IdentityKey | undefined {
  const [devEui, session, fcnt] = [textOf(tags['devEUI']), textOf(tags['session']), textOf(tags['fCnt'])];
  if (devEui === '' || session === '' || !/^\d+$/.test(fcnt)) return undefined;
  return identityKey(devEui, session, Number(fcnt));
}

const TEMPERATURE = 0x67;
const HUMIDITY = 0x68;
const ANALOG_INPUT = 0x02;

/** Values by resource of the demo's device profile. */
export type Measured = Readonly<Record<string, number>>;

/** Names of the resources in the demo's device profile, by Cayenne LPP type and channel of the motes' payload. */
export const RESOURCES = {
  temperature: 'temperature_1',
  humidity: 'relative_humidity_2',
  analogInput: 'analog_in_3',
} as const;

/** What a mote's payload (Cayenne LPP, 11 bytes in hex) says. */
export function measuredOf(payload: string): Measured {
  const bytes = Buffer.from(payload, 'hex');
  const measured: Record<string, number> = {};
  for (let at = 0; at + 2 < bytes.length;) {
    const type = bytes[at + 1];
    if (type === HUMIDITY) measured[RESOURCES.humidity] = bytes.readUInt8(at + 2) / 2;
    else if (type === TEMPERATURE) measured[RESOURCES.temperature] = bytes.readInt16BE(at + 2) / 10;
    else if (type === ANALOG_INPUT) measured[RESOURCES.analogInput] = bytes.readInt16BE(at + 2) / 100;
    else break;
    at += type === HUMIDITY ? 3 : 4;
  }
  return measured;
}

const SMALLEST_STEP = 0.01;

/** What a mote sent, as far as an event can be compared with it; both in hex. */
export interface Sent {
  readonly payload: string;
  readonly phyPayload: string;
}

function bearsTheFrame({ tags = {} }: StoredEvent, phyPayload: string): boolean {
  const frame = tags['phyPayload'];
  return frame === undefined || frame === Buffer.from(phyPayload, 'hex').toString('base64');
}

/** Whether an event says exactly what was sent: every value, none besides, and the frame itself where it bears it. */
export function saysWhatWasSent(event: StoredEvent, { payload, phyPayload }: Sent): boolean {
  const sent = measuredOf(payload);
  const names = Object.keys(sent);
  if (names.length === 0 || event.readings.length !== names.length) return false;
  return (
    bearsTheFrame(event, phyPayload) &&
    names.every((name) => {
      const reading = event.readings.find(({ resourceName }) => resourceName === name);
      const value = Number.parseFloat(reading?.value ?? '');
      return Math.abs(value - (sent[name] ?? NaN)) < SMALLEST_STEP / 2;
    })
  );
}
