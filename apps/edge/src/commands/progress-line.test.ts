import { expect, test } from '@jest/globals';
import { createProgressLine, sizeText } from './progress-line.ts';

function showAll(isTTY: boolean, total: number | undefined): string {
  let text = '';
  const line = createProgressLine({ isTTY, write: (more) => (text += more) });
  for (let bytes = 0; bytes <= 1000; bytes += 5)
    line.show('upload', { bytes, totalBytes: total, bytesPerS: 2048 });
  line.end();
  return text;
}

test('on a terminal one line is drawn again and again', () => {
  const text = showAll(true, 1000);
  expect(text.match(/\n/g)).toHaveLength(1);
  expect(text.split('\r').at(-1)).toBe('upload  100 %  1000 B of 1000 B  2.0 KiB/s\n');
  expect(text.split('\r')).toHaveLength(202);
});

test('a shorter text leaves nothing of the longer one before it', () => {
  let text = '';
  const line = createProgressLine({ isTTY: true, write: (more) => (text += more) });
  line.show('a long description', { bytes: 1, bytesPerS: 0 });
  line.show('short', { bytes: 1, bytesPerS: 0 });
  const [, long = '', short = ''] = text.split('\r');
  expect(short).toHaveLength(long.length);
});

test('elsewhere there is a line at each 10 %, and none where the total is not known', () => {
  const lines = showAll(false, 1000).trimEnd().split('\n');
  const percents = lines.map((line) => /(\d+) %/.exec(line)?.[1]);
  expect(percents).toEqual(['0', '10', '20', '30', '40', '50', '60', '70', '80', '90', '100']);
  expect(showAll(false, undefined)).toBe('');
});

test('sizes are in binary units', () => {
  expect([0, 1023, 1024, 1536 * 1024, 5 * 2 ** 40].map(sizeText)).toEqual([
    ...['0 B', '1023 B', '1.0 KiB', '1.5 MiB', '5.0 TiB'],
  ]);
});
