import { readFileSync } from 'node:fs';
import path from 'node:path';
import { bundleProgram } from '@antirio/bundle';
import { buildImage } from '@antirio/content-store';

const MAIN = 'app/drone-preprocessor.mjs';
const TAG = 'antirio/drone-preprocessor:0.1.0';

/** Builds the image of the pre-processing service as a docker archive, as that of the device service is built. Gives its id. */
export async function packDroneImage(folder: string, archive: string): Promise<string> {
  const source = path.join(import.meta.dirname, 'service-process.ts');
  const bundled = await bundleProgram(source, path.join(folder, 'drone-preprocessor'));
  const { imageId } = await buildImage(archive, {
    files: [{ path: MAIN, content: readFileSync(bundled) }],
    entrypoint: ['node', `/${MAIN}`],
    workingDir: '/app',
    repoTags: [TAG],
  });
  return imageId;
}
