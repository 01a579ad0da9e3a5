import type { TxAckStatus } from './tx-ack.ts';

/** LoRa settings of what was heard or sent. */
export interface Radio {
  /** Hz. */
  readonly frequency: number;
  readonly spreadingFactor: number;
  /** Hz. */
  readonly bandwidth: number;
  /** Such as `4/5`. */
  readonly codeRate: string;
}

export type Modulation = Omit<Radio, 'frequency'>;

export interface ModulationCount extends Modulation {
  readonly count: number;
}

/** One gateway's frames, by what ChirpStack's statistics tell them apart. */
export interface Counts {
  readonly rxPerFrequency: ReadonlyMap<number, number>;
  readonly txPerFrequency: ReadonlyMap<number, number>;
  readonly rxPerModulation: readonly ModulationCount[];
  readonly txPerModulation: readonly ModulationCount[];
  readonly txPerStatus: ReadonlyMap<TxAckStatus, number>;
}

/** Counters since they were taken last. */
export interface Tally {
  heard(radio: Radio): void;
  answered(radio: Radio, status: TxAckStatus): void;
  /** Gives the counters, and begins them anew. */
  take(): Counts;
}

/** A gateway that names ever new frequencies must not fill the memory. */
const MAX_KEYS = 64;

function add<Key>(map: Map<Key, number>, key: Key): void {
  const known = map.get(key);
  if (known !== undefined) map.set(key, known + 1);
  else if (map.size < MAX_KEYS) map.set(key, 1);
}

// One number for the usual settings, so that counting makes no texts.
const CODE_RATES = ['', '4/5', '4/6', '4/7', '4/8'];
const keyOf = ({ spreadingFactor, bandwidth, codeRate }: Modulation): number =>
  (bandwidth * 16 + spreadingFactor) * 8 + Math.max(0, CODE_RATES.indexOf(codeRate));

const modulationOf = (key: number): Modulation => ({
  spreadingFactor: Math.floor(key / 8) % 16,
  bandwidth: Math.floor(key / 128),
  codeRate: CODE_RATES[key % 8] ?? '',
});

const listed = (counts: ReadonlyMap<number, number>): ModulationCount[] =>
  [...counts].map(([key, count]) => ({ ...modulationOf(key), count }));

export function createTally(): Tally {
  const fresh = () => ({
    rxFrequency: new Map<number, number>(),
    txFrequency: new Map<number, number>(),
    rxModulation: new Map<number, number>(),
    txModulation: new Map<number, number>(),
    txStatus: new Map<TxAckStatus, number>(),
  });
  let counts = fresh();
  return {
    heard(radio) {
      add(counts.rxFrequency, radio.frequency);
      add(counts.rxModulation, keyOf(radio));
    },
    answered(radio, status) {
      add(counts.txStatus, status);
      if (status !== 'OK') return;
      add(counts.txFrequency, radio.frequency);
      add(counts.txModulation, keyOf(radio));
    },
    take() {
      const taken = counts;
      counts = fresh();
      return {
        rxPerFrequency: taken.rxFrequency,
        txPerFrequency: taken.txFrequency,
        rxPerModulation: listed(taken.rxModulation),
        txPerModulation: listed(taken.txModulation),
        txPerStatus: taken.txStatus,
      };
    },
  };
}
