// `npm run edge-image`: the image that runs any role of Antirio, by the container engine of this machine.
import { readCommandLine } from '@antirio/command-line';
import { buildImage, EDGE_IMAGE } from './build-image.ts';
import { ImageError } from './engine.ts';

const USAGE = `npm run edge-image: the image that runs any role of Antirio, by the container engine of this machine (DOCKER_HOST, or the usual socket).

  --tag NAME    its name (${EDGE_IMAGE})
  --base IMAGE  what it is built upon (made of packages of npm and Debian)
`;

const wanted = readCommandLine({
  usage: USAGE,
  flags: { tag: { type: 'string', default: EDGE_IMAGE }, base: { type: 'string' } },
  read: ({ values }) => values,
});
try {
  const { tag, base, digest } = await buildImage(wanted.tag, wanted.base);
  process.stdout.write(`${tag}  on ${base}  bundle ${digest}\n`);
} catch (error) {
  if (!(error instanceof ImageError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
