import { describe, expect, test } from '@jest/globals';
import type { HttpAnswer, HttpCall, HttpPeer } from '@antirio/host';
import { AntirioError, fromUtf8 } from '@antirio/kernel';
import { createFeed } from './feed.ts';
import { featuresOf } from './features.ts';
import { ackTag, decodeFrame, encodeFrame, eventIdOf, type Frame } from './frame.ts';
import { eventOf } from './frame-event.ts';
import { createPreprocessor } from './preprocessor.ts';

const KEY_HEX = '0f'.repeat(32);
const KEY = new Uint8Array(32).fill(0x0f);
const FLIGHT = '4e6a1f0c-7d63-4c1a-9a07-0d2f5f6f2b11';
const feed = createFeed('7', 64, 48);

function frameOf(sequence: number): Frame {
  return { flight: FLIGHT, sequence, capturedAt: 1_700_000_000_123, picture: feed.picture(sequence) };
}

describe('frames of the drone', () => {
  test('the same seed shows the same, another number or seed something else', () => {
    expect(createFeed('7', 64, 48).picture(3)).toEqual(feed.picture(3));
    expect(feed.picture(4)).not.toEqual(feed.picture(3));
    expect(createFeed('8', 64, 48).picture(3)).not.toEqual(feed.picture(3));
  });

  test('come through as they were, and not with one bit changed', () => {
    const frame = frameOf(258);
    const bytes = encodeFrame(frame, KEY);
    expect(decodeFrame(bytes, KEY)).toEqual(frame);
    for (const at of [5, 11, 19, 35, 36, 200, bytes.length - 1]) {
      const changed = Uint8Array.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(() => decodeFrame(changed, KEY)).toThrow(AntirioError);
    }
    expect(() => decodeFrame(bytes, new Uint8Array(32))).toThrow('not of the drone');
    expect(() => decodeFrame(bytes.subarray(0, 40), KEY)).toThrow('no frame');
  });

  test('the target is found where it is', () => {
    for (const sequence of [0, 1, 17, 400]) {
      const picture = feed.picture(sequence);
      const { targetX, targetY } = featuresOf(picture);
      const spot = picture.pixels.indexOf(250);
      expect([targetX, targetY]).toEqual([(spot % 64) + 6, Math.floor(spot / 64) + 6]);
    }
  });

  test('make the same event wherever it is made', () => {
    const once = eventOf('pre', 'drone-1', frameOf(9));
    expect(eventOf('pre', 'drone-1', decodeFrame(encodeFrame(frameOf(9), KEY), KEY))).toEqual(once);
    expect(JSON.parse(once.body)).toMatchObject({ event: { id: eventIdOf('drone-1', FLIGHT, 9) } });
    expect(once.body.length).toBeLessThan(64 * 48);
  });
});

describe('the pre-processing service', () => {
  const calls: HttpCall[] = [];
  let answers: readonly (number | 'gone')[] = [];
  const coreData: HttpPeer = {
    call(call) {
      calls.push(call);
      const [status = 201, ...rest] = answers;
      answers = rest;
      if (status === 'gone') return Promise.reject(new Error('cut off'));
      const body = new Uint8Array();
      return Promise.resolve({ status, headers: {}, body, json: () => undefined } satisfies HttpAnswer);
    },
    close: () => undefined,
  };
  const drone = { name: 'drone-1', flight: FLIGHT, atOnce: 2 };
  const create = () => createPreprocessor({ serviceName: 'pre', drone }, coreData);

  test('acknowledges what core-data has, and nothing else', async () => {
    const work = create();
    const bytes = encodeFrame(frameOf(5), KEY);
    await expect(work.take(bytes)).rejects.toMatchObject({ code: 'unavailable' });
    work.activate(KEY_HEX);
    answers = [503, 'gone', 201, 409];
    for (let i = 0; i < 2; i++) await expect(work.take(bytes)).rejects.toMatchObject({ code: 'unavailable' });
    const tag = ackTag(KEY, 'drone-1', FLIGHT, 5);
    for (let i = 0; i < 2; i++) await expect(work.take(bytes)).resolves.toMatchObject({ sequence: 5, tag });
    expect(work.figures).toMatchObject({ frames: 1, again: 1 });
    const bodies = new Set(calls.map(({ body }) => fromUtf8(body ?? new Uint8Array())));
    expect(bodies.size).toBe(1);
    work.standDown();
    await expect(work.take(bytes)).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('takes neither forged frames, nor those of another flight, nor more at once than it can', async () => {
    const work = create();
    work.activate(KEY_HEX);
    calls.length = 0;
    await expect(work.take(encodeFrame(frameOf(1), new Uint8Array(32)))).rejects.toMatchObject({
      code: 'unauthenticated',
    });
    const other = { ...frameOf(1), flight: '5e6a1f0c-7d63-4c1a-9a07-0d2f5f6f2b11' };
    await expect(work.take(encodeFrame(other, KEY))).rejects.toMatchObject({ code: 'conflict' });
    await expect(work.take(new Uint8Array(10))).rejects.toMatchObject({ code: 'invalidInput' });
    expect(calls).toEqual([]);
    const many = [1, 2, 3].map((sequence) => work.take(encodeFrame(frameOf(sequence), KEY)));
    const settled = await Promise.allSettled(many);
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    expect(work.figures).toMatchObject({ busy: 1, refused: { forged: 1, malformed: 1, otherFlight: 1 } });
  });
});
