import { randomUUID } from 'node:crypto';
import { basename } from 'node:path';
import { parseInput } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { z } from 'zod';
import type { EdgeConfig } from '../config.ts';
import { textTable } from '../text-table.ts';
import { print } from './ask-room.ts';
import { createProgressLine, sizeText, type ProgressLine } from './progress-line.ts';
import { readLocal, receiveFile, sendFile, type LocalFile } from './storage-files.ts';
import { withStorage, type StoragePeer, type WorkReport } from './storage-peer.ts';

const objectView = z.looseObject({
  cid: z.string(),
  state: z.string(),
  size: z.number().optional(),
  error: z.string().optional(),
  createdAt: z.number(),
});
const imageView = z.looseObject({
  imageId: z.string(),
  imageName: z.string(),
  status: z.string(),
  imageHash: z.string().optional(),
  size: z.number().optional(),
  error: z.string().optional(),
  expiresAt: z.number(),
  cost: z.looseObject({ amount: z.string(), currency: z.string() }).optional(),
});
const oneObject = z.looseObject({ object: objectView });
const oneImage = z.looseObject({ image: imageView });
const exportAnswer = z.looseObject({
  exported: z.looseObject({ fileName: z.string(), size: z.number(), sha256: z.string() }),
});
const quoteView = z.looseObject({
  bytes: z.number(),
  days: z.number(),
  epochs: z.number(),
  epochSeconds: z.number(),
  amount: z.string(),
  currency: z.string(),
});

const networkAnswer = z.looseObject({
  network: z.looseObject({
    kind: z.string(),
    ok: z.boolean(),
    detail: z.string().optional(),
    waiting: z.number(),
    failed: z.number(),
    former: z.array(
      z.looseObject({
        id: z.string(),
        name: z.string(),
        pieces: z.number(),
        dueAt: z.number(),
        error: z.string().optional(),
      }),
    ),
  }),
});

type ImageView = z.output<typeof imageView>;
type ObjectView = z.output<typeof objectView>;

/** Reading all of an image takes its time. */
const WHOLE_MS = 3_600_000;
const PAGE = 1000;

const time = (wallMs: number): string => new Date(wallMs).toISOString();
const size = (bytes: number | undefined): string => (bytes === undefined ? '' : sizeText(bytes));
const costOf = ({ cost }: ImageView): string => (cost === undefined ? '' : `${cost.amount} ${cost.currency}`);
const isCid = (text: string): boolean => /^(?:b[a-z2-7]{58,}|Qm[1-9A-HJ-NP-Za-km-z]{44})$/.test(text);
const pathOf = (id: string): string => `/${isCid(id) ? 'object' : 'image'}/${encodeURIComponent(id)}`;

function showReport(line: ProgressLine): (report: WorkReport) => void {
  return (report) => line.show(report.kind, report);
}

/** Follows long work while it is done; without the stream it is done all the same. */
async function showing<T>(
  { follow }: StoragePeer,
  query: string,
  line: ProgressLine,
  work: () => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const following = follow(`/events?${query}`, showReport(line), over.signal).catch(() => undefined);
  try {
    return await work();
  } finally {
    over.abort();
    await following;
    line.end();
  }
}

const newLine = (json: boolean): ProgressLine =>
  createProgressLine(json ? { write: () => undefined } : process.stderr);

export interface PutFlags {
  readonly image?: boolean;
  readonly days: number;
  readonly json: boolean;
}

/** Stores a local file: as a file at once, as an image until its days are over. */
export function putObject(config: EdgeConfig, path: string, flags: PutFlags): Promise<void> {
  const line = newLine(flags.json);
  return withStorage(config, async (storage) => {
    const file = await readLocal(path);
    if (flags.image === true) {
      // It stays in the images folder, where contracts look for it.
      await sendFile(storage, file, basename(path), line);
      showImage(await putImage(storage, basename(path), flags.days, line), flags.json);
      return;
    }
    const object = await putFile(storage, file, line);
    print(flags.json ? JSON.stringify(object) : `${object.cid}  ${size(object.size)}`);
  });
}

