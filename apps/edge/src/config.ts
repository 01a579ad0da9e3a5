import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { hasLogin, issuesOf, loadConfig } from '@antirio/host';
import { AntirioError, parseEdgeId } from '@antirio/kernel';
import type { LoadedRoom } from './loaders.ts';
import { ROOM_KEYS, roomOf, type Room, type RoomKey } from './rooms.ts';

const udp = z.strictObject({ host: z.string().min(1), port: z.int().min(1).max(65_535) });
// HTTP between rooms and edges has no passwords: one in a URL would be sent to nobody, and shown to everybody
const isPlain = (url: string): boolean => url.startsWith('mqtt') || !hasLogin(url);
const NO_LOGIN = 'no user name or password in it';
const where = z.strictObject({
  url: z.url({ protocol: /^https?$/ }).refine(isPlain, NO_LOGIN),
  udp: udp.optional(),
});
const path = z.string().min(1);
const serviceUrl = z
  .strictObject({
    url: z.url({ protocol: /^(?:https?|mqtts?)$/ }).refine(isPlain, NO_LOGIN),
    tokenFile: path.optional(),
    caFile: path.optional(),
    certFile: path.optional(),
    keyFile: path.optional(),
  })
  .refine(
    ({ url, caFile, certFile }) =>
      /^(?:https|mqtts):/.test(url) || (caFile === undefined && certFile === undefined),
    'certificates are for https and mqtts',
  )
  .refine(
    ({ url, tokenFile }) => tokenFile === undefined || /^(?:https|mqtts):/.test(url) || isLocalUrl(url),
    'a token would go over the network unencrypted: use https or mqtts',
  );

export function isLoopback(bind: string): boolean {
  return bind === 'localhost' || bind === '::1' || bind === '[::1]' || bind.startsWith('127.');
}

const isLocalUrl = (url: string): boolean => isLoopback(URL.parse(url)?.hostname ?? '');

const edgeId = z.string().refine((text) => {
  try {
    parseEdgeId(text);
    return true;
  } catch {
    return false;
  }
}, 'not an edge id');

const section = z.record(z.string(), z.unknown());

/** What is common to all rooms of an edge. */
export const commonConfig = z.strictObject({
  dataDir: z.string().min(1).default('antirio-data').describe('where everything durable is kept'),
  bind: z.string().min(1).default('127.0.0.1').describe('address that the rooms listen on'),
  allowInsecureBind: z
    .boolean()
    .default(false)
    .describe('let rooms listen beyond this host without TLS and tokens: for a network that is yours'),
  tls: z
    .strictObject({ certFile: path, keyFile: path, clientCaFile: path.optional() })
    .optional()
    .describe(
      'PEM files for rooms that listen beyond this host: callers from there need a token as well, and with clientCaFile a certificate of that authority',
    ),
  requireTokens: z
    .boolean()
    .optional()
    .describe('callers on this host need tokens too (default: in a container with tls)'),
  portOffset: z
    .int()
    .min(0)
    .max(5000)
    .default(0)
    .describe('added to every port, so that several edges run on one machine'),
  role: z
    .enum(['edge', 'central'])
    .default('edge')
    .describe('edge; or central: ledger and central arbitrator'),
  identityFile: z
    .string()
    .optional()
    .describe('the keys of this edge (default: identity.json in dataDir; made at the first start)'),
  readyFile: z
    .string()
    .min(1)
    .optional()
    .describe('written when all rooms have started, with their addresses; gone when they end'),
  logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
  central: where
    .extend({ edgeId })
    .optional()
    .describe('the central arbitrator; without one there are no contracts'),
  neighbours: z
    .record(edgeId, where)
    .default({})
    .describe('edges with fixed addresses by their ids; others are found through the central'),
  services: z
    .partialRecord(z.enum(ROOM_KEYS), serviceUrl)
    .default({})
    .describe(
      'where rooms are that do not run on this host at their usual ports, and the files with what is shown there',
    ),
});

const sections = Object.fromEntries(ROOM_KEYS.map((key) => [key, section.default({})])) as Record<
  RoomKey,
  z.ZodDefault<typeof section>
>;
const configSchema = commonConfig.extend(sections);
export type EdgeConfig = z.output<typeof configSchema>;

export interface ConfigFlags {
  readonly config?: string | undefined;
  readonly dataDir?: string | undefined;
  readonly portOffset?: number | undefined;
  readonly bind?: string | undefined;
  readonly role?: string | undefined;
  readonly logLevel?: string | undefined;
}

export const CONFIG_FILE = 'antirio.jsonc';

