import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { syncDirectory } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { openImageArchive, type ImageConfig } from './image-archive.ts';
import { RootTree } from './layer.ts';

const MAX_ENTRIES = 200_000;

const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_.-]*$/;
const FOLDER = /^\/[\w./@+-]*$/;
// eslint-disable-next-line no-control-regex -- control characters are what it is about
const CONTROL = /[\u0000-\u001f\u007f\u2028\u2029]/;

const refused = (what: string): AntirioError =>
  new AntirioError('invalidInput', `the image cannot be built of its files: ${what}`);

/** Every line of the file is ours: what the image says may not end one. @throws AntirioError invalidInput */
function checkTexts({ Env, WorkingDir, Entrypoint, Cmd }: ImageConfig['config']): void {
  if ([...Env, WorkingDir, ...Entrypoint, ...Cmd].some((text) => CONTROL.test(text)))
    throw refused('its settings have control characters');
  if (WorkingDir !== '' && !FOLDER.test(WorkingDir)) throw refused('its working folder has an odd name');
  for (const entry of Env)
    if (!ENV_NAME.test(entry.split('=')[0] ?? '')) throw refused('a variable of it has an odd name');
}

/** JSON's quoting is what a Dockerfile takes; a backslash of JSON's own would be a continuation only at an end of line. */
const quoted = (text: string): string => JSON.stringify(text);

function dockerfile(config: ImageConfig['config']): string {
  checkTexts(config);
  const environment = config.Env.flatMap((entry) => {
    const equals = entry.indexOf('=');
    // `$` would name a variable
    const value = quoted(entry.slice(equals + 1)).replaceAll('$', '\\$');
    return equals > 0 ? [`ENV ${entry.slice(0, equals)}=${value}`] : [];
  });
  return [
    'FROM scratch',
    'COPY rootfs/ /',
    ...environment,
    ...(config.WorkingDir === '' ? [] : [`WORKDIR ${config.WorkingDir}`]),
    ...(config.Entrypoint.length === 0 ? [] : [`ENTRYPOINT ${JSON.stringify(config.Entrypoint)}`]),
    ...(config.Cmd.length === 0 ? [] : [`CMD ${JSON.stringify(config.Cmd)}`]),
    '',
  ].join('\n');
}

/**
 * An image as a folder that a builder makes it of again, where no registry has it: its files, and a Dockerfile that says the rest.
 * All files are root's there, and none is set-user-id. The folder is there whole or not at all.
 *
 * @param archivePath a docker archive (`docker save`)
 * @param folder replaced if it is there
 * @returns the image's id, which the image that is built of it does not have
 * @throws AntirioError corrupt | tooLarge | invalidInput
 */
export async function writeBuildContext(
  archivePath: string,
  folder: string,
  maxBytes: number,
): Promise<{ readonly imageId: string }> {
  const partial = `${folder}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(join(partial, 'rootfs'), { recursive: true });
  const archive = await openImageArchive(archivePath);
  try {
    const tree = new RootTree(join(partial, 'rootfs'), { bytes: maxBytes, entries: MAX_ENTRIES });
    for (let index = 0; index < archive.layers; index++) await tree.apply(archive.layer(index));
    writeFileSync(join(partial, 'Dockerfile'), dockerfile(archive.config.config));
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    throw error;
  } finally {
    await archive.close();
  }
  rmSync(folder, { recursive: true, force: true });
  renameSync(partial, folder);
  syncDirectory(join(folder, '..'));
  return { imageId: archive.imageId };
}
