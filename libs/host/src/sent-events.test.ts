import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { readSentEvents, type SentEvent } from './sent-events.ts';

async function read(...pieces: readonly (string | Uint8Array)[]): Promise<SentEvent[]> {
  async function* body(): AsyncGenerator<Uint8Array> {
    for (const piece of pieces) yield typeof piece === 'string' ? Buffer.from(piece) : piece;
  }
  const events: SentEvent[] = [];
  for await (const event of readSentEvents(body())) events.push(event);
  return events;
}

describe('a stream of events', () => {
  test.each([
    ['data: x\n\n', [{ id: '', event: 'message', data: 'x' }]],
    ['data:x\r\ndata:  y\r\n\r\n', [{ id: '', event: 'message', data: 'x\n y' }]],
    ['event: a\rid: 7\rdata\r\r', [{ id: '7', event: 'a', data: '' }]],
    [': heartbeat\n\nretry: 10\n\nevent: none\n\ndata: 1\n\n', [{ id: '', event: 'message', data: '1' }]],
    [
      'id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n',
      [
        { id: '1', event: 'message', data: 'a' },
        { id: '1', event: 'message', data: 'b' },
        { id: '', event: 'message', data: 'c' },
      ],
    ],
    ['data: cut off', []],
    ['data: {"a": "b: c"}\n\n', [{ id: '', event: 'message', data: '{"a": "b: c"}' }]],
  ])('%j', async (text, events) => {
    expect(await read(text)).toEqual(events);
  });

  test('is the same however it is cut', async () => {
    const bytes = Buffer.from('id: 1\r\nevent: ä\r\ndata: one\r\ndata: zwei ✓\r\n\r\n: c\n\ndata: 3\n\n');
    const whole = await read(bytes);
    expect(whole).toHaveLength(2);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 8 }), async (places) => {
        const cuts = [0, ...places.sort((a, b) => a - b), bytes.length];
        const pieces = cuts.slice(1).map((to, i) => bytes.subarray(cuts[i], to));
        expect(await read(...pieces)).toEqual(whole);
      }),
      { numRuns: 200, seed: 3 },
    );
  });

  test('an event without end is refused', async () => {
    await expect(read('data: '.padEnd((1 << 20) + 2, 'x'))).rejects.toMatchObject({ code: 'tooLarge' });
    const lines = new Array<string>(20).fill(`data: ${'x'.repeat(100_000)}\n`);
    await expect(read(...lines)).rejects.toMatchObject({ code: 'tooLarge' });
  });
});
