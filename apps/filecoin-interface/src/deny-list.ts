import { readFileSync } from 'node:fs';
import { blockKey, parseCid, type CID } from '@antirio/content-store';
import { AntirioError, describeError, type Clock } from '@antirio/kernel';
import type { RecordTable } from '@antirio/durable-work';

/** Something that is not given out to others. */
export interface DeniedRecord {
  readonly cid: string;
  readonly reason?: string | undefined;
  /** Milliseconds since the Unix epoch. */
  readonly since: number;
}

/** What the gateway answers 410 for, by the hash: whichever form the CID has. What is below it is denied by its own CIDs alone. */
export interface DenyList {
  has(cid: CID): boolean;
  all(): DeniedRecord[];
  /** @throws AntirioError invalidInput | busy */
  deny(cid: string, reason: string | undefined): DeniedRecord;
  /** @throws AntirioError notFound | conflict (the file denies it) */
  allow(cid: string): void;
}

/**
 * @param file CIDs, one a line, `#` begins a comment; read once
 * @throws AntirioError badConfig where the file cannot be read
 */
export function openDenyList(table: RecordTable<DeniedRecord>, clock: Clock, file?: string): DenyList {
  const ofFile = new Map(
    (file === undefined ? [] : readDenied(file)).map((cid) => [blockKey(cid), cid.toString()]),
  );
  const since = clock.now();
  const denied = new Set([...ofFile.keys(), ...table.all().map(({ cid }) => blockKey(parseCid(cid)))]);
  return {
    has: (cid) => denied.has(blockKey(cid)),
    all: () => [
      ...[...ofFile.values()].map((cid) => ({ cid, reason: `denied by ${String(file)}`, since })),
      ...table.all(),
    ],
    deny(text, reason) {
      const cid = parseCid(text);
      const record = { cid: cid.toString(), reason, since: clock.now() };
      table.put(blockKey(cid), record);
      denied.add(blockKey(cid));
      return record;
    },
    allow(text) {
      const key = blockKey(parseCid(text));
      if (!table.remove(key)) {
        if (ofFile.has(key)) throw new AntirioError('conflict', `${String(file)} denies ${text}`);
        throw new AntirioError('notFound', `${text} is not denied`);
      }
      if (!ofFile.has(key)) denied.delete(key);
    },
  };
}

function readDenied(file: string): CID[] {
  try {
    const lines = readFileSync(file, 'utf8').split('\n');
    const cids = lines.map((line) => line.replace(/#.*/, '').trim()).filter((cid) => cid !== '');
    return cids.map(parseCid);
  } catch (cause) {
    throw new AntirioError('badConfig', `gateway.denyFile: ${describeError(cause)}`, { file }, cause);
  }
}