/** By way of a name that follows from the content: an upload that broke off is found again, and no other file is in its way. */
async function putFile(storage: StoragePeer, file: LocalFile, line: ProgressLine): Promise<ObjectView> {
  const fileName = `put-${file.sha256}`;
  await sendFile(storage, file, fileName, line);
  const call = {
    method: 'POST',
    path: '/object',
    json: { fileName, kind: 'file' },
    timeoutMs: WHOLE_MS,
  } as const;
  const { object } = await showing(storage, `fileName=${fileName}`, line, () => storage.ask(oneObject, call));
  await storage.ask(z.unknown(), { method: 'DELETE', path: `/file/${fileName}` });
  return object;
}

async function putImage(
  { ask, follow }: StoragePeer,
  fileName: string,
  days: number,
  line: ProgressLine,
): Promise<ImageView> {
  const imageId = randomUUID();
  const imageName = fileName.replace(/\.tar(?:\.gz|\.zst)?$/, '');
  const json = { imageId, imageName, fileName, storageDuration: days };
  await ask(oneImage, { method: 'POST', path: '/image', json });
  try {
    await follow(`/image/${imageId}/events`, showReport(line));
  } finally {
    line.end();
  }
  const { image } = await ask(oneImage, { path: `/image/${imageId}` });
  if (image.status === 'FAILED')
    throw new AntirioError('invalidInput', image.error ?? 'it could not be stored');
  if (image.status === 'WAITING') throw new AntirioError('unavailable', `not stored yet: image ${imageId}`);
  return image;
}

/** Writes an object to a local file, from blocks that were verified. */
export function getObject(config: EdgeConfig, cid: string, path: string, json: boolean): Promise<void> {
  const line = newLine(json);
  return withStorage(config, async (storage) => {
    const fileName = `get-${randomUUID()}`;
    const file = `/file/${fileName}`;
    const call = {
      method: 'POST',
      path: `/object/${encodeURIComponent(cid)}/export`,
      json: { fileName },
    } as const;
    try {
      const { exported } = await showing(storage, `cid=${encodeURIComponent(cid)}`, line, () =>
        storage.ask(exportAnswer, { ...call, timeoutMs: WHOLE_MS }),
      );
      await receiveFile(storage, exported, path, line);
      print(json ? JSON.stringify({ ...exported, fileName: path }) : `${path}  ${size(exported.size)}`);
    } finally {
      // where it was not written there is none
      await storage.ask(z.unknown(), { method: 'DELETE', path: file }).catch(() => undefined);
    }
  });
}

async function all(storage: StoragePeer, name: 'object' | 'image'): Promise<unknown[]> {
  const found: unknown[] = [];
  const answer = z.looseObject({ totalCount: z.number(), [`${name}s`]: z.array(z.unknown()) });
  for (;;) {
    const page = await storage.ask(answer, { path: `/${name}?offset=${found.length}&limit=${PAGE}` });
    const some = page[`${name}s`] as unknown[];
    found.push(...some);
    if (some.length === 0 || found.length >= Number(page['totalCount'])) return found;
  }
}

/** All objects and images. */
export function listStorage(config: EdgeConfig, json: boolean): Promise<void> {
  return withStorage(config, async (storage) => {
    const objects = await all(storage, 'object');
    const images = await all(storage, 'image');
    if (json) {
      print(JSON.stringify({ objects, images }));
      return;
    }
    const rows = [
      ...parseInput(z.array(imageView), images).map(imageRow),
      ...parseInput(z.array(objectView), objects).map(objectRow),
    ];
    const header = ['WHAT', 'CID', 'STATE', 'SIZE', 'UNTIL', 'COST', 'WHY'];
    print(rows.length === 0 ? 'nothing is stored' : textTable([header, ...rows]));
  });
}

const imageRow = (image: ImageView): string[] => [
  ...[`image ${image.imageName} ${image.imageId}`, image.imageHash ?? '', image.status, size(image.size)],
  ...[time(image.expiresAt), costOf(image), image.error ?? ''],
];
const objectRow = (object: ObjectView): string[] => [
  ...['object', object.cid, object.state, size(object.size), '', '', object.error ?? ''],
];

function showImage(image: ImageView, json: boolean): void {
  const text = `${image.imageHash ?? ''}  ${size(image.size)}  image ${image.imageId} is ${image.status} until ${time(image.expiresAt)}`;
  const cost = costOf(image);
  print(json ? JSON.stringify(image) : text + (cost === '' ? '' : `, for ${cost}`));
}

