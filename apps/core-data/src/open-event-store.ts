import type { Clock, Random } from '@antirio/kernel';
import type { Log } from '@antirio/host';
import type { EventStore } from './event-store.ts';
import type { CoreDataOptions } from './options.ts';
import { openSqliteEventStore } from './sqlite-event-store.ts';

interface Ports {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** The store that the options name. @throws AntirioError badConfig | unavailable */
export async function openEventStore(options: CoreDataOptions, ports: Ports): Promise<EventStore> {
  const { maxPendingEvents, maxPendingBytes, maxBatch } = options;
  const limits = { maxPending: maxPendingEvents, maxPendingBytes, maxBatch };
  if (options.store.kind === 'sqlite') return openSqliteEventStore(options.dataDir, limits);
  const { openRedisEventStore } = await import('./redis/redis-event-store.ts');
  return openRedisEventStore(options.store, ports, limits);
}
