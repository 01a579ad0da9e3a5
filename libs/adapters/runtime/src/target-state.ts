import { AntirioError } from '@antirio/kernel';
import { z } from 'zod';
import { environmentOf, foldersOf, labelsOf, type Making } from './docker-container.ts';
import type { ServiceSpec } from './runtime.ts';

/** What of the device itself a supervisor tells and takes back. */
export interface LocalState {
  readonly name: string;
  readonly config: Readonly<Record<string, string>>;
}

type TargetVolume = Readonly<Record<string, unknown>>;

export interface TargetState {
  readonly local: LocalState & { readonly apps: Readonly<Record<string, TargetApp>> };
}

/** A service as the supervisor takes it: Docker compose's names, with what names a release. */
const service = z.looseObject({
  serviceName: z.string().min(1),
  serviceId: z.int().positive(),
  imageId: z.int().positive(),
  image: z.string().min(1),
  running: z.boolean().default(true),
  labels: z.record(z.string(), z.string()).default({}),
  environment: z.record(z.string(), z.string()).default({}),
});

/** The application of the device as it was pushed to it, without what moves. */
const targetApp = z.looseObject({
  name: z.string().min(1),
  commit: z.string().min(1).default('localcommit'),
  releaseId: z.int().positive().default(1),
  // An array is what a supervisor tells, and what it refuses to be given
  services: z.record(z.string(), service),
  volumes: z.record(z.string(), z.looseObject({})).default({}),
  networks: z.record(z.string(), z.looseObject({})).default({}),
});
type TargetService = z.output<typeof service>;
export type TargetApp = z.output<typeof targetApp>;

/** @throws AntirioError badConfig with the path of what is wrong */
export function readTargetApp(text: string, file: string): TargetApp {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new AntirioError('badConfig', `${file} is no JSON`, { file }, cause);
  }
  const read = targetApp.safeParse(parsed);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw new AntirioError('badConfig', `${file}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`, {
    file,
  });
}

/** A service that came to this device by a contract. */
export interface Moved {
  readonly spec: ServiceSpec;
  readonly making: Making;
  /** Its own number among services, images and releases of this device. */
  readonly number: number;
  readonly running: boolean;
}

export function serviceNameOf(id: string): string {
  return `antirio-${id}`;
}

/** Volumes are the application's: a service's folder has the service's name. */
export function volumeNameOf(id: string, folder: string): string {
  return `${serviceNameOf(id)}-${folder}`;
}

/**
 * A service that can reach nothing but its own folders, as a container of an engine (see `containerOptions`). The supervisor mounts
 * no folder of the host, but volumes, and a volume may be such a folder.
 */
export function targetService({ spec, making, number, running }: Moved): TargetService {
  const { memoryBytes, cpus, pids } = spec.limits;
  return {
    serviceName: serviceNameOf(spec.id),
    serviceId: number,
    imageId: number,
    image: making.image,
    running,
    labels: { ...labelsOf(spec, making.owner) },
    environment: { ...environmentOf(spec) },
    volumes: foldersOf(spec).map(({ name, to, mode }) => `${volumeNameOf(spec.id, name)}:${to}:${mode}`),
    user: `${making.user.uid}:${making.user.gid}`,
    network_mode: 'none',
    cap_drop: ['ALL'],
    security_opt: ['no-new-privileges'],
    read_only: true,
    tmpfs: ['/tmp'],
    mem_limit: String(memoryBytes),
    cpus,
    pids_limit: pids,
    // Whether it runs is decided here, and by nobody else
    restart: 'no',
    // Its standard input must stay open: services end themselves when it closes
    tty: true,
  };
}

function volumesOf({ spec, making }: Moved): [string, TargetVolume][] {
  return foldersOf(spec).map(({ name, from }) => [
    volumeNameOf(spec.id, name),
    { driver_opts: { type: 'none', o: 'bind', device: making.paths.onHost(from) } },
  ]);
}

/**
 * All that the device is to run: its own services as they were pushed, and those that came by contracts.
 *
 * @param local as the supervisor tells it
 */
export function targetState(
  local: LocalState,
  app: { readonly id: string; readonly base: TargetApp },
  moved: readonly Moved[],
): TargetState {
  const services = moved.map((one) => [String(one.number), targetService(one)] as const);
  return {
    local: {
      name: local.name,
      config: local.config,
      apps: {
        [app.id]: {
          ...app.base,
          services: { ...app.base.services, ...Object.fromEntries(services) },
          volumes: { ...app.base.volumes, ...Object.fromEntries(moved.flatMap(volumesOf)) },
        },
      },
    },
  };
}