/** How far an object, or an image, is; follows the work on it while there is any. */
export function storageStatus(config: EdgeConfig, id: string, json: boolean): Promise<void> {
  const line = newLine(json);
  return withStorage(config, async (storage) => {
    const path = pathOf(id);
    if (isCid(id)) {
      const found = (await storage.ask(oneObject, { path })).object;
      if (found.state === 'FETCHING' && !json) await followed(storage, path, line);
      showObject((await storage.ask(oneObject, { path })).object, json);
    } else {
      const found = (await storage.ask(oneImage, { path })).image;
      if (found.status === 'WAITING' && !json) await followed(storage, path, line);
      showImage((await storage.ask(oneImage, { path })).image, json);
    }
  });
}

const followed = ({ follow }: StoragePeer, path: string, line: ProgressLine): Promise<void> =>
  follow(`${path}/events`, showReport(line)).finally(() => line.end());

function showObject(object: ObjectView, json: boolean): void {
  const { cid, state, error = '' } = object;
  print(json ? JSON.stringify(object) : `${cid}  ${size(object.size)}  ${state}  ${error}`.trimEnd());
}

/** Reads every block of an object. */
export function verifyObject(config: EdgeConfig, cid: string, json: boolean): Promise<void> {
  const line = newLine(json);
  const answer = z.looseObject({ verified: z.looseObject({ blocks: z.number(), bytes: z.number() }) });
  const path = `/object/${encodeURIComponent(cid)}/verify`;
  return withStorage(config, async (storage) => {
    const { verified } = await showing(storage, `cid=${encodeURIComponent(cid)}`, line, () =>
      storage.ask(answer, { method: 'POST', path, json: {}, timeoutMs: WHOLE_MS }),
    );
    const { blocks, bytes } = verified;
    print(json ? JSON.stringify(verified) : `${cid}  whole: ${blocks} blocks, ${size(bytes)}`);
  });
}

export interface PriceFlags {
  readonly bytes: number;
  readonly days: number;
}

/** What storing would cost. */
export function storagePrice(config: EdgeConfig, { bytes, days }: PriceFlags, json: boolean): Promise<void> {
  return withStorage(config, async ({ ask }) => {
    const answer = z.looseObject({ quote: quoteView });
    const { quote } = await ask(answer, { path: `/price?bytes=${bytes}&days=${days}` });
    const { amount, currency, epochs, epochSeconds } = quote;
    const text = `${amount} ${currency} for ${size(bytes)} and ${days} days (${epochs} epochs of ${epochSeconds} s)`;
    print(json ? JSON.stringify(quote) : text);
  });
}

/** Where objects are brought to besides, and what is still kept where they were brought to before. */
export function storageNetwork(config: EdgeConfig, json: boolean): Promise<void> {
  return withStorage(config, async ({ ask }) => {
    const { network } = await ask(networkAnswer, { path: '/network' });
    const { kind, ok, detail = '', waiting, failed, former } = network;
    const lines = [
      `${kind}  ${ok ? 'well' : 'NOT WELL'}  ${detail}`,
      ...(kind === 'embedded' ? [] : [`${waiting} pieces wait, ${failed} have failed`]),
      ...former.map(({ id, name, pieces, dueAt, error }) => {
        const why = error === undefined ? `until ${time(dueAt)} and until the network holds all` : error;
        return `${pieces} pieces are still kept at ${name} (${id}): ${why}`;
      }),
    ];
    print(json ? JSON.stringify(network) : lines.join('\n'));
  });
}

/** Leaves there what a former network keeps, and tells of it no more. */
export function forgetNetwork(config: EdgeConfig, id: string, json: boolean): Promise<void> {
  return withStorage(config, async ({ ask }) => {
    await ask(z.unknown(), { method: 'DELETE', path: `/network/former/${encodeURIComponent(id)}` });
    print(json ? JSON.stringify({ forgotten: id }) : `${id}  is forgotten; what is there stays there`);
  });
}

/** Lets go of an object, or of an image. */
export function removeStored(config: EdgeConfig, id: string, json: boolean): Promise<void> {
  return withStorage(config, async ({ ask }) => {
    await ask(z.unknown(), { method: 'DELETE', path: pathOf(id) });
    print(json ? JSON.stringify({ removed: id }) : `${id}  is kept no longer`);
  });
}
