import { AntirioError, concatBytes } from '@antirio/kernel';
import { varint } from 'multiformats';
import type { CID } from './block.ts';

/** `DataType` and fields of the UnixFS message (UnixFS specification, `Data`). */
const DIRECTORY = 1;
const FILE = 2;
const HAMT_SHARD = 5;
const FIELD = {
  type: 0x08,
  data: 0x12,
  fileSize: 0x18,
  blockSizes: 0x20,
  blockSizesPacked: 0x22,
  hashType: 0x28,
  fanout: 0x30,
} as const;

/** Field of the dag-pb node that the message stands in. */
const NODE_DATA = 0x0a;

/** Wire types of protobuf. */
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

type Field = readonly [tag: number, value: number | Uint8Array];

/**
 * Written here because `ipfs-unixfs` 13.1 garbles sizes from 2^31 to 2^32 - 1 when it encodes, which would give such files
 * CIDs of their own, and loses the hash type of shards when it decodes.
 */
function encodeFields(fields: readonly Field[]): Uint8Array {
  const sizeOf = (value: number | Uint8Array): number =>
    typeof value === 'number' ? varint.encodingLength(value) : sizeOf(value.length) + value.length;
  const bytes = new Uint8Array(fields.reduce((sum, [, value]) => sum + 1 + sizeOf(value), 0));
  let at = 0;
  for (const [tag, value] of fields) {
    bytes[at] = tag;
    varint.encodeTo(typeof value === 'number' ? value : value.length, bytes, at + 1);
    at += 1 + sizeOf(value);
    if (typeof value !== 'number') bytes.set(value, at - value.length);
  }
  return bytes;
}

/** The UnixFS message of a file node without content of its own. */
export function encodeFileData(blockSizes: readonly number[]): Uint8Array {
  return encodeFields([
    [FIELD.type, FILE],
    [FIELD.fileSize, blockSizes.reduce((sum, size) => sum + size, 0)],
    ...blockSizes.map((size): Field => [FIELD.blockSizes, size]),
  ]);
}

/** What stands before and behind the content of a leaf that is a node: a dag-pb node without links, in it the UnixFS message of content and its size. */
export function leafFrame(size: number): { readonly head: Uint8Array; readonly tail: Uint8Array } {
  const head = encodeFields(
    size === 0
      ? [[FIELD.type, FILE]]
      : [
          [FIELD.type, FILE],
          [FIELD.data, size],
        ],
  );
  const tail = encodeFields([[FIELD.fileSize, size]]);
  const node = encodeFields([[NODE_DATA, head.length + size + tail.length]]);
  return { head: concatBytes(node, head), tail };
}

/** The UnixFS message of a shard of a directory: which of its buckets are taken, as a number, the highest byte first. */
export function encodeShardData(bitfield: Uint8Array, hashType: number, fanout: number): Uint8Array {
  return encodeFields([
    [FIELD.type, HAMT_SHARD],
    [FIELD.data, bitfield],
    [FIELD.hashType, hashType],
    [FIELD.fanout, fanout],
  ]);
}

/** The UnixFS message of a directory that is not sharded. */
export function encodeDirectoryData(): Uint8Array {
  return encodeFields([[FIELD.type, DIRECTORY]]);
}

const TYPES = ['raw', 'directory', 'file', 'metadata', 'symlink', 'hamt-sharded-directory'] as const;

export type UnixfsType = (typeof TYPES)[number];

/** A decoded UnixFS message, as far as it is used here. */
export interface UnixfsData {
  readonly type: UnixfsType;
  /** Content of the node itself; of a shard, which buckets are taken. */
  readonly data: Uint8Array;
  /** Bytes of content below each link. */
  readonly blockSizes: readonly bigint[];
  /** Bytes of content of the node and all below it, by what it says of its parts. */
  readonly size: bigint;
  readonly hashType: bigint;
  readonly fanout: bigint;
}

/** @throws AntirioError invalidInput when a node has no UnixFS message, or a malformed one. */
export function decodeData(cid: CID, bytes: Uint8Array | undefined): UnixfsData {
  const message = bytes === undefined ? undefined : decodeMessage(bytes);
  const type = message === undefined ? undefined : TYPES[Number(message.type)];
  if (message === undefined || type === undefined)
    throw new AntirioError('invalidInput', `block ${cid.toString()} is no UnixFS node`, {
      cid: cid.toString(),
    });
  const size = message.blockSizes.reduce((sum, each) => sum + each, BigInt(message.data.length));
  return { ...message, type, size };
}

interface Message {
  type: bigint;
  data: Uint8Array;
  blockSizes: bigint[];
  hashType: bigint;
  fanout: bigint;
}

/** Undefined where the bytes are no protobuf, or fields are not of their kind. */
function decodeMessage(bytes: Uint8Array): Message | undefined {
  // A message without a type is one of type 0, as protobuf has it.
  const message: Message = { type: 0n, data: new Uint8Array(), blockSizes: [], hashType: 0n, fanout: 0n };
  const reader = new ProtobufReader(bytes);
  while (reader.left > 0) {
    const tag = reader.varint();
    if (tag === undefined || !takeField(message, Number(tag), reader)) return undefined;
  }
  return message;
}

function takeField(message: Message, tag: number, reader: ProtobufReader): boolean {
  const wireType = tag & 7;
  if (wireType === BYTES) return takeBytes(message, tag, reader.bytes());
  return wireType === VARINT ? takeNumber(message, tag, reader.varint()) : reader.skip(wireType);
}

function takeBytes(message: Message, tag: number, value: Uint8Array | undefined): boolean {
  if (value === undefined) return false;
  if (tag === FIELD.data) message.data = value;
  return tag !== FIELD.blockSizesPacked || takePacked(message, value);
}

function takeNumber(message: Message, tag: number, value: bigint | undefined): boolean {
  if (value === undefined) return false;
  if (tag === FIELD.type) message.type = value;
  else if (tag === FIELD.blockSizes) message.blockSizes.push(value);
  else if (tag === FIELD.hashType) message.hashType = value;
  else if (tag === FIELD.fanout) message.fanout = value;
  return true;
}

function takePacked(message: Message, bytes: Uint8Array): boolean {
  const reader = new ProtobufReader(bytes);
  while (reader.left > 0) {
    const value = reader.varint();
    if (value === undefined) return false;
    message.blockSizes.push(value);
  }
  return true;
}

/** Undefined wherever the bytes end too early. */
class ProtobufReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  varint(): bigint | undefined {
    let value = 0n;
    for (let shift = 0n; shift < 64n; shift += 7n) {
      const byte = this.#bytes[this.#at];
      if (byte === undefined) return undefined;
      this.#at++;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return undefined;
  }

  bytes(): Uint8Array | undefined {
    const length = this.varint();
    if (length === undefined || length > BigInt(this.left)) return undefined;
    this.#at += Number(length);
    return this.#bytes.subarray(this.#at - Number(length), this.#at);
  }

  skip(wireType: number): boolean {
    const length = wireType === FIXED64 ? 8 : wireType === FIXED32 ? 4 : undefined;
    if (length === undefined || length > this.left) return false;
    this.#at += length;
    return true;
  }
}
