import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AntirioError } from '@antirio/kernel';
import { loadConfig } from '@antirio/host';
import { z } from 'zod';
import { keysOfTree, optionsOfKeys } from './edgex-keys.ts';
import type { Variables } from './environment.ts';
import { placesOf } from './places.ts';
import { sectionsOf, settingsOf, type OwnSettings } from './settings.ts';
import { isTree, merged, type Tree } from './tree.ts';

const anything = z.record(z.string(), z.unknown());
const isYaml = (path: string): boolean => /\.ya?ml$/i.test(path);

/** Which file: as EdgeX's services find theirs, where they are told a folder or a profile; else `EDGEX_CONFIG_FILE` as it is. */
export function configFileOf(argument: string | undefined, env: Variables): string | undefined {
  const given = (name: string): string | undefined => (env[name] === '' ? undefined : env[name]);
  const [folder, profile, file] = ['EDGEX_CONFIG_DIR', 'EDGEX_PROFILE', 'EDGEX_CONFIG_FILE'].map(given);
  if (argument !== undefined) return argument;
  if (folder === undefined && profile === undefined) return file;
  return join(folder ?? './res', profile ?? '', file ?? 'configuration.yaml');
}

/** @throws AntirioError badConfig */
async function readYaml(path: string): Promise<Tree> {
  let content: unknown;
  try {
    // loaded only where there is YAML
    const { parseEdgexYaml } = await import('@antirio/edgex-yaml');
    content = parseEdgexYaml(await readFile(path, 'utf8')) ?? {};
  } catch (cause) {
    throw new AntirioError('badConfig', `cannot read the configuration file ${path}`, { path }, cause);
  }
  if (!isTree(content)) throw new AntirioError('badConfig', `${path} must hold one mapping`, { path });
  return content;
}

const sectionOf = (tree: Tree, name: string): Tree => {
  const section = tree[name];
  return isTree(section) ? section : {};
};

export interface FileSources {
  readonly file: string | undefined;
  /** EdgeX's common configuration (`EDGEX_COMMON_CONFIG`), for where there is no core-keeper to give it. */
  readonly commonFile: string | undefined;
}

/** Keys of EdgeX that nobody takes are told of. */
const isTaken = (key: string, own: OwnSettings): boolean =>
  Object.hasOwn(settingsOf(own), key) ||
  /^(?:Writable|MessageBus|Registry|Clients)\//.test(key) ||
  Object.keys(sectionsOf(own)).some((section) => key.startsWith(`${section}/`));

/** Options of files of EdgeX's own form. @throws AntirioError badConfig */
async function edgexOptions(
  { file, commonFile }: FileSources,
  own: OwnSettings,
  warn: (keys: readonly string[]) => void,
): Promise<Tree> {
  const all = commonFile === undefined ? {} : await readYaml(commonFile);
  const kind = own.isDeviceService === true ? sectionOf(all, 'device-services') : {};
  const common = merged(sectionOf(all, 'all-services'), kind);
  const mine = file === undefined ? {} : await readYaml(file);
  const inCommon = Object.entries(keysOfTree(common)).filter(([key]) => !own.notInCommon?.includes(key));
  const keys = { ...Object.fromEntries(inCommon), ...keysOfTree(mine) };
  warn(Object.keys(keysOfTree(mine)).filter((key) => !isTaken(key, own)));
  const refuse = (why: string): never => {
    throw new AntirioError('badConfig', `${file ?? ''}: ${why}`);
  };
  const nameOf = (key: string): string => `${file ?? ''}: ${key}`;
  const textOf = (key: string): string | undefined => (keys[key] === '' ? undefined : keys[key]);
  return merged(
    { ...placesOf(textOf, nameOf, own.hasMetadata === true) },
    merged(optionsOfKeys(keys, own, refuse), {
      writable: merged(sectionOf(common, 'Writable'), sectionOf(mine, 'Writable')),
    }),
  );
}

/** What the files say: ours in JSON, EdgeX's in YAML. @throws AntirioError badConfig */
export async function fileOptions(
  { file, commonFile }: FileSources,
  own: OwnSettings,
  warn: (keys: readonly string[]) => void,
): Promise<Tree> {
  const edgexFile = file !== undefined && isYaml(file) ? file : undefined;
  const ours = edgexFile === undefined ? loadConfig(anything, { file }) : {};
  if (edgexFile === undefined && commonFile === undefined) return ours;
  return merged(await edgexOptions({ file: edgexFile, commonFile }, own, warn), ours);
}
