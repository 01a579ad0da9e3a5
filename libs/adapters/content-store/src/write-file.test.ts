import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { isAntirioError, sha256Hex } from '@antirio/kernel';
import { writeStreamDurably } from './write-file.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-write-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Bytes that end only when they are told to. */
function held(text: string): { source: AsyncGenerator<Uint8Array>; end: () => void } {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const source = async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.from(text);
    await promise;
  };
  return { source: source(), end: () => resolve(undefined) };
}

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'none',
    (error: unknown) => (isAntirioError(error) ? error.code : String(error)),
  );

test('a file is written by one at a time, and is what its writer was told', async () => {
  const path = join(folder, 'out');
  const one = held('one');
  const first = writeStreamDurably(path, one.source);
  const second = await codeOf(writeStreamDurably(`${folder}/./out`, held('two').source));
  one.end();
  const { sha256 } = await first;
  expect(second).toBe('busy');
  expect(sha256Hex(readFileSync(path))).toBe(sha256);
  const again = held('three');
  again.end();
  await writeStreamDurably(path, again.source);
  expect([readFileSync(path, 'utf8'), readdirSync(folder)]).toEqual(['three', ['out']]);
});

test('what a killed writer left half-written is in nobody’s way', async () => {
  mkdirSync(join(folder, 'out.part'));
  const one = held('one');
  one.end();
  await writeStreamDurably(join(folder, 'out'), one.source);
  expect(readFileSync(join(folder, 'out'), 'utf8')).toBe('one');
});

test('a file that cannot be written for another reason than room is not called full', async () => {
  mkdirSync(join(folder, 'out'));
  const one = held('one');
  one.end();
  expect(await codeOf(writeStreamDurably(join(folder, 'out'), one.source))).toBe('unavailable');
  expect(readdirSync(folder)).toEqual(['out']);
});
