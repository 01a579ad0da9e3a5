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
   * Takes what has changed of `Writable`, under EdgeX's names; what is not ours is left alone. A keeper has its values as text.
   * @throws AntirioError invalidInput, and nothing has changed.
   */
  applyWritable(changes: unknown): void;
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
    applyWritable(changes) {
      const { PersistData = now.persistData, EventPurge = now.eventPurge } = parseInput(writable, changes);
      now = { persistData: PersistData, eventPurge: EventPurge };
    },
  };
}
