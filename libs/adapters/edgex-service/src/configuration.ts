import { join } from 'node:path';
import { z } from 'zod';
import { AntirioError } from '@antirio/kernel';
import { httpPeer, issuesOf, loadConfig, type Log } from '@antirio/host';
import { keysOfOptions, optionsOfKeys } from './edgex-keys.ts';
import { fileOptions } from './edgex-file.ts';
import { edgexEnvironment, NO_NAME_ESCAPE, type Variables } from './environment.ts';
import { keysOfPlaces, type Keys } from './places.ts';
import { providedBy, type Provided } from './provided.ts';
import type { OwnSettings } from './settings.ts';
import { isTree, merged, valueAt, type Tree } from './tree.ts';
import { without } from './writable.ts';

export interface Configured<S extends z.ZodObject> {
  readonly serviceKey: string;
  readonly options: S;
  readonly environment?: OwnSettings;
  readonly defaults?: Tree;
}

/** What a service is configured with. */
export interface Configuration {
  /** All options. */
  readonly tree: Tree;
  /** Those of them that the environment sets: they stay, whatever core-keeper has later. */
  readonly environment: Tree;
}

const NONE = 'none';
const KEEPER = 'core-keeper';
const anything = z.record(z.string(), z.unknown());
const around = z.object({ dataDir: z.string(), coreKeeper: z.string(), followKeeper: z.boolean() });

/** @throws AntirioError badConfig */
export function checked<S extends z.ZodType>(schema: S, tree: Tree): z.output<S> {
  const result = schema.safeParse(tree);
  if (result.success) return result.data;
  throw new AntirioError('badConfig', `bad configuration: ${issuesOf(result.error)}`);
}

const positive = (text: string | undefined): number | undefined =>
  /^[1-9]\d{0,6}$/.test(text ?? '') ? Number(text) : undefined;

/** EdgeX's seconds; what is no number of them means EdgeX's own. */
function patience({ EDGEX_STARTUP_DURATION, EDGEX_STARTUP_INTERVAL }: Variables): {
  waitMs: number;
  waitWithCopyMs: number;
  againMs: number;
} {
  const given = positive(EDGEX_STARTUP_DURATION);
  return {
    waitMs: (given ?? 60) * 1000,
    waitWithCopyMs: (given ?? 5) * 1000,
    againMs: (positive(EDGEX_STARTUP_INTERVAL) ?? 1) * 1000,
  };
}

/** EdgeX's keys do not say who the service is for the broker: where that was given, it stays. */
function withLogin(tree: Tree, given: Tree): Tree {
  const [url, login] = [tree['broker'], given['broker']];
  if (typeof url !== 'string' || typeof login !== 'string' || !URL.canParse(url) || !URL.canParse(login))
    return tree;
  const [to, from] = [new URL(url), new URL(login)];
  if (from.username === '') return tree;
  to.username = from.username;
  to.password = from.password;
  return { ...tree, broker: to.href.replace(/\/$/, '') };
}

const placeKeys = (tree: Tree): Keys => keysOfPlaces(tree);

/** What is said here. */
interface Local {
  readonly env: Variables;
  /** By the program and by the file. */
  readonly base: Tree;
  /** By the environment under our names. */
  readonly mine: Tree;
}

interface Layers {
  readonly common: Tree;
  readonly base: Tree;
  readonly own: Tree;
}

/** What core-keeper has that is wrong is told of, and does not count. @throws AntirioError badConfig for what is wrong here */
function sound(
  schema: z.ZodType,
  { common, base, own }: Layers,
  env: Tree,
  complain: (why: string) => void,
): Tree {
  let from = { common, own };
  for (;;) {
    const tree = merged(merged(merged(from.common, base), from.own), env);
    const result = schema.safeParse(tree);
    if (result.success) return tree;
    for (const { path, message } of result.error.issues) {
      const keys = path.map(String);
      if (keys.length === 0 || valueAt(merged(from.common, from.own), keys) === undefined)
        return checked(schema, tree) as Tree;
      complain(`${keys.join('.')}: ${message}`);
      from = { common: without(from.common, keys), own: without(from.own, keys) };
    }
  }
}

