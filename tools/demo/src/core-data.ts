import { z } from 'zod';
import type { LiveTruth } from './live-truth.ts';
import type { PartyNode } from './nodes.ts';
import { rest } from './rest.ts';
import type { StoredEvent } from './stored-events.ts';

const eventSchema = z.looseObject({
  id: z.string(),
  deviceName: z.string(),
  profileName: z.string(),
  readings: z.array(z.looseObject({ resourceName: z.string(), value: z.string().nullish() })),
  tags: z.record(z.string(), z.unknown()).optional(),
});
const pageSchema = z.looseObject({ totalCount: z.int(), events: z.array(eventSchema) });
const countSchema = z.looseObject({ count: z.int() });

const PAGE = 500;
const NEWEST = 5;
const TIMEOUT_MS = 20_000;

const eventsPath = '/api/v3/event';

/** Whoever has a core-data. */
type Edge = Pick<PartyNode, 'url'>;

/** How many events a core-data has. */
export async function eventCount(node: Edge): Promise<number> {
  return (await rest(countSchema, `${node.url('coreData')}${eventsPath}/count`)).count;
}

async function eventsUnder(node: Edge, path: string): Promise<StoredEvent[]> {
  const found = new Map<string, StoredEvent>();
  for (let offset = 0; ; offset += PAGE) {
    const url = `${node.url('coreData')}${path}?offset=${offset}&limit=${PAGE}`;
    const { events, totalCount } = await rest(pageSchema, url, { timeoutMs: TIMEOUT_MS });
    for (const event of events) if (event.profileName !== EDGE_PROFILE) found.set(event.id, event);
    if (offset + PAGE >= totalCount) return [...found.values()];
  }
}

/** What edge2edge tells of other edges, as EdgeX device service. */
const EDGE_PROFILE = 'Edge';

/** Every event of these devices and, to find what should not be there, every other one but those of edge2edge. */
export async function allEvents(node: Edge, devices: readonly string[]): Promise<StoredEvent[]> {
  const found = new Map<string, StoredEvent>();
  for (const device of devices) {
    const path = `${eventsPath}/device/name/${encodeURIComponent(device)}`;
    for (const event of await eventsUnder(node, path)) found.set(event.id, event);
  }
  for (const event of await eventsUnder(node, `${eventsPath}/all`)) found.set(event.id, event);
  return [...found.values()];
}

const textOf = (value: unknown): string =>
  typeof value === 'string' || typeof value === 'number' ? String(value) : '';

/** Whether one of the newest events of a core-data is of an uplink put on air after a time (monotonic ms). */
export async function hasReadingSince(node: Edge, truth: LiveTruth, since: number): Promise<boolean> {
  const url = `${node.url('coreData')}${eventsPath}/all?offset=-1&limit=${NEWEST}`;
  const { events } = await rest(pageSchema, url, { timeoutMs: 1_000 });
  truth.update();
  return events.some(({ tags = {} }) => {
    const airAt = truth.airAt(textOf(tags['devEUI']), Number(textOf(tags['fCnt'])));
    return airAt !== undefined && airAt >= since;
  });
}
