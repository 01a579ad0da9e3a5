import type { z } from 'zod';
import { AntirioError, describeError } from '@antirio/kernel';
import { lastingSubscription } from '@antirio/bus-request';
import { issuesOf, repeat, sleep, type Bus, type BusHandler, type HttpPeer, type Log } from '@antirio/host';
import { BASE_TOPIC, parseEnvelope, stringifyJson } from '@antirio/edgex-contracts';
import { readTree, type ConfigTree } from './keeper-client.ts';
import { isTree, merged, type Tree } from './tree.ts';

/** Where EdgeX's services of version 4 have their configuration. */
export const STEM = `${BASE_TOPIC}/v4`;
/** Configuration that all services share, and each may overrule. */
export const COMMON_CONFIG_KEY = `${STEM}/core-common-config-bootstrapper`;
const NOTICES_FILTER = `${BASE_TOPIC}/configs/#`;
const NOTICES = `${BASE_TOPIC}/configs/`;
/** A notice may be lost: what is in force is read anew this often. */
const READ_EVERY_MS = 60_000;
const READ_TIMEOUT_MS = 2000;
const FIRST_READ_MS = 1000;

export interface WritableOptions<S extends z.ZodType> {
  readonly serviceKey: string;
  /** Whether the configuration of all device services is the service's, too. */
  readonly isDeviceService?: boolean;
  /** What is in force where core-keeper has nothing. */
  readonly configured: Readonly<Record<string, unknown>>;
  /** What the environment says, whatever core-keeper has. */
  readonly overriding?: Tree;
  readonly schema: S;
  /** Called with what is in force at the start, and whenever that may have changed. */
  readonly apply: (values: z.output<S>) => void;
}

interface Ports {
  readonly log: Log;
  readonly bus?: Bus | undefined;
  /** core-keeper. */
  readonly keeper?: HttpPeer | undefined;
}

/** Follows core-keeper until it is stopped. */
export interface FollowedWritable {
  stop(): Promise<void>;
}

export function without(tree: Tree, [head, ...rest]: readonly PropertyKey[]): Tree {
  const key = String(head);
  const { [key]: value, ...others } = tree;
  if (rest.length === 0 || !isTree(value)) return others;
  return { ...others, [key]: without(value, rest) };
}

/** The values that are right; those that are not are told of, and what was configured stands in their place. */
export function rightValues<S extends z.ZodType>(
  schema: S,
  configured: Tree,
  given: Tree,
  complain: (path: string, why: string) => void,
): z.output<S> | undefined {
  let over = given;
  // each turn takes out one wrong value at least
  for (let turn = 0; turn < 64; turn += 1) {
    const parsed = schema.safeParse(merged(configured, over));
    if (parsed.success) return parsed.data;
    for (const { path, message } of parsed.error.issues) {
      complain(path.join('/'), message);
      over = without(over, path);
    }
  }
  return undefined;
}

/** Whether a notice on this key concerns what is at or below the other: keys above it do too. */
function concerns(noticed: string, key: string): boolean {
  return key === noticed || key.startsWith(`${noticed}/`) || noticed.startsWith(`${key}/`);
}

function noticedKey(topic: string, payload: Uint8Array): string {
  try {
    const { payload: change } = parseEnvelope(payload);
    if (isTree(change) && typeof change['key'] === 'string') return change['key'];
  } catch {
    // the topic says it as well
  }
  return topic.slice(NOTICES.length);
}

interface KeeperPorts extends Ports {
  readonly keeper: HttpPeer;
}

