import { AntirioError, isAntirioError, type Clock, type Random } from '@antirio/kernel';
import {
  BatchQueue,
  shortfallOf,
  type BatchEntry,
  type BatchLimits,
  type Check,
  type Log,
  type RunOptions,
} from '@antirio/host';
import {
  openRedisStore,
  type Plain,
  type RedisStore,
  type RedisStoreOptions,
  type Unit,
} from '@antirio/store-redis';
import type { Event } from '@antirio/edgex-contracts';
import type { EventStore } from '../event-store.ts';
import { uuidBytes, type Deletion, type Outcome } from '../event-writer.ts';
import type { Arrival, Arrivals } from '../forwarding/arrivals.ts';
import type { Sources } from '../sources.ts';
import { insertion, removal } from './event-units.ts';
import { createIndexReader, type IndexReader } from './index-reader.ts';
import { boundsOf, KEYS, LAYOUT, memberIn, placeBytes, placeIn, text } from './layout.ts';
import { createRedisEventReader } from './redis-event-reader.ts';

/** Pieces of work in one script at most: it keeps the server for some milliseconds. */
const MOST_AT_ONCE = 250;
const DELETED_AT_ONCE = 200;
const ARRIVALS_AT_ONCE = 250;
/** Keys of which the size is asked for, and for how many each stands. */
const BYTES_OF = { event: 1, uuid: 1, arrival: 1, [KEYS.events]: 3, [KEYS.readings]: 4 };
const EVER = { start: -(2n ** 63n), end: 2n ** 63n - 1n };

/** What an event and each of its readings take besides the record, in hashes and sorted sets. */
const EVENT_BYTES = 650;
const READING_BYTES = 480;
/** Memory is given in sizes that are up to a fifth larger. */
const ROUNDED_UP = 1.2;

/** Units of one piece of work, of which the first is told. */
interface Work {
  readonly units: readonly (Unit | Plain)[];
  /** The place that it gives to an event. */
  readonly place?: number;
  /** It takes away, or notes what is to be taken away: a full memory must not keep that from being done. */
  readonly frees?: true;
}

/** A batch in its order, cut where what frees meets what does not: a refusal of the one is none of the other. */
function* partsOf(batch: readonly BatchEntry<Work>[]): Generator<readonly BatchEntry<Work>[]> {
  let from = 0;
  for (let end = 1; end <= batch.length; end++) {
    if (end < batch.length && batch[end]?.item.frees === batch[from]?.item.frees) continue;
    yield batch.slice(from, end);
    from = end;
  }
}

interface Note {
  readonly device?: string;
  readonly source?: string;
  /** As text: JSON has no integers of 64 bits. */
  readonly until?: string;
  /** The newest place that it concerns. */
  readonly through: number;
}

class RedisEventStore implements EventStore {
  readonly #store: RedisStore;
  readonly #queue: BatchQueue<Work>;
  readonly #index: IndexReader;
  readonly reader;
  readonly sources: Sources;
  readonly arrivals: Arrivals;
  /** Places only grow, so that what is noted for deletion never reaches an event that came later. */
  #given: number;
  #durable: number;
  #failed = 0;
  /** Where the deletion under way goes on, and of which note it is. */
  #cursor: { readonly note: string; readonly from: Buffer } | undefined;

  constructor(store: RedisStore, newest: number, limits: BatchLimits) {
    this.#store = store;
    this.#given = newest;
    this.#durable = newest;
    const maxBatch = Math.min(limits.maxBatch ?? MOST_AT_ONCE, MOST_AT_ONCE);
    this.#queue = new BatchQueue({ ...limits, maxBatch }, (batch) => this.#commit(batch));
    this.#index = createIndexReader(store);
    this.reader = createRedisEventReader(store);
    this.sources = this.#createSources();
    this.arrivals = this.#createArrivals();
  }

  get pending(): number {
    return this.#queue.pending;
  }

  get refused(): number {
    return this.#queue.refused;
  }

  get failed(): number {
    return this.#failed;
  }

  get broken(): string | undefined {
    return this.#store.broken;
  }

