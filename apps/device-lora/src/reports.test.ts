import { expect, test } from '@jest/globals';
import { createReports } from './reports.ts';

test('each kind is told once in a minute, with the number that was left out', () => {
  let now = 0;
  const tell = createReports({ monotonic: () => now });
  const told: string[] = [];
  const happens = (kind: string): void => tell(kind, (leftOut) => told.push(`${kind} ${leftOut}`));
  for (const kind of ['badMic', 'badMic', 'replay', 'badMic']) happens(kind);
  now = 60_000;
  happens('badMic');
  expect(told).toEqual(['badMic 0', 'replay 0', 'badMic 2']);
});
