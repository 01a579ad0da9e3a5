import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { createWork, jittered, type Work } from '@antirio/durable-work';
import type { Log } from '@antirio/host';
import { AntirioError, describeError, type Clock, type Random } from '@antirio/kernel';
import type { StorageNetwork } from '@antirio/storage-network';
import type { FilecoinInterfaceOptions } from './options.ts';
import type { NetworkSettings } from './places.ts';
import type { PlaceRecord, Records } from './records.ts';

export interface FormerPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly records: Records;
  readonly network: StorageNetwork;
  /** Of all networks. */
  readonly folder: string;
  readonly open: (settings: NetworkSettings, folder: string) => Promise<StorageNetwork>;
}

export interface FormerView {
  readonly id: string;
  /** Whose it is, and where: `kubo:http://127.0.0.1:5001`. */
  readonly name: string;
  /** Pieces that may be kept there. */
  readonly pieces: number;
  readonly leftAt: number;
  /** When they are let go of, or when that is tried again; where the network that is chosen does not hold all yet, later. */
  readonly dueAt: number;
  readonly error: string | undefined;
}

/** What is kept where nobody looks after it any more, since another network was chosen: it is let go of, and until then it is told of. */
export interface FormerNetworks {
  all(): FormerView[];
  /** Leaves there what is there, and tells of it no more. @throws AntirioError notFound */
  forget(id: string): void;
  readonly work: Work;
}

/** In place of the id of a place: the network that is chosen, in which things may be kept that nothing here tells of. */
const PRESENT = 'present';

export function createFormerNetworks(options: FilecoinInterfaceOptions, ports: FormerPorts): FormerNetworks {
  const { records, clock, random, log, network } = ports;
  let isTidy = network.kind === 'embedded';

  const work = createWork({
    name: 'let go of what is kept in other networks',
    unfinished,
    run: (id) => (id === PRESENT ? tidy() : leave(id)),
    failed: putOff,
    attempts: options.attempts,
    atOnce: 1,
    firstDelayMs: options.firstRetryMs,
    maxDelayMs: options.maxRetryMs,
    clock,
    random,
    log,
  });
  return { all, forget, work };

  function former(): (PlaceRecord & { leftAt: number })[] {
    return records.places.all().flatMap((place) => {
      const { leftAt } = place;
      return leftAt === undefined ? [] : [{ ...place, leftAt }];
    });
  }

  function all(): FormerView[] {
    return former().map(({ id, name, names, leftAt, dueAt, error }) => ({
      id,
      name,
      pieces: names,
      leftAt,
      dueAt,
      error,
    }));
  }

  function forget(id: string): void {
    const place = former().find((each) => each.id === id);
    if (place === undefined)
      throw new AntirioError('notFound', `nothing is kept in a former network ${id}`, { id });
    gone(place);
  }

  function unfinished(): string[] {
    const pushes = records.pushes.all();
    if (pushes.some(({ state }) => state === 'PUSHING')) return [];
    const present = isTidy ? [] : [PRESENT];
    if (pushes.some(({ state }) => state === 'STORED' || state === 'FAILED')) return present;
    const now = clock.now();
    return [...present, ...former().flatMap(({ id, dueAt }) => (dueAt <= now ? [id] : []))];
  }

  /** What a lost record, or another network in between, has left behind. */
  async function tidy(): Promise<void> {
    await network.keepOnly((name) => records.pushes.get(name) !== undefined);
    isTidy = true;
  }

  async function leave(id: string): Promise<void> {
    const place = records.places.get(id);
    if (place?.leftAt === undefined) return;
    const opened = await ports.open(place.settings, join(ports.folder, place.folder));
    const names = await opened.keepOnly(() => false, network).finally(() => opened.close());
    if (records.places.get(id)?.leftAt === undefined) return;
    if (names > 0) {
      records.places.put(id, { ...place, names, dueAt: clock.now() + options.networkCheckMs });
      return;
    }
    gone(place);
    log.info({ place: place.name }, 'nothing of ours is kept there any more');
  }

  function gone({ id, folder }: PlaceRecord): void {
    records.places.remove(id);
    rmSync(join(ports.folder, folder), { recursive: true, force: true });
  }

  function putOff(id: string, error: unknown): void {
    const place = records.places.get(id);
    // What is left behind in the present network is looked for again after the next start.
    if (id === PRESENT) isTidy = true;
    if (place === undefined) return;
    const dueAt = clock.now() + jittered(options.networkRecheckMs, random);
    records.places.put(id, { ...place, dueAt, error: describeError(error) });
  }
}
