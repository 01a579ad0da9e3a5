import { z } from 'zod';
import { describeError } from '@antirio/kernel';
import { readFileIfThere, sleep, writeFileDurably, type HttpPeer, type Log } from '@antirio/host';
import { keysOfTree } from './edgex-keys.ts';
import { putTree, readTree, readValue } from './keeper-client.ts';
import type { Keys } from './places.ts';
import { merged, treeWith, type Tree } from './tree.ts';
import { COMMON_CONFIG_KEY, STEM } from './writable.ts';

/** What core-keeper has for a service, but for what is followed while it runs. */
export interface Provided {
  /** What services of its kind have in common. */
  readonly common: Keys;
  readonly own: Keys;
}

export interface ProvidedOptions {
  readonly serviceKey: string;
  readonly isDeviceService: boolean;
  /** The service's own configuration, for a core-keeper that has none of it. */
  readonly given: Keys;
  /** It has to take it whatever it has (EdgeX: `EDGEX_OVERWRITE_CONFIG`). */
  readonly overwrite: boolean;
  /** Where the last answer is kept: a service begins with it while core-keeper is away. */
  readonly copyPath: string;
  /** How long core-keeper is waited for, where there is no copy, and with one. */
  readonly waitMs: number;
  readonly waitWithCopyMs: number;
  readonly againMs: number;
}

const CALL_MS = 5000;
const READY_KEY = `${COMMON_CONFIG_KEY}/IsCommonConfigReady`;
const copySchema = z.object({
  common: z.record(z.string(), z.string()),
  own: z.record(z.string(), z.string()),
});

function readCopy(path: string, log: Log): Provided | undefined {
  const bytes = readFileIfThere(path);
  if (bytes === undefined) return undefined;
  try {
    return copySchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch (error) {
    log.warn({ path, error: describeError(error) }, 'the copy of the configuration cannot be read');
    return undefined;
  }
}

function keepCopy(path: string, provided: Provided, log: Log): void {
  try {
    writeFileDurably(path, JSON.stringify(provided));
  } catch (error) {
    log.warn({ path, error: describeError(error) }, 'no copy of the configuration is kept');
  }
}

/** Writable is followed live, and may have secrets: none of it is kept. */
const withoutWritable = ({ Writable: _followed, ...rest }: Tree): Keys => keysOfTree(rest);

/** What core-keeper takes as a key. */
const GOOD_KEY = /^[a-zA-Z0-9\-_~;=./ ]+$/;

function treeOf(keys: Keys, log: Log): Tree {
  let tree: Tree = {};
  for (const [key, text] of Object.entries(keys))
    if (GOOD_KEY.test(key)) tree = merged(tree, treeWith(key.split('/'), text));
    else log.warn({ key }, 'core-keeper takes no such key');
  return tree;
}

/** @throws AntirioError unavailable | timeout | ... */
async function ask(keeper: HttpPeer, options: ProvidedOptions, log: Log): Promise<Provided | undefined> {
  if ((await readValue(keeper, READY_KEY, CALL_MS)) !== 'true') return undefined;
  const kinds = ['all-services', ...(options.isDeviceService ? ['device-services'] : [])];
  const read = (key: string): Promise<Tree> => readTree(keeper, key, CALL_MS);
  const trees = await Promise.all(kinds.map((kind) => read(`${COMMON_CONFIG_KEY}/${kind}`)));
  const key = `${STEM}/${options.serviceKey}`;
  const before = await read(key);
  const isNew = Object.keys(before).length === 0;
  if (isNew || options.overwrite) {
    await putTree(keeper, key, treeOf(options.given, log), CALL_MS);
    log.info({ key }, 'core-keeper has the configuration of this service now');
  }
  const own = isNew || options.overwrite ? await read(key) : before;
  return { common: withoutWritable(trees.reduce(merged, {})), own: withoutWritable(own) };
}

/**
 * What core-keeper has for a service that starts, as EdgeX's services ask it: what all have in common, and the service's own, which core-keeper is given where it has
 * none. While core-keeper is away, what it said last; undefined where it never said anything.
 */
export async function providedBy(
  keeper: HttpPeer,
  options: ProvidedOptions,
  log: Log,
): Promise<Provided | undefined> {
  const copy = readCopy(options.copyPath, log);
  const end = performance.now() + (copy === undefined ? options.waitMs : options.waitWithCopyMs);
  for (let told = ''; ;) {
    let why = 'it has no common configuration yet';
    try {
      const provided = await ask(keeper, options, log);
      if (provided !== undefined) {
        keepCopy(options.copyPath, provided, log);
        return provided;
      }
    } catch (error) {
      why = describeError(error);
    }
    if (performance.now() >= end) {
      const instead = copy === undefined ? 'what is given here' : 'what it said last';
      log.warn({ error: why, instead }, 'core-keeper gives no configuration');
      return copy;
    }
    if (why !== told) log.info({ error: why }, 'waiting for the configuration from core-keeper');
    told = why;
    await sleep(Math.min(options.againMs, Math.max(0, end - performance.now())));
  }
}
