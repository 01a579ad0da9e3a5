import type { Reading, ReadingBase } from '@antirio/edgex-contracts';

/** The newest reading by device and resource. */
export interface Latest {
  get(device: string, resource: string): Reading | undefined;
  set(device: string, readings: readonly Reading[]): void;
}

type Simple = Extract<Reading, { kind: 'simple' }>;
/** What readings have in common with those of other devices. */
type Head = Omit<ReadingBase, 'origin' | 'deviceName' | 'tags'>;

/** Readings without what other devices' readings say too: a fifth of what the objects would hold. */
interface Packed {
  readonly heads: readonly Head[];
  /** One for all of them where it is the same. */
  readonly origin: bigint | readonly bigint[];
  readonly values: string;
}

/** Kinds of frames that are told apart; readings of more of them are kept as they are. */
const HEADS_KEPT = 256;
const BETWEEN = '\u0000';

const isSimple = (reading: Reading): reading is Simple =>
  reading.kind === 'simple' && reading.tags === undefined && !reading.value.includes(BETWEEN);

const headOf = ({ resourceName, profileName, valueType, units }: Reading): Head => ({
  ...{ resourceName, profileName, valueType },
  ...(units === undefined ? {} : { units }),
});

function originOf(readings: readonly Reading[]): Packed['origin'] {
  const [first = 0n, ...more] = readings.map(({ origin }) => origin);
  return more.every((origin) => origin === first) ? first : [first, ...more];
}

function unpack(deviceName: string, { heads, origin, values }: Packed): Reading[] {
  const texts = values.split(BETWEEN);
  return heads.map((head, at) => ({
    ...{ ...head, deviceName, kind: 'simple', value: texts[at] ?? '' },
    origin: typeof origin === 'bigint' ? origin : (origin[at] ?? 0n),
  }));
}

export function createLatest(): Latest {
  // one entry for each device: with one for each of its resources, their names would be most of what is kept
  const byDevice = new Map<string, Packed | readonly Reading[]>();
  const known = new Map<string, readonly Head[]>();

  const headsOf = (readings: readonly Reading[]): readonly Head[] | undefined => {
    const heads = readings.map(headOf);
    const key = JSON.stringify(heads);
    const found = known.get(key);
    if (found !== undefined || known.size >= HEADS_KEPT) return found;
    known.set(key, heads);
    return heads;
  };
  const pack = (readings: readonly Reading[]): Packed | readonly Reading[] => {
    if (readings.length === 0 || !readings.every(isSimple)) return readings;
    const heads = headsOf(readings);
    if (heads === undefined) return readings;
    return { heads, origin: originOf(readings), values: readings.map(({ value }) => value).join(BETWEEN) };
  };
  const allOf = (device: string): readonly Reading[] => {
    const entry = byDevice.get(device) ?? [];
    return 'heads' in entry ? unpack(device, entry) : entry;
  };
  return {
    get: (device, resource) => allOf(device).find(({ resourceName }) => resourceName === resource),
    set(device, readings) {
      const isNew = ({ resourceName }: Reading): boolean =>
        readings.every((reading) => reading.resourceName !== resourceName);
      const older = allOf(device).filter(isNew);
      byDevice.set(device, pack(older.length === 0 ? readings : [...readings, ...older]));
    },
  };
}
