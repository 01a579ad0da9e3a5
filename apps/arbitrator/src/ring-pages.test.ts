import { describe, expect, test } from '@jest/globals';
import { framesBetween, type AskBridge } from './ring-pages.ts';

const frame = (seq: number) => ({
  ...{ seq, receivedAt: 1, via: 'radio', phyPayload: 'QAAA' },
  rx: { snr: 5, spreadingFactor: 7, bandwidth: 125, context: 'x'.repeat(1000) },
});

/** What was read, of pages that are answered in turn, the last one again and again. */
async function read(pages: readonly (readonly number[])[], through: number): Promise<number[]> {
  let asked = 0;
  const ask: AskBridge = async () => {
    if (asked > 20) throw new TypeError('asked for ever');
    return { frames: (pages[Math.min(asked++, pages.length - 1)] ?? []).map(frame) };
  };
  const seqs: number[] = [];
  for await (const page of framesBetween(ask, 'own', 3, through)) seqs.push(...page.map(({ seq }) => seq));
  return seqs;
}

describe('frames of a ring', () => {
  test('are read page by page, to the number asked for or to the end', async () => {
    expect(await read([[4, 5], [8], [9, 11]], 9)).toEqual([4, 5, 8, 9]);
    expect(await read([[4, 5], []], 9)).toEqual([4, 5]);
  });

  test.each([
    ['a page again', [[4, 5]]],
    ['a page of before', [[4, 5], [2]]],
    ['a number twice in a page', [[4, 4, 5]]],
    ['a page that goes back and up again', [[4], [9, 5, 10]]],
  ])('are refused of who answers with %s', async (_what, pages) => {
    await expect(read(pages, 2 ** 40)).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('are held without what nobody asked for', async () => {
    const ask: AskBridge = async () => ({ frames: [frame(4)] });
    const held: unknown[] = [];
    for await (const page of framesBetween(ask, 'own', 3, 4)) held.push(page);
    expect(held).toMatchObject([[{ seq: 4, rx: { snr: 5 } }]]);
    expect(JSON.stringify(held).length).toBeLessThan(300);
  });
});
