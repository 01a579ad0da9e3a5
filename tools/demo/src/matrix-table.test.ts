import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { cellOf, cellsIn, documentOf, merged } from './matrix-table.ts';
import { completeOptions, FAILURE_KINDS } from './options.ts';
import { emptyReport } from './result.ts';

const cell = (kill: 'sigkill' | 'loss', covered: number) =>
  cellOf(completeOptions({ kill }), { ...emptyReport, uplinks: { ...emptyReport.uplinks, covered } });

test('a document is read as it was written, and newer runs take the place of older ones', () => {
  const first = merged([], [cell('loss', 1), cell('sigkill', 2)]);
  const again = merged(cellsIn(documentOf(first)), [cell('loss', 3)]);
  expect(again.map(({ kill, figures }) => [kill, figures[3]])).toEqual([
    ['sigkill', '2'],
    ['loss', '3'],
  ]);
  expect(cellsIn(documentOf(again))).toEqual(again);
});

test('every failure has its sentence', () => {
  const document = documentOf([]);
  for (const kind of FAILURE_KINDS) expect(document).toContain(`- \`${kind}\`: `);
});

test('the table in the documents says of each failure what is said here', () => {
  const document = readFileSync(join(import.meta.dirname, '../../../docs/fault-matrix.md'), 'utf8');
  expect(documentOf(cellsIn(document))).toBe(document);
});
