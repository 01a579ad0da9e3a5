import { AntirioError, uuidV4, type Clock, type Random } from '@antirio/kernel';
import type { Bus, GroupCommit, HttpPeer, Log, RimAccess } from '@antirio/host';
import type { SystemEventAction } from '@antirio/edgex-contracts';
import type { DeviceValidation } from './device-validation.ts';
import { WORDS, type Entities, type Kind, type Kinds, type Stored } from './entities.ts';
import type { CoreMetadataOptions } from './options.ts';
import type { LiveSettings } from './settings.ts';

export interface CoreMetadataPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Who may call by HTTP; without it everybody who reaches the port. */
  readonly access?: RimAccess | undefined;
  readonly bus?: Bus | undefined;
  readonly peers?: Readonly<Record<string, HttpPeer>>;
}

/** A change that is durable, and what everyone is told of it. */
export interface Change<K extends Kind = Kind> {
  readonly kind: K;
  readonly action: SystemEventAction;
  readonly entity: Stored<Kinds[K]>;
  /** Told to these too: the service that a device left, those that use a profile. */
  readonly owners?: readonly string[];
}

/** What the parts of the room share while it runs. */
export interface Room {
  readonly options: CoreMetadataOptions;
  readonly settings: LiveSettings;
  readonly ports: CoreMetadataPorts;
  readonly commit: Pick<GroupCommit, 'run'>;
  readonly entities: Entities;
  readonly validation: DeviceValidation;
  readonly tell: (change: Change, correlationID: string | undefined) => void;
}

/** A new DTO with an id, and with when it came. */
export function stored<T extends { readonly id?: string | undefined }>(
  { clock, random }: CoreMetadataPorts,
  dto: T,
  before?: { readonly id: string; readonly created: number },
): Stored<T> {
  const now = Math.trunc(clock.now());
  const id = before?.id ?? (dto.id === undefined || dto.id === '' ? uuidV4(random) : dto.id.toLowerCase());
  return { ...dto, id, created: before?.created ?? now, modified: now };
}

export interface Named {
  readonly id?: string | undefined;
  readonly name?: string | undefined;
}

/** What is said of an entity that is not there. */
export function missing(kind: Kind, { id = '', name = '' }: Named): AntirioError {
  const by = id === '' ? `name '${name}'` : `id '${id}'`;
  return new AntirioError('notFound', `no ${WORDS[kind]} with ${by} found`);
}

/** The entity that an update names by id, by name, or by both. @throws AntirioError notFound | invalidInput */
export function find<K extends Kind>(entities: Entities, kind: K, named: Named): Stored<Kinds[K]> {
  const { id = '', name = '' } = named;
  const found = id === '' ? entities.byName(kind, name) : entities.byId(kind, id.toLowerCase());
  if (found === undefined) throw missing(kind, named);
  if (named.name !== undefined && named.name !== found.name)
    throw new AntirioError(
      'invalidInput',
      `${WORDS[kind]} name '${named.name}' not match the existing '${found.name}'`,
    );
  return found;
}

/** What of the update is given, over what was there. */
export function patched<T extends object>(before: T, update: object): T {
  const fields = Object.entries(update).filter(
    ([key, value]) => value !== undefined && key !== 'id' && key !== 'name',
  );
  return { ...before, ...Object.fromEntries(fields) };
}
