import type { RedisStore } from '@antirio/store-redis';
import { hasRows, type Page } from '@antirio/edgex-contracts';
import { createAccumulator, type AggregateFunc } from '../accumulator.ts';
import { resultText } from '../aggregates.ts';
import { answerTooLarge, MAX_ANSWER, type EventReader, type Result } from '../event-reader.ts';
import { uuidBytes } from '../event-writer.ts';
import type { TimeRange } from '../ordered-rows.ts';
import type { EventFilter, ReadingFilter } from '../selections.ts';
import { createIndexReader, type IndexReader } from './index-reader.ts';
import { KEYS, placeIn, type Member, type SeriesNames } from './layout.ts';
import type { EventRecord } from './event-record.ts';

interface Group {
  readonly device: string;
  readonly names: SeriesNames;
}

/** As SQLite orders texts: by their bytes. */
const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

function byNames(a: Group, b: Group): number {
  const [x, y] = [a, b].map(({ device, names }) => [device, ...names]);
  for (const [index, one] of (x ?? []).entries()) {
    const order = byBytes(one, y?.[index] ?? '');
    if (order !== 0) return order;
  }
  return 0;
}

class RedisEventReader implements EventReader {
  readonly #store: RedisStore;
  readonly #index: IndexReader;

  constructor(store: RedisStore) {
    this.#store = store;
    this.#index = createIndexReader(store);
  }

  async eventById(uuid: string, numeric = false): Promise<string | undefined> {
    const place = await this.#store.read(['HGET', this.#store.key('uuid'), uuidBytes(uuid)]);
    return place === null ? undefined : this.#eventAt(placeIn(place as Buffer), numeric);
  }

  eventAt(_: 'single' | 'event', place: number): Promise<string | undefined> {
    return this.#eventAt(place, false);
  }

  events(filter: EventFilter, page: Page, numeric = false): Promise<Result> {
    return this.#page(this.#eventKeys(filter), filter.range, page, (record) => record.event(numeric));
  }

  async readings(filter: ReadingFilter, page: Page, numeric = false): Promise<Result> {
    const keys = await this.#readingKeys(filter);
    return this.#page(keys, filter.range, page, (record, { index }) => record.reading(index, numeric));
  }

  eventCount(filter: EventFilter): Promise<number> {
    return this.#index.count(this.#eventKeys(filter), filter.range);
  }

  async readingCount(filter: ReadingFilter): Promise<number> {
    return this.#index.count(await this.#readingKeys(filter), filter.range);
  }

  async aggregates(filter: ReadingFilter, func: AggregateFunc, page: Page): Promise<readonly string[]> {
    const texts: string[] = [];
    let left = page.offset;
    for (const group of await this.#groups(filter)) {
      if (texts.length === page.limit) break;
      const found = await this.#aggregate(group, func, filter.range);
      if (found === undefined) continue;
      if (left > 0) left -= 1;
      else texts.push(found);
    }
    return texts;
  }

  #eventKeys({ device }: EventFilter): string[] {
    return [this.#store.key(device === undefined ? KEYS.events : KEYS.eventsOf(device))];
  }

  async #readingKeys({ device, resources }: ReadingFilter): Promise<string[]> {
    const names = (name: string): string => this.#store.key(name);
    if (resources === undefined)
      return [names(device === undefined ? KEYS.readings : KEYS.readingsOf(device))];
    if (device === undefined)
      return [...new Set(resources)].map((one) => names(KEYS.readingsOfResource(one)));
    const groups = await this.#seriesOf(device, resources);
    return groups.map((group) => names(KEYS.readingsOfSeries(group.device, group.names)));
  }

  async #seriesOf(device: string, resources: readonly string[] | undefined): Promise<Group[]> {
    const found = await this.#index.strings(['SMEMBERS', this.#store.key(KEYS.series(device))]);
    return found
      .map((text): Group => ({ device, names: JSON.parse(text) as SeriesNames }))
      .filter(({ names: [, resource] }) => resources === undefined || resources.includes(resource));
  }

  /** In the order of their names. */
  async #groups({ device, resources }: ReadingFilter): Promise<Group[]> {
    const devices =
      device === undefined ? await this.#index.strings(['SMEMBERS', this.#store.key('device')]) : [device];
    const groups: Group[] = [];
    for (const one of devices) groups.push(...(await this.#seriesOf(one, resources)));
    return groups.sort(byNames);
  }

  /** Undefined where there are no readings in the range. */
  async #aggregate(
    { device, names }: Group,
    func: AggregateFunc,
    range: TimeRange | undefined,
  ): Promise<string | undefined> {
    const [profile, resource, type] = names;
    const into = createAccumulator(func, type);
    let any = false;
    for await (const step of this.#index.steps(this.#store.key(KEYS.readingsOfSeries(device, names)), range))
      for await (const [record, { index }] of this.#recordsOf(step)) {
        into.add(record.value(index));
        any = true;
      }
    const { valueType, value } = into.result();
    return any ? resultText({ device, profile, resource }, valueType, value) : undefined;
  }

  async #eventAt(place: number, numeric: boolean): Promise<string | undefined> {
    for await (const [, record] of this.#index.records([place])) return record?.event(numeric);
    return undefined;
  }

  /** Records of events of several readings come once for those that follow each other. */
  async *#recordsOf(members: readonly Member[]): AsyncGenerator<readonly [EventRecord, Member]> {
    const places = members.map(({ place }) => place).filter((place, at, all) => place !== all[at - 1]);
    let at = 0;
    for await (const [place, record] of this.#index.records(places))
      for (let one = members[at]; one?.place === place; one = members[++at])
        // what was deleted since it was found is left out
        if (record !== undefined) yield [record, one];
  }

  async #page(
    keys: readonly string[],
    range: TimeRange | undefined,
    page: Page,
    toText: (record: EventRecord, member: Member) => string,
  ): Promise<Result> {
    const total = page.counted ? await this.#index.count(keys, range) : 0;
    const wanted = page.counted ? hasRows(total, page) : page.limit > 0;
    if (!wanted) return { total, items: [] };
    const items: string[] = [];
    let length = 0;
    for await (const [record, member] of this.#recordsOf(await this.#index.page(keys, range, page))) {
      const text = toText(record, member);
      length += text.length;
      if (length > MAX_ANSWER) throw answerTooLarge();
      items.push(text);
    }
    return { total, items };
  }
}

export const createRedisEventReader = (store: RedisStore): EventReader => new RedisEventReader(store);
