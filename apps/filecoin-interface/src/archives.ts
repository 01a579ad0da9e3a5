import { statSync, type Stats } from 'node:fs';
import { wholeFile } from '@antirio/content-store';
import { answerError, type HttpPeer } from '@antirio/host';
import { AntirioError, concatBytes, isAntirioError } from '@antirio/kernel';
import { counted, type Teller } from './progress.ts';
import { imageFile } from './storage.ts';

/** Where an image comes from: a file of the images folder, or the container engine. */
export interface ArchiveSource {
  readonly fileName?: string | undefined;
  /** `name:tag`, or an id. */
  readonly engineImage?: string | undefined;
}

/** An engine may have to read a whole image before it sends the first byte of it. */
const ENGINE_IDLE_MS = 120_000;
const MAX_ERROR_BYTES = 64 << 10;

/** By what archives are reached. */
export interface ArchivePorts {
  readonly dataDir: string;
  /** Who has the container engine. */
  readonly orchestrator: HttpPeer | undefined;
}

/** Gives the archive as it comes, each time from its beginning, and tells how much of it has come. Nothing is opened before it is read. */
export function archiveOf(
  source: ArchiveSource,
  ports: ArchivePorts,
  tell: Teller,
  signal?: AbortSignal,
): () => AsyncIterable<Uint8Array> {
  return () => counted(openArchive(source, ports, signal), tell, archiveBytes(source, ports.dataDir));
}

/** Of an archive that is a file; what comes out of the engine is known once it is stored. */
export function archiveBytes({ fileName }: ArchiveSource, dataDir: string): number | undefined {
  return fileName === undefined ? undefined : fileStat(dataDir, fileName)?.size;
}

/** @throws AntirioError notFound, rather than an order that fails later. */
export function requireFile(dataDir: string, fileName: string): void {
  if (!isFile(dataDir, fileName))
    throw new AntirioError('notFound', `there is no file images/${fileName}`, { fileName });
}

/** Whether there is such a file in the images folder. */
export const isFile = (dataDir: string, fileName: string): boolean =>
  fileStat(dataDir, fileName)?.isFile() === true;

const fileStat = (dataDir: string, fileName: string): Stats | undefined =>
  statSync(imageFile(dataDir, fileName), { throwIfNoEntry: false });

function openArchive(
  source: ArchiveSource,
  { dataDir, orchestrator }: ArchivePorts,
  signal: AbortSignal | undefined,
): AsyncIterable<Uint8Array> {
  const { fileName, engineImage } = source;
  if (fileName !== undefined) return wholeFile(imageFile(dataDir, fileName));
  if (engineImage === undefined)
    throw new AntirioError('invalidInput', 'neither a file nor an image of the engine is named');
  return fromEngine(engineImage, orchestrator, signal);
}

/** @throws AntirioError invalidInput for an image that is not there; conflict | busy | unavailable, as the orchestrator answers */
async function* fromEngine(
  image: string,
  orchestrator: HttpPeer | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  if (orchestrator?.open === undefined)
    throw new AntirioError(
      'conflict',
      'no orchestrator is configured, by which the container engine is reached',
    );
  const path = `/orchestrator/v1/image?name=${encodeURIComponent(image)}`;
  const answer = await orchestrator.open(path, { idleMs: ENGINE_IDLE_MS, signal });
  if (answer.status === 200) {
    yield* answer.body;
    return;
  }
  const error = answerError({ path }, { status: answer.status, body: await beginning(answer.body) });
  // What the engine does not have does not come by asking again
  throw isAntirioError(error, 'notFound')
    ? new AntirioError('invalidInput', error.message, { image })
    : error;
}

async function beginning(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of body) {
    parts.push(part);
    size += part.length;
    if (size > MAX_ERROR_BYTES) break;
  }
  return concatBytes(...parts);
}
