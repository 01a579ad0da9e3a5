import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import type { z } from 'zod';
import { AntirioError, describeError } from '@antirio/kernel';
import { issuesOf, type Log } from '@antirio/host';
import {
  API_VERSION,
  device,
  deviceProfile,
  parseJson,
  provisionWatcher,
  type Device,
  type DeviceProfile,
  type ProvisionWatcher,
} from '@antirio/edgex-contracts';

/** What a service brings along: profiles, devices and watchers that core-metadata gets where it has none of the name. */
export interface Provision {
  readonly profiles: readonly DeviceProfile[];
  /** Made when they are asked for: a service that has registered them needs them no more. */
  readonly devices: () => readonly Device[];
  readonly watchers: readonly ProvisionWatcher[];
  /** Files that are not what they should be, each with the reason. */
  readonly skipped: readonly string[];
}

export interface ProvisionFolders {
  readonly profilesDir?: string | undefined;
  readonly devicesDir?: string | undefined;
  readonly provisionWatchersDir?: string | undefined;
}

const MAX_FILE_BYTES = 16 << 20;
const YAML = new Set(['.yaml', '.yml']);

async function contentOf(path: string): Promise<unknown> {
  const bytes = readFileSync(path);
  if (bytes.length > MAX_FILE_BYTES)
    throw new AntirioError('tooLarge', `has over ${MAX_FILE_BYTES} bytes`, { path });
  const text = bytes.toString('utf8');
  if (!YAML.has(extname(path))) return parseJson(text);
  // loaded where there is such a file only
  const { parseEdgexYaml } = await import('@antirio/edgex-yaml');
  return parseEdgexYaml(text);
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((file) => YAML.has(extname(file)) || extname(file) === '.json')
      .toSorted()
      .map((file) => join(folder, file));
  } catch (cause) {
    throw new AntirioError('badConfig', `cannot read the folder ${folder}`, { folder }, cause);
  }
}

interface Reading<S extends z.ZodType> {
  readonly folder: string | undefined;
  readonly schema: S;
  /** The entities of a file. */
  readonly itemsOf: (content: unknown) => readonly unknown[];
}

async function readAll<S extends z.ZodType>(
  { folder, schema, itemsOf }: Reading<S>,
  skipped: string[],
): Promise<z.output<S>[]> {
  if (folder === undefined || folder === '') return [];
  const read: z.output<S>[] = [];
  for (const path of filesIn(folder))
    try {
      for (const item of itemsOf(await contentOf(path))) {
        const parsed = schema.safeParse(item);
        if (parsed.success) read.push(parsed.data);
        else skipped.push(`${path}: ${issuesOf(parsed.error)}`);
      }
    } catch (error) {
      skipped.push(`${path}: ${describeError(error)}`);
    }
  return read;
}

const listOf = (content: unknown): readonly unknown[] => {
  const list =
    typeof content === 'object' && content !== null && 'deviceList' in content ? content.deviceList : content;
  if (!Array.isArray(list)) throw new AntirioError('invalidInput', 'has no deviceList');
  return list as unknown[];
};

/** What a file says wins over these. */
const withDefaults =
  (defaults: Readonly<Record<string, unknown>>) =>
  (item: unknown): unknown =>
    typeof item === 'object' && item !== null ? { ...defaults, ...item } : item;

/**
 * Reads the folders as EdgeX's SDK does: one profile or watcher in each file; devices as `deviceList` in YAML or a list in JSON. A file that is wrong is left
 * out and told of; the others count. A device begins UNLOCKED and UP, and is this service's.
 * @throws AntirioError badConfig where there is no such folder
 */
export async function readProvision(
  folders: ProvisionFolders,
  serviceName: string,
  log: Log,
): Promise<Provision> {
  const skipped: string[] = [];
  const profiles = await readAll(
    { folder: folders.profilesDir, schema: deviceProfile, itemsOf: (content) => [content] },
    skipped,
  );
  const ofDevice = (item: unknown): unknown =>
    typeof item === 'object' && item !== null
      ? { ...item, serviceName, adminState: 'UNLOCKED', operatingState: 'UP' }
      : item;
  const devices = await readAll(
    { folder: folders.devicesDir, schema: device, itemsOf: (content) => listOf(content).map(ofDevice) },
    skipped,
  );
  const ofWatcher = withDefaults({ apiVersion: API_VERSION, serviceName, adminState: 'UNLOCKED' });
  const watchers = await readAll(
    {
      folder: folders.provisionWatchersDir,
      schema: provisionWatcher,
      itemsOf: (content) => [ofWatcher(content)],
    },
    skipped,
  );
  for (const reason of skipped) log.error({ reason }, 'a file is left out');
  return { profiles, devices: () => devices, watchers, skipped };
}
