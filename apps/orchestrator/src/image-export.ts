import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import { z } from 'zod';
import type { HttpRim } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import type { Runtime } from '@antirio/runtime';

/** Images that are saved at once: each keeps the engine's disk busy. */
const AT_ONCE = 2;

const query = z.object({
  name: z
    .string()
    .max(256)
    .regex(
      /^[A-Za-z0-9][A-Za-z0-9._:@/-]*$/,
      'must be an image of the container engine: name:tag, or sha256:<id>',
    )
    .refine((name) => !name.includes('..'), 'must not contain ..'),
});

/**
 * An image of the container engine as a tar, while it is saved: the only way from the engine's socket to the other rooms. Where the engine
 * fails on the way the answer breaks off.
 */
export function addImageRoute(rim: HttpRim, runtime: Pick<Runtime, 'export'>): void {
  let exporting = 0;
  rim.route(
    'get',
    '/orchestrator/v1/image',
    { summary: 'an image of the container engine, as a docker archive', query },
    async ({ query: { name }, response }) => {
      if (exporting >= AT_ONCE)
        throw new AntirioError('busy', `${AT_ONCE} images are being exported already`);
      exporting++;
      try {
        const archive = await runtime.export(name);
        response.type('application/x-tar');
        await pipeline(Readable.from(archive), response);
      } finally {
        exporting--;
      }
    },
  );
}
