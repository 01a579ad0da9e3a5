import { z } from 'zod';
import { callJson, parseInput, type HttpAnswer, type HttpCall, type HttpPeer } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { checkBlock, MAX_BLOCK_BYTES, parseCid } from '@antirio/content-store';

const imageView = z.looseObject({
  status: z.string(),
  imageHash: z.string().optional(),
  error: z.string().optional(),
});
const objectView = z.looseObject({
  cid: z.string(),
  state: z.enum(['FETCHING', 'STORED', 'FAILED']),
  error: z.string().optional(),
  size: z.number().optional(),
  progress: z.looseObject({ bytes: z.number(), fetchedBytes: z.number() }).optional(),
});
const exportedView = z.looseObject({
  sha256: z.string(),
  imageId: z.string().optional(),
  architecture: z.string().optional(),
});
const imageAnswer = z.looseObject({ image: imageView });
const objectAnswer = z.looseObject({ object: objectView });
const exportAnswer = z.looseObject({ exported: exportedView });
const sampleAnswer = z.looseObject({
  sample: z.looseObject({
    blocks: z.number(),
    blockCids: z.array(z.string()),
    inTurn: z.array(z.string()).default([]),
  }),
});

export type ImageAnswer = z.output<typeof imageView>;
export type ObjectAnswer = z.output<typeof objectView>;
export type ExportAnswer = z.output<typeof exportedView>;

/** A file of the images folder, or an image of the container engine. */
export type ImageSource = { readonly fileName: string } | { readonly engineImage: string };

export type ImageOrder = ImageSource & {
  readonly imageId: string;
  readonly imageName: string;
  readonly storageDuration: number;
};

export interface SampledBlocks {
  /** How many the object has. */
  readonly blocks: number;
  /** By chance. */
  readonly blockCids: readonly string[];
  /** Those from a place on. */
  readonly inTurn: readonly string[];
}

/** This edge's filecoin-interface, as migration uses it. */
export interface StorageClient {
  order(order: ImageOrder): Promise<void>;
  image(imageId: string): Promise<ImageAnswer>;
  /** Tells that the providers that the contract asks for hold the image. */
  committed(imageId: string, imageHash: string): Promise<void>;
  dropImage(imageId: string): Promise<void>;
  storeJson(value: unknown): Promise<string>;
  /**
   * Makes whole again what is kept there, from where its bytes are; keeps nothing else.
   * @throws AntirioError conflict where these are other bytes; notFound where it is not kept
   */
  mend(cid: string, from: ImageSource | { readonly json: unknown }): Promise<void>;
  fetch(cid: string, providers: readonly string[]): Promise<ObjectAnswer>;
  object(cid: string): Promise<ObjectAnswer>;
  drop(cid: string): Promise<void>;
  /** Reads every block, and names some. @throws AntirioError corrupt */
  sample(cid: string, count: number, from?: number): Promise<SampledBlocks>;
  /** @throws AntirioError corrupt when what is stored is not whole any more. */
  export(cid: string, fileName: string): Promise<ExportAnswer>;
  /** The bytes of one block, checked here. @throws AntirioError corrupt | notFound | unavailable */
  block(cid: string): Promise<Uint8Array>;
}

const STORAGE = '/api/v3/storage';

export function createStorageClient(peer: HttpPeer, wholeTimeoutMs: number): StorageClient {
  const ask = async <S extends z.ZodType>(schema: S, call: HttpCall): Promise<z.output<S>> =>
    parseInput(schema, await callJson(peer, call));
  const object = (cid: string): string => `${STORAGE}/object/${encodeURIComponent(cid)}`;
  const objectAt = async (call: HttpCall): Promise<ObjectAnswer> => (await ask(objectAnswer, call)).object;
  const whole = { timeoutMs: wholeTimeoutMs };
  const forget = async (path: string): Promise<void> => {
    const answer = await peer.call({ method: 'DELETE', path });
    if (answer.status !== 404) requireOk(answer, path);
  };
  return {
    async order(json) {
      await callJson(peer, { method: 'POST', path: '/filecoin_interface/orchestrator/image', json });
    },
    image: async (imageId) => (await ask(imageAnswer, { path: `${STORAGE}/image/${imageId}` })).image,
    async committed(imageId, imageHash) {
      const json = { imageId, imageHash, status: 'COMMITTED' };
      await callJson(peer, { method: 'POST', path: '/filecoin_interface/backend/image', json });
    },
    dropImage: (imageId) => forget(`${STORAGE}/image/${imageId}`),
    storeJson: async (json) =>
      (await objectAt({ method: 'POST', path: `${STORAGE}/object`, json: { json } })).cid,
    async mend(cid, json) {
      await callJson(peer, { method: 'POST', path: `${object(cid)}/mend`, json, ...whole });
    },
    fetch: (cid, providers) =>
      objectAt({ method: 'POST', path: `${STORAGE}/fetch`, json: { cid, providers } }),
    object: (cid) => objectAt({ path: object(cid) }),
    drop: (cid) => forget(object(cid)),
    async sample(cid, count, from = 0) {
      const path = `${object(cid)}/sample?count=${count}&from=${from}`;
      const answer = requireWhole(await peer.call({ path, ...whole }), path);
      return parseInput(sampleAnswer, answer.json()).sample;
    },
    async export(cid, fileName) {
      const path = `${object(cid)}/export`;
      const answer = await peer.call({ method: 'POST', path, json: { fileName }, ...whole });
      return parseInput(exportAnswer, requireWhole(answer, path).json()).exported;
    },
    block: (cid) => fetchBlock(peer, '', cid),
  };
}

/** One block from a gateway, checked against its CID. @throws AntirioError corrupt | notFound | unavailable */
export async function fetchBlock(peer: HttpPeer, prefix: string, cid: string): Promise<Uint8Array> {
  const path = `${prefix}/ipfs/${encodeURIComponent(cid)}?format=raw`;
  const answer = await peer.call({ path, timeoutMs: 15_000, maxAnswerBytes: MAX_BLOCK_BYTES });
  return checkBlock(parseCid(cid), requireIntact(answer, path).body).bytes;
}

function messageOf(answer: HttpAnswer): string {
  try {
    const body = answer.json();
    if (typeof body === 'object' && body !== null && 'message' in body) return String(body.message);
  } catch {
    // an answer without an error body: its status must do
  }
  return `HTTP ${answer.status}`;
}

function requireOk(answer: HttpAnswer, path: string): HttpAnswer {
  if (answer.status >= 200 && answer.status < 300) return answer;
  throw new AntirioError('unavailable', `${path}: ${messageOf(answer)}`, { status: answer.status });
}

/** Where blocks are read, 500 says that the disk has changed one of them, which no further attempt mends. */
function requireIntact(answer: HttpAnswer, path: string): HttpAnswer {
  if (answer.status === 500) throw new AntirioError('corrupt', messageOf(answer), { path });
  if (answer.status === 404) throw new AntirioError('notFound', messageOf(answer), { path });
  if (answer.status === 507) throw new AntirioError('storageFull', messageOf(answer), { path });
  if (answer.status >= 400 && answer.status < 500 && answer.status !== 429)
    throw new AntirioError('invalidInput', messageOf(answer), { path });
  return requireOk(answer, path);
}

/** The same for a whole object, of which a block that is missing is as bad as one that is damaged. */
function requireWhole(answer: HttpAnswer, path: string): HttpAnswer {
  if (answer.status === 404) throw new AntirioError('corrupt', messageOf(answer), { path });
  return requireIntact(answer, path);
}
