import type { Command, Unit } from '@antirio/store-redis';
import type { Event } from '@antirio/edgex-contracts';
import { AntirioError } from '@antirio/kernel';
import { uuidBytes } from '../event-writer.ts';
import type { EventRecord } from './event-record.ts';
import { recordOf } from './event-record.ts';
import { KEYS, member, MOST_READINGS, placeBytes, type SeriesNames } from './layout.ts';

export type KeyOf = (name: string) => string;

/** Members of one command: the script has room for some thousand. */
const MEMBERS_AT_ONCE = 400;

/** What is of each index: it is the same when an event comes and when it goes. */
type Members = Map<string, Buffer[]>;

function add(to: Members, key: string, one: Buffer): void {
  const known = to.get(key);
  if (known === undefined) to.set(key, [one]);
  else known.push(one);
}

interface Indexed {
  readonly device: string;
  readonly source: string;
  readonly origin: bigint;
  readonly readings: readonly IndexedReading[];
}

interface IndexedReading {
  readonly device: string;
  readonly profile: string;
  readonly resource: string;
  readonly valueType: string;
  readonly origin: bigint;
}

const seriesOf = ({ profile, resource, valueType }: IndexedReading): SeriesNames => [
  profile,
  resource,
  valueType,
];

function membersOf({ device, source, origin, readings }: Indexed, place: number): Members {
  const members: Members = new Map();
  const ofEvent = member(origin, place);
  for (const key of [KEYS.events, KEYS.eventsOf(device), KEYS.eventsOfSource(device, source)])
    add(members, key, ofEvent);
  readings.forEach((reading, index) => {
    const one = member(reading.origin, place, index);
    const keys = [
      KEYS.readings,
      KEYS.readingsOf(reading.device),
      KEYS.readingsOfResource(reading.resource),
      KEYS.readingsOfSeries(reading.device, seriesOf(reading)),
    ];
    for (const key of keys) add(members, key, one);
  });
  return members;
}

function* slices<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let from = 0; from < all.length; from += MEMBERS_AT_ONCE)
    yield all.slice(from, from + MEMBERS_AT_ONCE);
}

/** Series of an event, each once. */
function seriesIn(
  readings: readonly IndexedReading[],
): { readonly device: string; readonly names: SeriesNames }[] {
  const found = new Map<string, { device: string; names: SeriesNames }>();
  for (const reading of readings) {
    const one = { device: reading.device, names: seriesOf(reading) };
    found.set(JSON.stringify(one), one);
  }
  return [...found.values()];
}

/** Stores an event at a place, unless there is one of its id. */
export function insertion(event: Event, place: number, key: KeyOf): Unit {
  if (event.readings.length >= MOST_READINGS)
    throw new AntirioError('tooLarge', `an event of ${MOST_READINGS} readings or more`);
  const readings = event.readings.map((reading) => ({
    device: reading.deviceName,
    profile: reading.profileName,
    resource: reading.resourceName,
    valueType: reading.valueType,
    origin: reading.origin,
  }));
  const { deviceName: device, sourceName: source, origin } = event;
  const at = placeBytes(place);
  const commands: Command[] = [
    ['HSET', key('event'), at, recordOf(event)],
    ['ZADD', key('arrival'), 0, at],
    ['SADD', key('source'), JSON.stringify([device, source])],
    ['HSET', key('meta'), 'newest', place],
  ];
  for (const [name, members] of membersOf({ device, source, origin, readings }, place))
    for (const some of slices(members))
      commands.push(['ZADD', key(name), ...some.flatMap((one) => [0, one])]);
  for (const { device: of, names } of seriesIn(readings))
    commands.push(['SADD', key(KEYS.series(of)), JSON.stringify(names)], ['SADD', key('device'), of]);
  const guard: Command = ['HSETNX', key('uuid'), uuidBytes(event.id), at];
  return { guard, unless: 0, commands, told: true };
}

/** Drops a name when there is nothing of it any more. */
const forgotten = (set: string, name: string, whenGone: string): Unit => ({
  guard: ['EXISTS', whenGone],
  unless: 1,
  commands: [['SREM', set, name]],
  told: false,
});

/** Takes an event away, unless that was done; and then names of which it was the last. */
export function removal(record: EventRecord, place: number, key: KeyOf): Unit[] {
  const { id, device, source, origin } = record.names();
  const readings = Array.from({ length: record.readings }, (_, index) => record.readingNames(index));
  const at = placeBytes(place);
  const commands: Command[] = [
    ['HDEL', key('event'), at],
    ['ZREM', key('arrival'), at],
  ];
  for (const [name, members] of membersOf({ device, source, origin, readings }, place))
    for (const some of slices(members)) commands.push(['ZREM', key(name), ...some]);
  const guard: Command = ['HDEL', key('uuid'), uuidBytes(id)];
  const units: Unit[] = [{ guard, unless: 0, commands, told: true }];
  units.push(
    forgotten(key('source'), JSON.stringify([device, source]), key(KEYS.eventsOfSource(device, source))),
  );
  for (const { device: of, names } of seriesIn(readings)) {
    units.push(forgotten(key(KEYS.series(of)), JSON.stringify(names), key(KEYS.readingsOfSeries(of, names))));
    units.push(forgotten(key('device'), of, key(KEYS.series(of))));
  }
  return units;
}
