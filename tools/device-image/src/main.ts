// `npm run image`: the image of the LoRa device service as a docker archive, for a customer's `images` folder.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { bundle } from '@antirio/bundle';
import { readCommandLine } from '@antirio/command-line';
import { packDeviceImage } from './device-image.ts';

const USAGE = `npm run image [-- FILE]: the image of the LoRa device service as a docker archive, for a customer's "images" folder
(LoRa-device-service.tar).
`;

const archive = readCommandLine({
  usage: USAGE,
  flags: {},
  positionals: 1,
  read: ({ positionals: [file = 'LoRa-device-service.tar'] }) => resolve(file),
});
const folder = mkdtempSync(join(tmpdir(), 'antirio-image-'));
try {
  const { 'device-lora': main = '' } = await bundle({ outDir: folder, only: ['device-lora'] });
  const imageId = await packDeviceImage(main, archive);
  process.stdout.write(`${archive}  ${imageId}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
