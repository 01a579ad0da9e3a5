import { AntirioError } from '@antirio/kernel';
import { parseCid, type CID } from '@antirio/content-store';
import type { z } from 'zod';
import { archiveOf, requireFile } from './archives.ts';
import type { ObjectPorts } from './objects.ts';
import type { FilecoinInterfaceOptions } from './options.ts';
import { imagePin, objectPin } from './pins.ts';
import type { Teller } from './progress.ts';
import type { mendBody } from './shapes.ts';
import type { NameOf, StoredObject } from './storage.ts';

export type MendPorts = Pick<ObjectPorts, 'records' | 'storage' | 'orchestrator' | 'progress'>;

export interface Mended {
  readonly cid: string;
  /** Bytes of content. */
  readonly size: number;
}

/**
 * Makes whole again what is kept already, from where its bytes are. Nothing else comes to be kept by it, and nothing is brought to the
 * storage network once more.
 * @throws AntirioError notFound where it is not kept; conflict where the bytes are those of something else; what storing throws
 */
export type Mend = (cid: string, body: z.output<typeof mendBody>, signal?: AbortSignal) => Promise<Mended>;

export function createMend(options: FilecoinInterfaceOptions, ports: MendPorts): Mend {
  const { records, progress } = ports;
  const { dataDir } = options;
  return async (text, body, signal) => {
    const cid = parseCid(text);
    requireKept(cid, ports);
    const subject = { cid: cid.toString(), ...('fileName' in body ? { fileName: body.fileName } : {}) };
    return progress.track('import', subject, async (tell) => {
      const { size } = await put(pinOfSame(cid, ports), body, tell, signal);
      noteWhole(subject.cid, size, records);
      return { cid: subject.cid, size };
    });
  };

  function put(
    name: NameOf,
    body: z.output<typeof mendBody>,
    tell: Teller,
    signal: AbortSignal | undefined,
  ): Promise<StoredObject> {
    const { storage } = ports;
    if ('json' in body) return storage.putJson(name, body.json);
    if ('fileName' in body) requireFile(dataDir, body.fileName);
    return storage.putImage(name, archiveOf(body, { ...ports, dataDir }, tell, signal), signal);
  }
}

/** The name that keeps it, asked for when all blocks are here: it may have been dropped meanwhile. */
function pinOfSame(cid: CID, ports: MendPorts): NameOf {
  return (made) => {
    const [is, wanted] = [made.toString(), cid.toString()];
    if (is !== wanted) throw new AntirioError('conflict', `that is ${is}, not ${wanted}`, { cid: wanted });
    return requireKept(cid, ports);
  };
}

function noteWhole(cid: string, size: number, records: MendPorts['records']): void {
  const object = records.objects.get(cid);
  if (object?.state === 'FAILED')
    records.objects.put(cid, { ...object, state: 'STORED', size, error: undefined });
  for (const image of records.images.all())
    if (image.imageHash === cid && image.status === 'FAILED')
      records.images.put(image.imageId, { ...image, status: 'STORED', error: undefined });
}

function requireKept(cid: CID, { records }: MendPorts): string {
  const text = cid.toString();
  if (records.objects.get(text) !== undefined) return objectPin(text);
  const image = records.images
    .all()
    .find(({ imageHash, status }) => imageHash === text && status !== 'EXPIRED');
  if (image === undefined) throw new AntirioError('notFound', `nothing keeps ${text} here`, { cid: text });
  return imagePin(image.imageId);
}
