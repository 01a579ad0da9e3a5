import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { openAppendLog } from './append-log.ts';

let folder = '';
const path = (): string => join(folder, 'log');
const open = (maxRecordBytes?: number): { log: ReturnType<typeof openAppendLog>; found: string[] } => {
  const found: string[] = [];
  const log = openAppendLog({
    path: path(),
    onRecord: (record) => found.push(Buffer.from(record).toString()),
    ...(maxRecordBytes === undefined ? {} : { maxRecordBytes }),
  });
  return { log, found };
};
const written = async (...records: readonly string[]): Promise<void> => {
  const { log } = open();
  await Promise.all(records.map((record) => log.append(Buffer.from(record))));
  await log.close();
};
const reread = async (): Promise<string[]> => {
  const { log, found } = open();
  await log.close();
  return found;
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-log-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('an append log', () => {
  test('gives back every record in order, whatever its bytes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ minLength: 1, maxLength: 300 }), { maxLength: 40 }),
        async (records) => {
          rmSync(path(), { force: true });
          await written(...records);
          expect(await reread()).toEqual(records.map((record) => Buffer.from(record).toString()));
        },
      ),
      { numRuns: 20 },
    );
  });

  test('cut anywhere in its last record, it holds the others, and goes on', async () => {
    await written('one', 'two', 'three');
    const size = statSync(path()).size;
    for (let cut = 1; cut < 13; cut += 3) {
      truncateSync(path(), size - cut);
      expect(await reread()).toEqual(['one', 'two']);
      await written('three');
    }
  });

  test('zeros behind the last record, as a file system may leave them, are no records', async () => {
    await written('one');
    appendFileSync(path(), Buffer.alloc(4096));
    expect(await reread()).toEqual(['one']);
    expect(existsSync(`${path()}.torn`)).toBe(false);
    await written('two');
    expect(await reread()).toEqual(['one', 'two']);
  });

  test('damage in the middle ends it there, and what was behind is kept aside', async () => {
    await written('one', 'two', 'three');
    const bytes = readFileSync(path());
    const damaged = Buffer.from(bytes);
    damaged[12] = (damaged[12] ?? 0) ^ 1;
    writeFileSync(path(), damaged);
    expect(await reread()).toEqual(['one']);
    expect(readFileSync(`${path()}.torn`).length).toBe(bytes.length);
  });

  test('refuses records that are empty or over the limit, and stays usable', async () => {
    const { log } = open(16);
    await expect(log.append(new Uint8Array())).rejects.toMatchObject({ code: 'invalidInput' });
    await expect(log.append(new Uint8Array(17))).rejects.toMatchObject({ code: 'tooLarge' });
    await log.append(Buffer.from('fine'));
    await log.close();
    expect(await reread()).toEqual(['fine']);
  });
});
