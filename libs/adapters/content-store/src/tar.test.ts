import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isAntirioError } from '@antirio/kernel';
import { extract, pack, type Header } from 'tar-stream';
import { checksum, entryPath, padding, TAR_BLOCK, TarScanner, type TarEntry } from './tar.ts';

type Entry = Partial<Header> & { name: string };

async function tarOf(...entries: readonly [Entry, Uint8Array?][]): Promise<Buffer> {
  const tar = pack();
  for (const [header, content] of entries) tar.entry(header, Buffer.from(content ?? ''));
  tar.finalize();
  const parts: Buffer[] = [];
  for await (const part of tar as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts);
}

/** A header by hand, its checksum right. */
function header(fields: Readonly<Record<number, string | Uint8Array>>): Buffer {
  const block = Buffer.alloc(TAR_BLOCK);
  block.write('file', 0);
  block.write('00000000000\0', 124);
  block.write('0', 156);
  for (const [at, value] of Object.entries(fields)) block.set(Buffer.from(value as string), Number(at));
  block.write(`${checksum(block).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** A pax header of type `x` or `g` with these bytes. */
function pax(type: 'x' | 'g', records: string): Buffer {
  const size = `${records.length.toString(8).padStart(11, '0')}\0`;
  return Buffer.concat([
    header({ 124: size, 156: type }),
    Buffer.from(records),
    Buffer.alloc(padding(records.length)),
  ]);
}

const record = (key: string, value: string): string => {
  const rest = ` ${key}=${value}\n`;
  const digits = String(rest.length + 2).length;
  return `${rest.length + digits}${rest}`;
};

function scan(bytes: Uint8Array, piece = bytes.length): TarEntry[] {
  const entries: TarEntry[] = [];
  const scanner = new TarScanner((entry) => entries.push(entry));
  for (let at = 0; at < bytes.length; at += piece) scanner.push(bytes.subarray(at, at + piece));
  scanner.finish();
  return entries;
}

const END = Buffer.alloc(2 * TAR_BLOCK);

test('entries are those that tar-stream reads, whatever the names, types and pieces', async () => {
  const name = fc.stringMatching(/^[a-zäß]{1,9}(\/[a-z]{1,60}){0,4}$/);
  const entry = fc.oneof(
    fc.tuple(fc.record({ name }), fc.uint8Array({ maxLength: 1500 })),
    fc.tuple(fc.record({ name, type: fc.constant('directory' as const) })),
    fc.tuple(fc.record({ name, type: fc.constantFrom('symlink' as const, 'link' as const), linkname: name })),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(entry, { maxLength: 6 }),
      fc.integer({ min: 1, max: 2000 }),
      async (entries, piece) => {
        const tar = await tarOf(...(entries as [Entry, Uint8Array?][]));
        const theirs: { name: string; size: number; linkName: string }[] = [];
        const reader = extract();
        reader.end(tar);
        for await (const entry of reader) {
          const { name: read, size, linkname, type } = entry.header;
          theirs.push({ name: read, size, linkName: type.endsWith('link') ? linkname : '' });
          entry.resume();
        }
        expect(scan(tar, piece).map(({ name: n, size, linkName }) => ({ name: n, size, linkName }))).toEqual(
          theirs,
        );
      },
    ),
    { numRuns: 40 },
  );
});

test('a tar that is changed or cut anywhere is refused or read, in any pieces the same, and nothing else', async () => {
  const tar = await tarOf(
    [{ name: 'a/long'.repeat(30) }, Buffer.alloc(700, 'x')],
    [{ name: 'link', type: 'link', linkname: 'y'.repeat(150) }],
    [{ name: 'pax', pax: { path: 'elsewhere', comment: 'c' } }, Buffer.from('z')],
  );
  const outcome = (bytes: Uint8Array, piece: number): unknown => {
    try {
      return scan(bytes, piece);
    } catch (error) {
      expect(isAntirioError(error)).toBe(true);
      return String(error);
    }
  };
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(tar.length - 1), fc.nat(255)), { maxLength: 4 }),
      fc.integer({ min: 0, max: tar.length }),
      fc.integer({ min: 1, max: 1500 }),
      (changes, cut, piece) => {
        const bytes = Buffer.from(tar);
        for (const [at, value] of changes) bytes[at] = value;
        const some = bytes.subarray(0, cut);
        expect(outcome(some, piece)).toEqual(outcome(some, Math.max(1, some.length)));
      },
    ),
    { numRuns: 500 },
  );
});

describe('what a tar may not say', () => {
  test.each<[string, () => Buffer, RegExp]>([
    ['a wrong checksum', () => Buffer.concat([header({}).fill('9', 100, 101), END]), /checksum/],
    ['a size that is not octal', () => Buffer.concat([header({ 124: '9x' }), END]), /not octal/],
    ['a negative size', () => Buffer.concat([header({ 124: Buffer.alloc(12, 0xff) }), END]), /negative/],
    [
      'a size that no disk has',
      () => Buffer.concat([header({ 124: Buffer.concat([Buffer.of(0x80), Buffer.alloc(11, 0x7f)]) }), END]),
      /absurd size/,
    ],
    ['a name of 2 MiB', () => header({ 124: '00010000000\0', 156: 'L' }), /absurdly long/],
    ['a sparse file of GNU', () => Buffer.concat([header({ 156: 'S' }), END]), /sparse/],
    [
      'a sparse file in pax',
      () => Buffer.concat([pax('x', record('GNU.sparse.map', '0,1')), header({}), END]),
      /sparse/,
    ],
    [
      'a size in pax with an exponent',
      () => Buffer.concat([pax('x', record('size', '1e3')), header({}), END]),
      /absurd/,
    ],
    ['an empty size in pax', () => Buffer.concat([pax('x', record('size', '')), header({}), END]), /absurd/],
    [
      'a negative size in pax',
      () => Buffer.concat([pax('x', record('size', '-5')), header({}), END]),
      /absurd/,
    ],
    [
      'a pax record longer than its header',
      () => Buffer.concat([pax('x', '99 path=x\n'), header({}), END]),
      /pax record/,
    ],
    ['a pax record without end', () => Buffer.concat([pax('x', '9 path=xy'), header({}), END]), /pax record/],
    [
      'a pax record of no length',
      () => Buffer.concat([pax('x', '0x9 pa=x\n'), header({}), END]),
      /pax record/,
    ],
    [
      'a path for all entries',
      () => Buffer.concat([pax('g', record('path', '../x')), header({}), END]),
      /global/,
    ],
    [
      'a size for all entries',
      () => Buffer.concat([pax('g', record('size', '0')), header({}), END]),
      /global/,
    ],
    ['an end inside of an entry', () => header({ 124: '00000000777\0' }), /ends inside/],
    ['an end inside of a header', () => header({}).subarray(0, 100), /ends inside/],
    ['an end behind a long name', () => pax('x', record('path', 'x')).subarray(0, 600), /ends inside/],
  ])('%s', (_what, bytes, why) => {
    expect(() => scan(bytes())).toThrow(why);
  });

  test.each(['..', '../x', 'a/../../x', '/../x', './..', 'a\0b'])('a path %j out of its archive', (path) => {
    expect(() => entryPath(path)).toThrow(/outside of its archive/);
  });
});

test('what a header says beside is no content: hard links, devices and folders have none, whatever their size', () => {
  for (const type of ['1', '2', '3', '4', '5', '6']) {
    const tar = Buffer.concat([header({ 124: '00000001000\0', 156: type }), header({}), END]);
    expect(scan(tar).map(({ size }) => size)).toEqual([0, 0]);
  }
  // A comment for all entries, as git archive writes it, says nothing about them.
  expect(scan(Buffer.concat([pax('g', record('comment', 'abc')), header({}), END]))).toHaveLength(1);
  expect(entryPath('/./a//b/')).toBe('a/b');
});
