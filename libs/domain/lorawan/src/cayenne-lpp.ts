import { AntirioError } from '@antirio/kernel';

/** One measured value of a Cayenne Low Power Payload. Units: degC, %, lux, hPa, g, deg/s, degrees and metres. */
export interface LppValue {
  readonly channel: number;
  readonly type: LppType;
  readonly value: number | Readonly<Record<string, number>>;
}

interface Layout {
  readonly name: string;
  readonly size: number;
  readonly read: (view: DataView, at: number) => LppValue['value'];
}

const int24 = (view: DataView, at: number): number => (view.getInt8(at) << 16) | view.getUint16(at + 1);

const axes =
  (divisor: number) =>
  (view: DataView, at: number): LppValue['value'] => ({
    x: view.getInt16(at) / divisor,
    y: view.getInt16(at + 2) / divisor,
    z: view.getInt16(at + 4) / divisor,
  });

const position = (view: DataView, at: number): LppValue['value'] => ({
  latitude: int24(view, at) / 10_000,
  longitude: int24(view, at + 3) / 10_000,
  altitude: int24(view, at + 6) / 100,
});

const uint8 = (view: DataView, at: number): number => view.getUint8(at);

// Cayenne LPP 2.0, data types (IPSO object id - 3200)
const LAYOUTS = {
  0: { name: 'digitalInput', size: 1, read: uint8 },
  1: { name: 'digitalOutput', size: 1, read: uint8 },
  2: { name: 'analogInput', size: 2, read: (view, at) => view.getInt16(at) / 100 },
  3: { name: 'analogOutput', size: 2, read: (view, at) => view.getInt16(at) / 100 },
  101: { name: 'illuminance', size: 2, read: (view, at) => view.getUint16(at) },
  102: { name: 'presence', size: 1, read: uint8 },
  103: { name: 'temperature', size: 2, read: (view, at) => view.getInt16(at) / 10 },
  104: { name: 'humidity', size: 1, read: (view, at) => view.getUint8(at) / 2 },
  113: { name: 'accelerometer', size: 6, read: axes(1000) },
  115: { name: 'barometer', size: 2, read: (view, at) => view.getUint16(at) / 10 },
  134: { name: 'gyrometer', size: 6, read: axes(100) },
  136: { name: 'gps', size: 9, read: position },
} as const satisfies Readonly<Record<number, Layout>>;

export type LppType = (typeof LAYOUTS)[keyof typeof LAYOUTS]['name'];

const layoutOf = (code: number): (Layout & { readonly name: LppType }) | undefined =>
  (LAYOUTS as Readonly<Record<number, Layout & { readonly name: LppType }>>)[code];

/** @throws AntirioError invalidInput for an unknown type or a payload that ends within a value. */
export function decodeCayenneLpp(payload: Uint8Array): LppValue[] {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  const values: LppValue[] = [];
  let at = 0;
  while (at < payload.length) {
    const channel = view.getUint8(at);
    const code = payload[at + 1];
    const layout = code === undefined ? undefined : layoutOf(code);
    if (layout === undefined)
      throw new AntirioError('invalidInput', `Cayenne LPP: no type at byte ${at + 1}`, { type: code });
    if (at + 2 + layout.size > payload.length)
      throw new AntirioError('invalidInput', `Cayenne LPP: ${layout.name} ends outside of the payload`);
    values.push({ channel, type: layout.name, value: layout.read(view, at + 2) });
    at += 2 + layout.size;
  }
  return values;
}
