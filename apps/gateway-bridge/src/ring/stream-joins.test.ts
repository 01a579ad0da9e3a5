import { expect, test } from '@jest/globals';
import { streamEnd, streamHead, type HttpPeer, type HttpStream } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import type { Ring } from './ring.ts';
import { pullStream } from './stream-pull.ts';

/** A source whose stream begins with this, and has no frames. */
function sourceOf(head: object): HttpPeer {
  async function* body(): AsyncGenerator<Uint8Array> {
    yield streamHead(head);
    yield streamEnd({ next: 5, last: 5 });
  }
  const stream = { status: 200, headers: {}, body: body(), close: () => undefined };
  return { open: () => Promise.resolve(stream as unknown as HttpStream) } as unknown as HttpPeer;
}

const pull = (head: object, known: number) =>
  pullStream(
    {
      ...{ edge2edge: sourceOf(head), edgeId: 'b', base: '/ring', refuse: () => undefined },
      clock: { now: () => 0, monotonic: () => 0 },
      checkJoins(joins) {
        if (joins > known) throw new AntirioError('unavailable', 'joins are not known here');
      },
      take: () => Promise.resolve(),
      acknowledge: () => Promise.resolve(),
    },
    { settings: { devAddrs: [] } } as unknown as Ring,
    { after: 0, incarnation: 'life' },
    new AbortController().signal,
  );

test('a join that came between the offers and the stream keeps the stream from being read', async () => {
  const head = { incarnation: 'life', last: 5 };
  expect(await pull({ ...head, joins: 2 }, 2)).toEqual({ next: 5, last: 5 });
  await expect(pull({ ...head, joins: 3 }, 2)).rejects.toThrow('joins are not known');
  // of a source that knows nothing of joins
  expect(await pull(head, 0)).toEqual({ next: 5, last: 5 });
});
