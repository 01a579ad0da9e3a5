import type { Event } from '@antirio/edgex-contracts';
import type { Check, RunOptions } from '@antirio/host';
import type { Clock } from '@antirio/kernel';
import type { EventReader } from './event-reader.ts';
import type { Deletion, Outcome } from './event-writer.ts';
import type { Arrival, Arrivals } from './forwarding/arrivals.ts';
import type { Sources } from './sources.ts';

/** How much waits for the store, and what it did not take. */
export interface StoreCounts {
  readonly pending: number;
  /** What was refused because too much waited. */
  readonly refused: number;
  /** What the store failed to take: full, broken, or away. Its senders were told. */
  readonly failed: number;
}

/** Where events are kept: whatever it resolves is durable, and survives a kill of this process and of the store. */
export interface EventStore extends StoreCounts {
  /**
   * Stores an event, unless there is one of its id; those that come first get the places before.
   * @param bytes what it counts for among those that wait.
   * @throws AntirioError unavailable | storageFull
   */
  insert(event: Event, bytes: number, options?: RunOptions): Promise<Outcome>;
  /** @throws AntirioError notFound | unavailable | storageFull */
  remove(uuid: string): Promise<void>;
  /** Notes that these events are to go, of those that are there now; of what is few they are gone. */
  noteDeletion(of: Deletion): Promise<void>;
  /** Carries out a bit of what was noted; false when nothing is left. */
  deleteSome(): Promise<boolean>;
  /** Takes these events away; tells how many of them were there. */
  removeAt(arrivals: readonly Arrival[]): Promise<number>;
  /** What the events take of the disk, or of Redis's memory; what can be used again does not count. */
  bytes(): Promise<number>;
  /** Gives a bit of what was deleted back to the disk; false when there is nothing to be given. */
  giveBack(): Promise<boolean>;
  /** Resolves when everything is durable that was handed over before. */
  settled(): Promise<void>;
  readonly reader: EventReader;
  readonly sources: Sources;
  readonly arrivals: Arrivals;
  /** Why nothing is taken until the store is opened again, where that is so. */
  readonly broken: string | undefined;
  check(clock: Clock): Promise<Check>;
  close(): Promise<void>;
}
