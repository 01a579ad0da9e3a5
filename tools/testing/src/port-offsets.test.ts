import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from '@jest/globals';
import { claimOffsets, collide, LARGEST_OFFSET, offsetsFrom, portOf, ROOM_PORTS } from './port-offsets.ts';

test('offsets are 10 to 5000, each once, and beginning where asked', () => {
  const offsets = offsetsFrom(2_345);
  expect(offsets[0]).toBe(2_350);
  expect(new Set(offsets).size).toBe(LARGEST_OFFSET / 10);
  expect(Math.min(...offsets)).toBe(10);
  expect(Math.max(...offsets)).toBe(LARGEST_OFFSET);
  expect(offsetsFrom(9_999)[0]).toBe(offsetsFrom(0)[0]);
});

test('offsets under which two different rooms would meet collide', () => {
  expect(collide(1_300, 1_310)).toBe(true);
  expect(collide(1_300, 1_300)).toBe(true);
  expect(collide(1_300, 2_000)).toBe(false);
});

test('claimed offsets are apart from each other and from those of others', async () => {
  const first = await claimOffsets(3, 3_000);
  const second = await claimOffsets(3, 3_000);
  const all = [...first.offsets, ...second.offsets];
  for (const [i, a] of all.entries())
    for (const b of all.slice(i + 1)) expect([a, b, collide(a, b)]).toEqual([a, b, false]);
  first.release();
  second.release();
});

test('an offset with one port taken, TCP or UDP, is not claimed', async () => {
  const [expected = 0] = await claimOffsets(1, 4_000).then(({ offsets, release }) => {
    release();
    return offsets;
  });
  const server = createServer().listen(portOf('dmu', expected), '127.0.0.1');
  await once(server, 'listening');
  const socket = createSocket('udp4').bind(1_700 + expected + 20, '127.0.0.1');
  await once(socket, 'listening');
  const { offsets, release } = await claimOffsets(1, expected);
  expect(offsets).not.toContain(expected);
  expect(offsets).not.toContain(expected + 20);
  release();
  server.close();
  socket.close();
});

test("every room's port stays a port under every offset", () => {
  expect(Math.max(...Object.values(ROOM_PORTS)) + LARGEST_OFFSET).toBeLessThan(65_536);
});
