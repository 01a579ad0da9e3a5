import { z } from 'zod';
import { parseInput } from '@antirio/host';
import type { CoreDataOptions } from './options.ts';

/** What may change while the room runs: EdgeX's `Writable`. */
export interface Settings {
  readonly persistData: boolean;
  readonly eventPurge: boolean;
}

export interface LiveSettings {
  readonly now: Settings;
  /**
   * Takes `Writable` as it is in force, under EdgeX's names; of what it does not say, the options hold. A keeper has its values as text.
   * @throws AntirioError invalidInput, and nothing has changed.
   */
  applyWritable(values: unknown): void;
}

const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')]);
/** Fields of `Writable` that are ours. */
export const writable = z.object({ PersistData: flag.optional(), EventPurge: flag.optional() });

export function createSettings({ persistData, eventPurge }: CoreDataOptions): LiveSettings {
  let now: Settings = { persistData, eventPurge };
  return {
    get now() {
      return now;
    },
    applyWritable(values) {
      const { PersistData = persistData, EventPurge = eventPurge } = parseInput(writable, values);
      now = { persistData: PersistData, eventPurge: EventPurge };
    },
  };
}
