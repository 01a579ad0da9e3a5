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
import { parseEdgexYaml } from '@antirio/edgex-yaml';

/** What a service brings along: profiles, devices and watchers that core-metadata gets where it has none of the name. */
export interface Provision {
  readonly profiles: readonly DeviceProfile[];
  readonly devices: readonly Device[];
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

function contentOf(path: string): unknown {
  const bytes = readFileSync(path);
  if (bytes.length > MAX_FILE_BYTES)
    throw new AntirioError('tooLarge', `has over ${MAX_FILE_BYTES} bytes`, { path });
  const text = bytes.toString('utf8');
  return YAML.has(extname(path)) ? parseEdgexYaml(text) : parseJson(text);
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

function readAll<S extends z.ZodType>(
  { folder, schema, itemsOf }: Reading<S>,
  skipped: string[],
): z.output<S>[] {
  if (folder === undefined || folder === '') return [];
  return filesIn(folder).flatMap((path) => {
    try {
      return itemsOf(contentOf(path)).flatMap((item) => {
        const parsed = schema.safeParse(item);
        if (parsed.success) return [parsed.data];
        skipped.push(`${path}: ${issuesOf(parsed.error)}`);
        return [];
      });
    } catch (error) {
      skipped.push(`${path}: ${describeError(error)}`);
      return [];
    }
  });
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
export function readProvision(folders: ProvisionFolders, serviceName: string, log: Log): Provision {
  const skipped: string[] = [];
  const profiles = readAll(
    { folder: folders.profilesDir, schema: deviceProfile, itemsOf: (content) => [content] },
    skipped,
  );
  const ofDevice = (item: unknown): unknown =>
    typeof item === 'object' && item !== null
      ? { ...item, serviceName, adminState: 'UNLOCKED', operatingState: 'UP' }
      : item;
  const devices = readAll(
    { folder: folders.devicesDir, schema: device, itemsOf: (content) => listOf(content).map(ofDevice) },
    skipped,
  );
  const ofWatcher = withDefaults({ apiVersion: API_VERSION, serviceName, adminState: 'UNLOCKED' });
  const watchers = readAll(
    {
      folder: folders.provisionWatchersDir,
      schema: provisionWatcher,
      itemsOf: (content) => [ofWatcher(content)],
    },
    skipped,
  );
  for (const reason of skipped) log.error({ reason }, 'a file is left out');
  return { profiles, devices, watchers, skipped };
}