  async insert(event: Event, bytes: number, options?: RunOptions): Promise<Outcome> {
    const place = this.#given + 1;
    const work = { units: [insertion(event, place, this.#key)], place };
    this.#given = place;
    return (await this.#queue.add<boolean>(bytes, work, options)) ? 'stored' : 'duplicate';
  }

  async remove(uuid: string): Promise<void> {
    const place = await this.#store.read(['HGET', this.#key('uuid'), uuidBytes(uuid)]);
    const missing = new AntirioError('notFound', `no event with id '${uuid}' found`);
    if (place === null) throw missing;
    for await (const [at, record] of this.#index.records([placeIn(place as Buffer)])) {
      if (record === undefined) throw missing;
      const work: Work = { units: removal(record, at, this.#key), frees: true };
      if (!(await this.#queue.add<boolean>(0, work))) throw missing;
    }
  }

  async noteDeletion({ device, source, until, through = Infinity }: Deletion): Promise<void> {
    const note: Note = { device, source, until: until?.toString(), through: Math.min(through, this.#given) };
    const commands = [['RPUSH', this.#key('deletion'), JSON.stringify(note)]];
    await this.#queue.add(0, { units: [{ commands }], frees: true });
    await this.deleteSome();
  }

  async removeAt(arrivals: readonly Arrival[]): Promise<number> {
    const told = await Promise.all(
      (await this.#removals(arrivals.map(({ id }) => id))).map((units) =>
        this.#queue.add<boolean>(0, { units, frees: true }, { bounded: true }),
      ),
    );
    return told.filter(Boolean).length;
  }

  /** An estimate from samples: each event is in three indexes, and each reading in four, that are alike. */
  async bytes(): Promise<number> {
    const sizes = Object.entries(BYTES_OF).map(async ([name, times]) => {
      const size = await this.#store.read(['MEMORY', 'USAGE', this.#key(name), 'SAMPLES', 100]);
      return Number(size ?? 0) * times;
    });
    return (await Promise.all(sizes)).reduce((sum, one) => sum + one, 0);
  }

  /** Redis does that by itself. */
  giveBack(): Promise<boolean> {
    return Promise.resolve(false);
  }

  async deleteSome(): Promise<boolean> {
    const first = await this.#store.read(['LINDEX', this.#key('deletion'), 0]);
    if (first === null) return false;
    const noted = text(first);
    const note = JSON.parse(noted) as Note;
    const [from, to] = boundsOf({
      ...EVER,
      ...(note.until === undefined ? {} : { end: BigInt(note.until) }),
    });
    const after = this.#cursor?.note === noted ? this.#cursor.from : from;
    const range = ['ZRANGEBYLEX', this.#indexOf(note), after, to, 'LIMIT', 0, DELETED_AT_ONCE] as const;
    const members = (await this.#store.read(range)) as Buffer[];
    const last = members.at(-1);
    const places = members.map((one) => memberIn(one).place).filter((at) => at <= note.through);
    const units: (Unit | Plain)[] = (await this.#removals(places)).flat();
    const isLast = members.length < DELETED_AT_ONCE;
    if (isLast) units.push({ commands: [['LREM', this.#key('deletion'), 1, noted]] });
    if (units.length > 0) await this.#queue.add(0, { units, frees: true }, { bounded: true });
    this.#cursor =
      isLast || last === undefined
        ? undefined
        : { note: noted, from: Buffer.concat([Buffer.from('('), last]) };
    return true;
  }

  settled(): Promise<void> {
    return this.#queue.add(0, { units: [] }, { bounded: true });
  }

  async check(_: Clock): Promise<Check> {
    const store = await this.#store.check();
    const said = shortfallOf(this.refused, this.#failed);
    return !store.ok || said === undefined ? store : { ok: true, detail: said };
  }

  async close(): Promise<void> {
    await this.#queue.close();
    await this.#store.close();
  }

  readonly #key = (name: string): string => this.#store.key(name);

  #indexOf({ device, source }: Note): string {
    if (device === undefined) return this.#key(KEYS.events);
    return this.#key(source === undefined ? KEYS.eventsOf(device) : KEYS.eventsOfSource(device, source));
  }

  /** For each event what takes it away. */
  async #removals(places: readonly number[]): Promise<Unit[][]> {
    const units: Unit[][] = [];
    for await (const [place, record] of this.#index.records(places))
      if (record !== undefined) units.push(removal(record, place, this.#key));
    return units;
  }

  async #commit(batch: readonly BatchEntry<Work>[]): Promise<() => void> {
    const told: (() => void)[] = [];
    for (const part of partsOf(batch)) told.push(await this.#committed(part));
    return () => told.forEach((tell) => tell());
  }

  async #committed(batch: readonly BatchEntry<Work>[]): Promise<() => void> {
    const units = batch.flatMap(({ item }) => item.units);
    try {
      const options = { alsoWhenFull: batch[0]?.item.frees === true };
      const told = units.length === 0 ? [] : await this.#store.commit(units, options);
      let next = 0;
      const results = batch.map(({ item }) => {
        const mine = told.slice(
          next,
          (next += item.units.filter((unit) => 'told' in unit && unit.told).length),
        );
        return mine[0];
      });
      const places = batch.map(({ item }, index) => (results[index] === true ? (item.place ?? 0) : 0));
      this.#durable = places.reduce((a, b) => Math.max(a, b), this.#durable);
      return () => batch.forEach(({ resolve }, index) => resolve(results[index]));
    } catch (error) {
      const failure = isAntirioError(error)
        ? error
        : new AntirioError('unavailable', 'Redis failed', {}, error);
      this.#failed += batch.length;
      return () => batch.forEach(({ reject }) => reject(failure));
    }
  }

  #createSources(): Sources {
    const ofSource = (device: string, source: string): string[] => [
      this.#key(KEYS.eventsOfSource(device, source)),
    ];
    const all: Sources['all'] = async () =>
      (await this.#index.strings(['SMEMBERS', this.#key('source')])).map((names) => {
        const [device = '', source = ''] = JSON.parse(names) as string[];
        return { device, source };
      });
    return {
      all,
      eventsOf: async (devicePrefix) => {
        const found = (await all()).filter(({ device }) => device.startsWith(devicePrefix));
        return this.#index.count(found.flatMap(({ device, source }) => ofSource(device, source)));
      },
      eventCount: (device, source) => this.#index.count(ofSource(device, source)),
      originAt: async (device, source, until, newer) => {
        const range = until === undefined ? undefined : { ...EVER, end: until };
        const [row] = await this.#index.page(ofSource(device, source), range, { offset: newer, limit: 1 });
        return row?.origin;
      },
    };
  }

  #createArrivals(): Arrivals {
    const bound = (place: number, sign: string): Buffer =>
      Buffer.concat([Buffer.from(sign), placeBytes(place)]);
    const key = this.#key('arrival');
    return {
      newest: () => this.#durable,
      oldest: async () => {
        const [first] = (await this.#store.read(['ZRANGE', key, 0, 0])) as Buffer[];
        return first === undefined ? undefined : placeIn(first);
      },
      page: async (after, through, isWanted) => {
        const bounds = [bound(after, '('), bound(through, '[')];
        const found = (await this.#store.read([
          'ZRANGEBYLEX',
          key,
          ...bounds,
          'LIMIT',
          0,
          ARRIVALS_AT_ONCE,
        ])) as Buffer[];
        const last = found.at(-1);
        const end = last === undefined || found.length < ARRIVALS_AT_ONCE ? through : placeIn(last);
        const arrivals: Arrival[] = [];
        for await (const [id, record] of this.#index.records(found.map(placeIn))) {
          if (record === undefined) continue;
          const { id: uuid, ...names } = record.names();
          if (isWanted(names.device)) arrivals.push({ ...names, id, table: 'event', uuid });
        }
        return { arrivals, through: end };
      },
      bytesOf: async (arrivals) => {
        const bytes: number[] = [];
        for await (const [, record] of this.#index.records(arrivals.map(({ id }) => id)))
          bytes.push(
            record === undefined
              ? 0
              : EVENT_BYTES + READING_BYTES * record.readings + ROUNDED_UP * record.bytes,
          );
        return bytes;
      },
    };
  }
}

/** Events in Redis. @throws AntirioError badConfig | unavailable */
export async function openRedisEventStore(
  options: RedisStoreOptions,
  ports: { readonly clock: Clock; readonly random: Random; readonly log: Log },
  limits: BatchLimits,
): Promise<EventStore> {
  const store = await openRedisStore(options, 'core-data', ports);
  try {
    const meta = store.key('meta');
    const [layout, newest] = (await store.read(['HMGET', meta, 'layout', 'newest'])) as (Buffer | null)[];
    if (layout !== null && text(layout) !== LAYOUT) {
      const what = `the events in Redis below ${store.key('')} were laid out by another build`;
      throw new AntirioError('badConfig', `${what}. Take another keyPrefix to begin a new store`);
    }
    await store.commit([{ commands: [['HSET', meta, 'layout', LAYOUT]] }], { alsoWhenFull: true });
    return new RedisEventStore(store, newest === null ? 0 : Number(text(newest)), limits);
  } catch (error) {
    await store.close();
    throw error;
  }
}
