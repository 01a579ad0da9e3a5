import {
  AntirioError,
  isAntirioError,
  describeError,
  uuidV4,
  type Clock,
  type Random,
} from '@antirio/kernel';
import type { Bus, GroupCommit, HttpPeer, Log } from '@antirio/host';
import { baseResponse, type BaseResponse, type SystemEventAction } from '@antirio/edgex-contracts';
import type { DeviceValidation } from './device-validation.ts';
import type { Entities, Kind, Kinds, Stored } from './entities.ts';
import type { CoreMetadataOptions } from './options.ts';

export interface CoreMetadataPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
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
  readonly ports: CoreMetadataPorts;
  readonly commit: GroupCommit;
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

/** The entity that an update names by id, by name, or by both. @throws AntirioError notFound | invalidInput */
export function find<K extends Kind>(entities: Entities, kind: K, named: Named): Stored<Kinds[K]> {
  const { id = '', name = '' } = named;
  const found = id === '' ? entities.byName(kind, name) : entities.byId(kind, id.toLowerCase());
  if (found === undefined)
    throw new AntirioError('notFound', `${kind} ${id === '' ? name : id} does not exist`);
  if (named.name !== undefined && named.name !== found.name)
    throw new AntirioError(
      'invalidInput',
      `${kind} name '${named.name}' not match the existing '${found.name}'`,
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

/** Items of one request that share commits and waits; in the order of the request. */
const AT_ONCE = 64;

interface Item {
  readonly requestId?: string | undefined;
}

/** Answers a request of many items: each has its own status in the 207; without items the answer is `null`, as EdgeX's is. */
export async function each<T extends Item>(
  items: readonly T[] | null,
  status: number,
  handle: (item: T) => Promise<{ readonly id: string } | undefined>,
): Promise<BaseResponse[] | null> {
  if (items === null || items.length === 0) return null;
  const answer = async (item: T): Promise<BaseResponse> => {
    try {
      return { ...baseResponse(status, item), ...(await handle(item)) };
    } catch (error) {
      const statusCode = isAntirioError(error) ? error.statusCode : 500;
      return baseResponse(statusCode, { requestId: item.requestId, message: describeError(error) });
    }
  };
  const answers: BaseResponse[] = [];
  for (let from = 0; from < items.length; from += AT_ONCE)
    answers.push(...(await Promise.all(items.slice(from, from + AT_ONCE).map(answer))));
  return answers;
}