/** What the environment says of a section of EdgeX's configuration. */
export function environmentOf(
  { environment }: Configuration,
  { sections }: OwnSettings,
): (section: string) => Tree {
  const options: Readonly<Record<string, string>> = { ...sections, Writable: 'writable' };
  return (section) => {
    const [name = '', ...below] = section.split('/');
    const option = options[name];
    const found = option === undefined ? {} : valueAt(environment, [...option.split('.'), ...below]);
    return isTree(found) ? found : {};
  };
}

const withoutKeys = (keys: Keys, unwanted: readonly string[] = []): Keys =>
  Object.fromEntries(Object.entries(keys).filter(([key]) => !unwanted.includes(key)));

/** @throws AntirioError badConfig */
function withProvided(
  configured: Configured<z.ZodObject>,
  { env: values, base, mine }: Local,
  provided: Provided,
  log: Log,
): Configuration {
  const { environment = {}, options } = configured;
  const wrong: string[] = [];
  const complain = (why: string): void => void wrong.push(why);
  const layers = {
    common: optionsOfKeys(withoutKeys(provided.common, environment.notInCommon), environment, complain),
    base,
    own: optionsOfKeys(provided.own, environment, complain),
  };
  const known = merged(merged(merged(layers.common, base), layers.own), mine);
  const places = { ...provided.common, ...placeKeys(base), ...provided.own, ...placeKeys(mine) };
  const env = merged(mine, edgexEnvironment(values, environment, known, places));
  const { 'Service/EnableNameFieldEscape': escape } = { ...provided.common, ...provided.own };
  if (escape === 'true') log.warn({ EnableNameFieldEscape: escape }, NO_NAME_ESCAPE);
  const tree = sound(options, layers, env, complain);
  if (wrong.length > 0)
    log.error({ wrong }, 'configuration from core-keeper is wrong, and is not followed there');
  return { tree: withLogin(tree, merged(base, mine)), environment: env };
}

/**
 * The options of a service that is the whole of this process: what services of its kind have in common in core-keeper, what the program brings and its file says, what core-keeper
 * has for this one (at the first start it is given that), and the environment.
 * @throws AntirioError badConfig
 */
export async function configurationOf(
  configured: Configured<z.ZodObject>,
  env: Variables,
  file: string | undefined,
  log: Log,
): Promise<Configuration> {
  const { serviceKey, environment = {}, defaults = {}, options } = configured;
  const prefix = serviceKey.toUpperCase().replaceAll('-', '_');
  const wantsKeeper = (env['EDGEX_CONFIG_PROVIDER'] ?? '').startsWith('keeper');
  const commonFile = wantsKeeper ? undefined : env['EDGEX_COMMON_CONFIG'] || undefined;
  const given = await fileOptions({ file, commonFile }, environment, (keys) => {
    if (keys.length > 0) log.warn({ file, keys }, 'keys of EdgeX that are not taken');
  });
  const base = merged(defaults, given);
  const mine = loadConfig(anything, { env: { prefix, values: env } });
  const here = merged(base, mine);
  const edgex = edgexEnvironment(env, environment, here, placeKeys(here));
  const tree = withLogin(merged(here, edgex), here);
  const local: Configuration = { tree, environment: merged(mine, edgex) };
  const { dataDir, coreKeeper, followKeeper } = around.parse(checked(options, tree));
  if (coreKeeper === NONE || !followKeeper || serviceKey === KEEPER) return local;
  const keeper = httpPeer({ url: coreKeeper });
  try {
    const provided = await providedBy(
      keeper,
      {
        ...{ serviceKey, ...patience(env) },
        isDeviceService: environment.isDeviceService === true,
        given: keysOfOptions(tree, environment),
        overwrite: env['EDGEX_OVERWRITE_CONFIG'] === 'true',
        copyPath: join(dataDir, serviceKey, 'configuration.json'),
      },
      log,
    );
    return provided === undefined ? local : withProvided(configured, { env, base, mine }, provided, log);
  } finally {
    keeper.close();
  }
}