/** What core-keeper has below these keys, later ones overruling; put at first and with each of its notices. Resolves as `followWritable`. */
async function followKeys(
  keys: readonly string[],
  put: (given: ConfigTree) => void,
  { bus, keeper, log }: KeeperPorts,
): Promise<FollowedWritable> {
  const read = async (): Promise<void> => {
    const trees = await Promise.all(keys.map((key) => readTree(keeper, key, READ_TIMEOUT_MS)));
    put(trees.reduce<Tree>(merged, {}) as ConfigTree);
  };
  const firstRead = Promise.withResolvers<undefined>();
  const reading = repeat('following core-keeper', READ_EVERY_MS, log, () =>
    read().finally(() => firstRead.resolve(undefined)),
  );
  const hear: BusHandler = (topic, payload) => {
    const key = noticedKey(topic, payload);
    if (keys.some((own) => concerns(key, own))) reading.poke();
  };
  // once it is subscribed, what changed before is read too
  const notices =
    bus === undefined
      ? undefined
      : lastingSubscription(bus, NOTICES_FILTER, hear, { onSubscribed: () => reading.poke() });
  const waited = new AbortController();
  await Promise.race([firstRead.promise, sleep(FIRST_READ_MS, waited.signal)]);
  waited.abort();
  return {
    async stop() {
      await notices?.close();
      await reading.stop();
    },
  };
}

/** A section of a service's own configuration. */
export interface FollowedSection {
  readonly serviceKey: string;
  readonly section: string;
  /** What is in force now. */
  readonly configured: Tree;
  /** What the environment says of it, whatever core-keeper has. */
  readonly overriding?: Tree;
}

/**
 * A section of a service's own configuration, live: what core-keeper has of it over what is configured, but for what the environment says, each time that it has become something else.
 * Nothing without core-keeper.
 */
export async function followSection(
  { serviceKey, section, configured, overriding = {} }: FollowedSection,
  changed: (values: Tree) => void,
  { bus, keeper, log }: Ports,
): Promise<FollowedWritable> {
  if (keeper === undefined) return { stop: async () => undefined };
  let last = stringifyJson(configured);
  const put = (given: ConfigTree): void => {
    const values = merged(merged(configured, given), overriding);
    const text = stringifyJson(values);
    if (text === last) return;
    last = text;
    try {
      changed(values);
    } catch (error) {
      log.error({ section, error: describeError(error) }, 'a changed configuration was not taken');
    }
  };
  return followKeys([`${STEM}/${serviceKey}/${section}`], put, { bus, keeper, log });
}

/**
 * A service's Writable section, live: read from core-keeper (what all services share, then the service's own), and again with each of its notices on
 * the bus. Without core-keeper, what was configured is in force, and core-keeper is looked for from time to time. Resolves once the first read is over,
 * or has taken a second.
 * @throws AntirioError badConfig where what was configured is wrong
 */
export async function followWritable<S extends z.ZodType>(
  options: WritableOptions<S>,
  ports: Ports,
): Promise<FollowedWritable> {
  const { serviceKey, configured, schema, apply, overriding = {}, isDeviceService = false } = options;
  const { bus, keeper, log } = ports;
  const checked = schema.safeParse(configured);
  if (!checked.success)
    throw new AntirioError('badConfig', `bad configuration: writable: ${issuesOf(checked.error)}`);
  const kinds = ['all-services', ...(isDeviceService ? ['device-services'] : [])];
  const keys = [
    ...kinds.map((kind) => `${COMMON_CONFIG_KEY}/${kind}/Writable`),
    `${STEM}/${serviceKey}/Writable`,
  ];
  let complaints = '';

  const put = (given: ConfigTree): void => {
    const wrong: string[] = [];
    const values = rightValues(schema, configured, merged(given, overriding), (path, why) =>
      wrong.push(`Writable/${path}: ${why}`),
    );
    const said = wrong.join('; ');
    if (said !== '' && said !== complaints)
      log.error({ wrong }, 'configuration from core-keeper is wrong, and is not followed there');
    complaints = said;
    if (values !== undefined) apply(values);
  };
  put({});
  if (keeper === undefined) return { stop: async () => undefined };
  return followKeys(keys, put, { bus, keeper, log });
}
