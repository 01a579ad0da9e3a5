import type {
  AirRecord,
  Device,
  DownlinkRecord,
  TransmissionKind,
  TruthIdentity,
} from '@antirio/lora-simulator';
import { RESOURCES, sessionOf, type StoredEvent } from './stored-events.ts';

export const GATEWAY_A = 'a'.repeat(16);
export const GATEWAY_B = 'b'.repeat(16);

export const device: Device = {
  devEui: '0211223344556677',
  name: 'mote-0001',
  devAddr: '01020304',
  nwkSKey: '00112233445566778899aabbccddeeff',
  appSKey: 'ffeeddccbbaa99887766554433221100',
};

/** 21.5 degC, 40.5 %, 3.30 V. */
export const PAYLOAD = '016700d70268510302014a';

/** One transmission, heard and acknowledged by the gateways given. */
export function air(
  kind: TransmissionKind,
  fcnt: number,
  at: number,
  heardBy: readonly string[],
  ackedBy: readonly string[] = heardBy,
): AirRecord {
  const header = Buffer.from([0x40, 0x04, 0x03, 0x02, 0x01, 0, fcnt & 0xff, fcnt >>> 8]);
  return {
    ...{ id: at, kind, devEui: device.devEui, devAddr: device.devAddr, fcnt, fPort: 2, payload: PAYLOAD },
    ...{
      phyPayload: `${header.toString('hex')}02${PAYLOAD}00000000`,
      confirmed: false,
      adr: false,
      ack: false,
    },
    ...{ freqMhz: 868.1, datr: 'SF7BW125', airMs: 60, at, wallNs: '0' },
    heardBy: heardBy.map((gateway) => ({ gateway, at: at + 60 })),
    ackedBy: ackedBy.map((gateway) => ({ gateway, at: at + 65 })),
  };
}

/** What a mote sent: its transmissions in the order on air. */
export function identity(...transmissions: readonly [AirRecord, ...AirRecord[]]): TruthIdentity {
  const { devEui, devAddr, fcnt, fPort, payload, phyPayload, at } = transmissions[0];
  const unique = (gateways: readonly { gateway: string }[]): string[] => [
    ...new Set(gateways.map((one) => one.gateway)),
  ];
  return {
    ...{ devEui, devAddr, fcnt, fPort, payload, phyPayload, airAt: at, transmissions },
    kinds: transmissions.map(({ kind }) => kind),
    heardBy: unique(transmissions.flatMap(({ heardBy }) => heardBy)),
    ackedBy: unique(transmissions.flatMap(({ ackedBy }) => ackedBy)),
  };
}

export function storedEvent(
  fcnt: number,
  changes: Partial<Record<keyof typeof RESOURCES, string>> = {},
): StoredEvent {
  const values = { temperature: '21.5', humidity: '40.5', analogInput: '3.3', ...changes };
  return {
    id: `event-${String(fcnt)}`,
    deviceName: device.name,
    tags: { devEUI: device.devEui, session: sessionOf(device), fCnt: String(fcnt) },
    readings: [
      { resourceName: RESOURCES.temperature, value: values.temperature },
      { resourceName: RESOURCES.humidity, value: values.humidity },
      { resourceName: RESOURCES.analogInput, value: values.analogInput },
    ],
  };
}

export function downlink(
  id: number,
  at: number,
  gateway: string,
  fcntDown: number,
  phyPayload = `bytes${String(id)}`,
): DownlinkRecord {
  return {
    ...{
      type: 'downlink',
      id,
      at,
      gateway,
      phyPayload,
      devAddr: device.devAddr,
      fcntDown,
      confirmed: true,
      ack: false,
    },
    ...{ tmst: 0, freqMhz: 868.1, datr: 'SF7BW125', airMs: 60, wallNs: '0' },
  };
}
