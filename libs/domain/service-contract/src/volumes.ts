import { AntirioError } from '@antirio/kernel';
import { z } from 'zod';
import { companionsIn, type Companions } from './companions.ts';

/** Volumes of a contract's services, as configuration.json says them: `namedVolumes`, and who mounts them in the words of Docker compose. */

const volumeName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,23}$/, 'up to 24 small letters, digits and dashes');
const MOST_VOLUMES = 8;
/** Of all of a contract's volumes together. */
const MOST_BYTES = 2 ** 34;

export const namedVolume = z.strictObject({
  /** Of its files' content, beyond which no snapshot is taken. */
  maxBytes: z.int().min(4096).max(MOST_BYTES).default(67_108_864),
  /** Seconds between two snapshots, where something has changed. */
  everyS: z.int().min(1).max(86_400).default(60),
});
export type NamedVolume = z.output<typeof namedVolume>;

export const namedVolumes = z
  .record(volumeName, namedVolume)
  .refine((all) => Object.keys(all).length <= MOST_VOLUMES, `at most ${MOST_VOLUMES} volumes`)
  .refine(
    (all) => Object.values(all).reduce((sum, { maxBytes }) => sum + maxBytes, 0) <= MOST_BYTES,
    `all volumes together hold at most ${MOST_BYTES} bytes`,
  );
export type NamedVolumes = z.output<typeof namedVolumes>;

/** Where a service has a volume. */
export interface Mount {
  readonly volume: string;
  /** In its container. */
  readonly path: string;
}

export interface ContractVolumes {
  readonly named: NamedVolumes;
  /** Of the contract's own service. */
  readonly own: readonly Mount[];
  /** Of those beside it, by name. */
  readonly beside: Readonly<Record<string, readonly Mount[]>>;
}

/** What both edges sign of them: how much there may be, how often it comes, and for how long a snapshot may be the newest without an alarm. */
export const volumesTerms = z
  .strictObject({
    maxBytes: z.int().min(4096).max(MOST_BYTES),
    everyS: z.int().min(1).max(86_400),
  })
  .optional();
export type VolumesTerms = z.output<typeof volumesTerms>;

const MOUNT_PATH = /^(?:\/[A-Za-z0-9_][A-Za-z0-9._-]*){1,8}$/;
/** Folders that are the container's or the rim's. */
const TAKEN =
  /^\/(?:proc|sys|dev|run|tmp|etc|bin|sbin|lib|lib64|usr|var\/lib\/antirio)(?:\/|$)|^\/(?:app|var|var\/lib)$/;

function mountOf(said: string, named: NamedVolumes): Mount {
  const [volume = '', path = '', ...more] = said.split(':');
  if (!Object.hasOwn(named, volume))
    throw new AntirioError('invalidInput', `${said}: ${volume} is none of namedVolumes`);
  if (more.length > 0 || !MOUNT_PATH.test(path) || TAKEN.test(path))
    throw new AntirioError('invalidInput', `${said}: a volume is mounted as name:/folder of its own`);
  return { volume, path };
}

/** The thesis's field is one text; what it names that is no volume of ours is for others, as before. */
function ownMounts(text: string, named: NamedVolumes): Mount[] {
  const said = text.split(',').map((one) => one.trim());
  return said
    .filter((one) => Object.hasOwn(named, one.split(':', 1)[0] ?? ''))
    .map((one) => mountOf(one, named));
}

function requireApart(mounts: readonly Mount[]): readonly Mount[] {
  const paths = mounts.map(({ path }) => `${path}/`);
  const clash = paths.find((path, i) => paths.some((other, k) => k !== i && other.startsWith(path)));
  if (clash !== undefined || new Set(mounts.map(({ volume }) => volume)).size < mounts.length)
    throw new AntirioError('invalidInput', 'a service has each volume once, and none below another');
  return mounts;
}

function besideOf(services: Companions, named: NamedVolumes): Record<string, readonly Mount[]> {
  return Object.fromEntries(
    Object.entries(services)
      .filter(([, { volumes }]) => volumes.length > 0)
      .map(([name, { volumes }]) => [name, requireApart(volumes.map((said) => mountOf(said, named)))]),
  );
}

const withVolumes = z.looseObject({
  namedVolumes: namedVolumes.default({}),
  volumes: z.unknown().optional(),
});

/** Those of a configuration.json, or of what is kept of it. @throws AntirioError invalidInput */
export function volumesIn(configuration: unknown): ContractVolumes {
  const parsed = withVolumes.safeParse(configuration ?? {});
  if (!parsed.success) {
    const wrong = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
    throw new AntirioError('invalidInput', `configuration.json: ${wrong.join('; ')}`);
  }
  const { namedVolumes: named, volumes } = parsed.data;
  const own = requireApart(typeof volumes === 'string' ? ownMounts(volumes, named) : []);
  const beside = besideOf(companionsIn(configuration), named);
  const mounted = new Set([own, ...Object.values(beside)].flat().map(({ volume }) => volume));
  const idle = Object.keys(named).find((name) => !mounted.has(name));
  if (idle !== undefined)
    throw new AntirioError('invalidInput', `configuration.json: nobody mounts the volume ${idle}`);
  return { named, own, beside };
}

/** Nothing where there are none: such terms are as they were before there were volumes. */
export function volumesTermsOf({ named }: Pick<ContractVolumes, 'named'>): VolumesTerms {
  const all = Object.values(named);
  if (all.length === 0) return undefined;
  return {
    maxBytes: all.reduce((sum, { maxBytes }) => sum + maxBytes, 0),
    everyS: Math.min(...all.map(({ everyS }) => everyS)),
  };
}