function configFile(flags: ConfigFlags, env: NodeJS.ProcessEnv): string | undefined {
  if (flags.config !== undefined) return flags.config;
  const inDataDir = join(flags.dataDir ?? env['ANTIRIO_DATA_DIR'] ?? 'antirio-data', CONFIG_FILE);
  return existsSync(inDataDir) ? inDataDir : undefined;
}

/** File, then environment, then flags. @throws AntirioError badConfig naming each wrong key. */
export function readConfig(flags: ConfigFlags, env: NodeJS.ProcessEnv = process.env): EdgeConfig {
  const { config: _config, ...given } = flags;
  const config = loadConfig(configSchema, {
    file: configFile(flags, env),
    env: { prefix: 'ANTIRIO', values: env },
    flags: given,
  });
  return { ...config, dataDir: resolve(config.dataDir) };
}

type Tree = Record<string, unknown>;

/** A value by its dotted path. */
export function at(tree: Tree, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (typeof value === 'object' && value !== null ? (value as Tree)[key] : undefined),
    tree,
  );
}

/** The tree with a value at a path. */
export function withValue(tree: Tree, [head, ...rest]: readonly string[], value: unknown): Tree {
  if (head === undefined) return tree;
  const below = tree[head];
  const branch = typeof below === 'object' && below !== null ? (below as Tree) : {};
  return { ...tree, [head]: rest.length === 0 ? value : withValue(branch, rest, value) };
}

/** The port of one of a room's options, with the offset; 0, a free one, stays 0. */
export function shifted(room: Room, config: EdgeConfig, path: string): number {
  const configured = at(config[room.key], path.split('.'));
  const port = typeof configured === 'number' ? configured : (room.ports[path] ?? 0);
  return port === 0 ? 0 : port + config.portOffset;
}

/** Where this host's other rooms reach a room. */
export function urlOf(room: Room, config: EdgeConfig): string {
  const elsewhere = config.services[room.key]?.url;
  if (elsewhere !== undefined && !elsewhere.startsWith('mqtt')) return elsewhere;
  const bind = config[room.key]['bind'] ?? config.bind;
  const host = typeof bind !== 'string' || ['0.0.0.0', '::'].includes(bind) ? '127.0.0.1' : bind;
  const [httpOption = 'port'] = Object.keys(room.ports);
  return `http://${host.includes(':') ? `[${host}]` : host}:${shifted(room, config, httpOption)}`;
}

/** Where the message broker is, for rooms outside its process. */
export function brokerUrlOf(room: Room, config: EdgeConfig): string {
  return config.services[room.key]?.url ?? `mqtt://127.0.0.1:${shifted(room, config, 'port')}`;
}

/** Ports of this edge that core-keeper tells foreign services, as far as its section does not say others. */
function commonConfigOf(config: EdgeConfig): Tree {
  const portOf = (url: string): number => Number(new URL(url).port);
  const given = config.coreKeeper['commonConfig'];
  return {
    messageBusPort: portOf(brokerUrlOf(roomOf('broker'), config)) || 1883,
    coreMetadataPort: portOf(urlOf(roomOf('coreMetadata'), config)) || 80,
    ...(typeof given === 'object' ? given : {}),
  };
}

function keysOf(schema: z.ZodType): readonly string[] {
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

/**
 * A room's own options: its section, what the host knows and the room has an option for, and its ports with the offset.
 * @throws AntirioError badConfig naming each wrong key; where it would listen beyond this host without leave.
 */
export function roomOptions(room: Room, { schema }: LoadedRoom, config: EdgeConfig, ownId: string): unknown {
  const { dataDir, bind, role, central, neighbours } = config;
  const known: Tree = { dataDir, bind, role, central, neighbours, edgeId: ownId };
  const given = keysOf(schema).filter((key) => known[key] !== undefined);
  let options: Tree = { ...Object.fromEntries(given.map((key) => [key, known[key]])), ...config[room.key] };
  for (const path of Object.keys(room.ports))
    options = withValue(options, path.split('.'), shifted(room, config, path));
  if (room.key === 'coreKeeper') options = withValue(options, ['commonConfig'], commonConfigOf(config));
  const parsed = schema.safeParse(options);
  if (!parsed.success) {
    const issues = parsed.error.issues.map((issue) => ({ ...issue, path: [room.key, ...issue.path] }));
    throw new AntirioError('badConfig', `bad configuration: ${issuesOf(new z.ZodError(issues))}`);
  }
  const bound = options['bind'];
  if (
    typeof bound === 'string' &&
    !isLoopback(bound) &&
    config.tls === undefined &&
    !config.allowInsecureBind
  )
    throw new AntirioError(
      'badConfig',
      `${room.name} would listen on ${bound}, beyond this host, without TLS and tokens: set tls {certFile, keyFile}, or allowInsecureBind if the network is yours`,
    );
  return options;
}
