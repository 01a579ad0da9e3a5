// `npm run edge-image -- [--tag name] [--base image]`: the image that runs any role of Antirio, by the container engine of this machine.
import { parseArgs } from 'node:util';
import { buildImage, EDGE_IMAGE } from './build-image.ts';
import { ImageError } from './engine.ts';

try {
  const { values } = parseArgs({ options: { tag: { type: 'string' }, base: { type: 'string' } } });
  const { tag, base, digest } = await buildImage(values.tag ?? EDGE_IMAGE, values.base);
  process.stdout.write(`${tag}  on ${base}  bundle ${digest}\n`);
} catch (error) {
  if (!(error instanceof ImageError) && !(error instanceof TypeError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
