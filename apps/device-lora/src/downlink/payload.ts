import { z } from 'zod';
import { AntirioError, fromBase64, fromHex, utf8 } from '@antirio/kernel';
import { parseInput } from '@antirio/host';
import { isValueOf, type ValueType } from '@antirio/edgex-contracts';
import { downlinkContent, encryptedDownlink } from '@antirio/lorawan';

/** What goes into a downlink. */
export interface DownlinkPayload {
  readonly payload: Uint8Array;
  readonly fPort: number;
  readonly confirmed: boolean;
}

const { payload, fPort, confirmed } = downlinkContent.shape;
/** Any downlink. */
export const objectSchema = z.strictObject({
  payload: payload.default(''),
  fPort: fPort.default(1),
  confirmed: confirmed.default(false),
});
const { session, fCntDown } = encryptedDownlink.shape;
/** One that was encrypted elsewhere. */
export const encryptedSchema = objectSchema.extend({ session, fCntDown });
const attributesSchema = z.looseObject({
  fPort: z.coerce.number().pipe(fPort).default(1),
  confirmed: z
    .union([z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')])
    .default(false),
  /** How text is written: as its hex digits say, or as it is. */
  encoding: z.enum(['hex', 'utf8']).default('hex'),
});

type Writer = (view: DataView, text: string) => void;

// most significant byte first
const NUMBERS: Readonly<Partial<Record<ValueType, readonly [size: number, write: Writer]>>> = {
  Bool: [1, (view, text) => view.setUint8(0, /^(?:1|t|true)$/i.test(text) ? 1 : 0)],
  Uint8: [1, (view, text) => view.setUint8(0, Number(text))],
  Uint16: [2, (view, text) => view.setUint16(0, Number(text))],
  Uint32: [4, (view, text) => view.setUint32(0, Number(text))],
  Uint64: [8, (view, text) => view.setBigUint64(0, BigInt(text))],
  Int8: [1, (view, text) => view.setInt8(0, Number(text))],
  Int16: [2, (view, text) => view.setInt16(0, Number(text))],
  Int32: [4, (view, text) => view.setInt32(0, Number(text))],
  Int64: [8, (view, text) => view.setBigInt64(0, BigInt(text))],
  Float32: [4, (view, text) => view.setFloat32(0, Number(text))],
  Float64: [8, (view, text) => view.setFloat64(0, Number(text))],
};

function numberBytes(type: ValueType, text: string): Uint8Array {
  const known = NUMBERS[type];
  if (known === undefined) throw new AntirioError('notImplemented', `no downlink is made of a ${type}`);
  const [size, write] = known;
  const bytes = new Uint8Array(size);
  write(new DataView(bytes.buffer), text.replace(/^\+/, ''));
  return bytes;
}

/** A resource that is written. */
export interface Written {
  readonly name: string;
  readonly valueType: ValueType;
  readonly attributes?: Readonly<Record<string, unknown>> | undefined;
}

const isPrintable = (value: unknown): value is number | bigint | boolean =>
  ['number', 'bigint', 'boolean'].includes(typeof value);

function textOf(name: string, type: ValueType, value: unknown): string {
  const text = isPrintable(value) ? String(value) : value;
  if (typeof text !== 'string' || (type !== 'Binary' && !isValueOf(type, text)))
    throw new AntirioError('invalidInput', `${name}: not a ${type}`);
  return text;
}

function bytesOf({ name, valueType }: Written, value: unknown, encoding: 'hex' | 'utf8'): Uint8Array {
  if (value instanceof Uint8Array) return value;
  const text = textOf(name, valueType, value);
  if (valueType === 'Binary') return fromBase64(text);
  if (valueType === 'String') return encoding === 'hex' ? fromHex(text) : utf8(text);
  return numberBytes(valueType, text);
}

/**
 * The downlink that writes a value to a resource, as its attributes say.
 * @throws AntirioError invalidInput for a value that is none of the resource's type.
 */
export function downlinkPayload(resource: Written, value: unknown): DownlinkPayload {
  if (resource.valueType === 'Object') {
    const given = parseInput(objectSchema, typeof value === 'string' ? { payload: value } : value);
    return { ...given, payload: fromHex(given.payload) };
  }
  const attributes = parseInput(attributesSchema, resource.attributes ?? {});
  return {
    payload: bytesOf(resource, value, attributes.encoding),
    fPort: attributes.fPort,
    confirmed: attributes.confirmed,
  };
}
