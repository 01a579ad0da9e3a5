import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { createProgress, type NumberedReport, type Progress, type Teller } from './progress.ts';

let now: number;
let progress: Progress;
let told: NumberedReport[];
/** Ends the work that `begin` began. */
let end: (error?: Error) => void;

beforeEach(() => {
  jest.useFakeTimers();
  now = 0;
  progress = createProgress({ now: () => 1_000_000 + now, monotonic: () => now });
  told = [];
  progress.listen((report) => {
    if (report !== undefined) told.push(report);
  });
});
afterEach(() => void jest.useRealTimers());

function begin(): { tell: Teller; over: Promise<unknown> } {
  let telling: Teller | undefined;
  const over = progress.track('import', { fileName: 'x' }, (tell) => {
    telling = tell;
    return new Promise<void>((resolve, reject) => {
      end = (error) => (error === undefined ? resolve() : reject(error));
    });
  });
  return { tell: telling as unknown as Teller, over };
}

const pass = (ms: number): void => {
  now += ms;
  jest.advanceTimersByTime(ms);
};

describe('reports', () => {
  test('come at most five times a second, with the newest figures, and always at the end', async () => {
    const { tell, over } = begin();
    for (let i = 1; i <= 1000; i++) {
      tell.seen({ bytes: i * 1000, totalBytes: 1_000_000 });
      pass(1);
    }
    end();
    await over;
    expect(told.length).toBeLessThanOrEqual(7);
    expect(told.length).toBeGreaterThanOrEqual(6);
    expect(told.map(({ seq }) => seq)).toEqual(told.map((_, i) => i + 1));
    expect(told[0]?.report).toMatchObject({ state: 'running', bytes: 0, kind: 'import', fileName: 'x' });
    const last = told.at(-1)?.report;
    expect(last).toMatchObject({ state: 'done', bytes: 1_000_000, totalBytes: 1_000_000, elapsedMs: 1000 });
    expect(last?.bytesPerS).toBeGreaterThan(900_000);
    expect(last?.bytesPerS).toBeLessThan(1_100_000);
  });

  test('what was seen last is told though nothing more is seen', () => {
    const { tell } = begin();
    tell.seen({ bytes: 5 });
    expect(told).toHaveLength(1);
    pass(200);
    expect(told.at(-1)?.report).toMatchObject({ state: 'running', bytes: 5 });
    pass(60_000);
    expect(told).toHaveLength(2);
  });

  test('a failure is told with its reason, and thrown', async () => {
    const { over } = begin();
    end(new Error('the disk is gone'));
    await expect(over).rejects.toThrow('the disk is gone');
    expect(told.at(-1)?.report).toMatchObject({ state: 'failed', error: 'the disk is gone' });
    expect(progress.running()).toEqual([]);
  });
});

describe('who missed reports', () => {
  test('gets the newest of each piece of work', async () => {
    const first = begin();
    const endFirst = end;
    begin();
    first.tell.seen({ bytes: 1 });
    pass(200);
    endFirst();
    await first.over;
    expect(progress.since(0)?.map(({ report: { workId, state } }) => [workId, state])).toEqual([
      [2, 'running'],
      [1, 'done'],
    ]);
    expect(progress.since(2)?.map(({ report }) => report.workId)).toEqual([1]);
    expect(progress.since(progress.seq)).toEqual([]);
    expect(progress.since(progress.seq + 1)).toBeUndefined();
    expect(progress.running().map(({ workId }) => workId)).toEqual([2]);
  });

  test('of what is long over nothing is kept, and that is said', async () => {
    for (let i = 0; i < 200; i++) await progress.track('verify', {}, () => Promise.resolve());
    expect(progress.since(0)).toBeUndefined();
    expect(progress.since(100)).toBeUndefined();
    expect(progress.since(144)).toHaveLength(128);
    expect(progress.since(399)).toHaveLength(1);
  });
});
