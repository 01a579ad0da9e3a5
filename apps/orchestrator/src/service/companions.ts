import { chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { AntirioError, sha256Hex, utf8 } from '@antirio/kernel';
import { verifyImageArchive, type ServiceSpec, type SpecVolume } from '@antirio/runtime';
import { companionsIn, startOrder, type Companions, type Mount } from '@antirio/service-contract';
import { fetchStatus } from './fetched.ts';
import type { Companion } from './group-runtime.ts';
import { fetchedAs, volumesOf, type ServiceRecord } from './service-record.ts';
import type { ServiceRoom } from './service-room.ts';

const servicesOf = ({ service }: ServiceRecord): Companions => companionsIn(service['configuration']);

function companionId(serviceId: string, name: string): string {
  return `${serviceId}-s${sha256Hex(utf8(name)).slice(0, 10)}`;
}

/** Where the services of one contract reach each other, and nobody else does. Undefined where it has only its own one. */
export function linksOf(room: ServiceRoom, record: ServiceRecord): string | undefined {
  if (Object.keys(servicesOf(record)).length === 0) return undefined;
  return join(room.folders.of(record.serviceId).runDir, 'links');
}

/** The archives that migration fetched for it by the CIDs of its configuration. @throws AntirioError forbidden where one is of another */
async function archivesOf(
  { peers }: ServiceRoom,
  record: ServiceRecord,
  services: Companions,
): Promise<Map<string, string>> {
  const names = Object.keys(services);
  if (names.length === 0) return new Map();
  const { services: fetched = [] } = await fetchStatus(peers.migration, fetchedAs(record));
  return new Map(
    names.map((name) => {
      const found = fetched.find((one) => one.name === name);
      if (found?.archive === undefined || found.imageCid !== services[name]?.imageCid)
        throw new AntirioError('forbidden', `the image of ${name} is not fetched for this contract`, {
          name,
        });
      return [name, found.archive];
    }),
  );
}

/** Volumes are the contract's: all of its services and versions have the same folders. */
export function mountsOf(
  { volumes }: Pick<ServiceRoom, 'volumes'>,
  { contractId }: ServiceRecord,
  mounts: readonly Mount[],
): SpecVolume[] {
  return mounts.map(({ volume: name, path }) => {
    return { name, path, hostDir: volumes.folder(contractId, name) };
  });
}

/** @throws AntirioError corrupt */
export async function verifyCompanions(room: ServiceRoom, record: ServiceRecord): Promise<void> {
  const archives = await archivesOf(room, record, servicesOf(record));
  for (const archive of archives.values()) await verifyImageArchive(archive);
}

/** In the order in which they start, each with its image loaded and its folders made. */
export async function companionsFor(
  room: ServiceRoom,
  record: ServiceRecord,
  main: ServiceSpec,
): Promise<Companion[]> {
  const services = servicesOf(record);
  const linksDir = linksOf(room, record);
  if (linksDir === undefined) return [];
  const archives = await archivesOf(room, record, services);
  mkdirSync(linksDir, { recursive: true, mode: 0o700 });
  const { user } = room.runtime;
  if (user !== undefined) chownSync(linksDir, user.uid, user.gid);
  const { beside } = volumesOf(record);
  const found: Companion[] = [];
  for (const name of startOrder(services)) {
    const [service, archive] = [services[name], archives.get(name)];
    if (service === undefined || archive === undefined) continue;
    const { imageId } = await room.runtime.load(archive);
    const id = companionId(record.serviceId, name);
    const { epoch, limits } = main;
    const env = { ...service.env, ANTIRIO_SERVICE_NAME: name };
    const volumes = mountsOf(room, record, beside[name] ?? []);
    const has = volumes.length === 0 ? {} : { volumes };
    const spec = { id, epoch, limits, imageId, ...room.folders.make(id), linksDir, env, ...has };
    const { ready, readyWithinMs } = service;
    found.push({ name, spec, ready, readyWithinMs });
  }
  return found;
}

/** Nothing is left of their folders. */
export function forgetCompanions({ folders }: ServiceRoom, record: ServiceRecord): void {
  for (const name of Object.keys(servicesOf(record))) {
    const id = companionId(record.serviceId, name);
    folders.removeRun(id);
    folders.removeData(id);
  }
}
