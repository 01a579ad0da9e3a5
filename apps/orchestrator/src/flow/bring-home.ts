import { z } from 'zod';
import { callJson, type HttpPeer } from '@antirio/host';
import { AntirioError, isAntirioError } from '@antirio/kernel';
import { parseJsonBytes, stringifyJson } from '@antirio/edgex-contracts';
import { parseAnswer } from './answers.ts';
import { GUEST_PAGE } from './guest-events.ts';

/** Where readings come home from, and to. */
export interface HomePeers {
  readonly arbitrator: HttpPeer;
  readonly edge2edge: HttpPeer;
  readonly coreData: HttpPeer;
}

/** What is to come home: the events of these devices, under the names that they have at home. */
export interface Homecoming {
  readonly contractId: string;
  readonly devices: readonly string[];
  /** Of the service that made them. */
  readonly service: string;
}

export interface BroughtHome {
  readonly events: number;
  /** Of them, those that were here already: by forwarding, or by an earlier attempt. */
  readonly hereBefore: number;
}

const contractAnswer = z.looseObject({ terms: z.looseObject({ provider: z.string() }) });
const listed = z.looseObject({
  totalCount: z.int().min(0),
  events: z
    .array(
      z.looseObject({
        id: z.string(),
        deviceName: z.string(),
        profileName: z.string(),
        sourceName: z.string(),
        readings: z.array(z.looseObject({ deviceName: z.string() })),
      }),
    )
    .max(GUEST_PAGE),
});
type Page = z.output<typeof listed>;
type GuestEvent = Page['events'][number];

const AT_ONCE = 16;
const TIMEOUT_MS = 15_000;
const MAX_ANSWER_BYTES = 4 << 20;
const TOO_LARGE = 413;
/** Of one device: an event each second for over a hundred days. */
const MOST_EVENTS = 10_000_000;

/** Stored on this edge's disk when it resolves, now or before. @throws AntirioError unavailable | invalidInput */
async function keep(coreData: HttpPeer, service: string, event: GuestEvent): Promise<'stored' | 'there'> {
  const { profileName, deviceName, sourceName } = event;
  const path = [service, profileName, deviceName, sourceName].map(encodeURIComponent).join('/');
  const { status } = await coreData.call({
    method: 'POST',
    path: `/api/v3/event/${path}`,
    headers: { 'content-type': 'application/json' },
    // nanoseconds have more digits than a number holds
    body: Buffer.from(stringifyJson({ apiVersion: 'v3', event })),
    repeatable: true,
  });
  if (status === 201) return 'stored';
  if (status === 409) return 'there';
  throw new AntirioError('unavailable', `core-data answered ${status} for ${event.id}`, { status });
}

async function keepAll(coreData: HttpPeer, service: string, events: readonly GuestEvent[]): Promise<number> {
  let there = 0;
  for (let i = 0; i < events.length; i += AT_ONCE) {
    const some = events.slice(i, i + AT_ONCE).map((event) => keep(coreData, service, event));
    there += (await Promise.all(some)).filter((outcome) => outcome === 'there').length;
  }
  return there;
}

/** As many events from there on as fit into an answer. @throws AntirioError unavailable | timeout */
async function pageOf(edge2edge: HttpPeer, path: string, offset: number): Promise<Page> {
  const call = { timeoutMs: TIMEOUT_MS, maxAnswerBytes: MAX_ANSWER_BYTES };
  let limit = GUEST_PAGE;
  const ask = () => edge2edge.call({ path: `${path}?offset=${offset}&limit=${limit}`, ...call });
  let answer = await ask();
  while (answer.status === TOO_LARGE && limit > 1) {
    limit >>= 1;
    answer = await ask();
  }
  if (answer.status !== 200)
    throw new AntirioError('unavailable', `the provider answered ${answer.status}`, {
      status: answer.status,
    });
  return parseAnswer(listed, parseJsonBytes(answer.body));
}

/** Under another device's name a provider could forge what this edge's own sensors say. @throws AntirioError unavailable */
function checkDevice({ events }: Page, device: string): void {
  const isOfIt = ({ deviceName }: { readonly deviceName: string }): boolean => deviceName === device;
  const foreign = events.find((event) => !isOfIt(event) || !event.readings.every(isOfIt));
  if (foreign === undefined) return;
  const { id } = foreign;
  throw new AntirioError('unavailable', `asked for ${device}, the provider gave another device's event`, {
    id,
  });
}

/** All events of one device, a page at a time. How many there are is what the first page says: the provider cannot put the end off. */
async function bringDevice(
  device: string,
  base: string,
  service: string,
  { edge2edge, coreData }: HomePeers,
): Promise<BroughtHome> {
  let found = 0;
  let hereBefore = 0;
  for (let total: number | undefined; total === undefined || found < total;) {
    const page = await pageOf(edge2edge, `${base}/${encodeURIComponent(device)}`, found);
    checkDevice(page, device);
    total ??= page.totalCount;
    if (total > MOST_EVENTS)
      throw new AntirioError('unavailable', `the provider says ${total} events of ${device}`, { total });
    if (page.events.length === 0) break;
    hereBefore += await keepAll(coreData, service, page.events);
    found += page.events.length;
  }
  return { events: found, hereBefore };
}

/** The provider need not hold it any more. One of before holds nothing, and knows of no such word. */
async function tellHome(edge2edge: HttpPeer, guest: string): Promise<void> {
  try {
    await callJson(edge2edge, { method: 'POST', path: `${guest}/home`, json: {}, timeoutMs: TIMEOUT_MS });
  } catch (error) {
    if (!isAntirioError(error, 'notFound') && !isAntirioError(error, 'forbidden')) throw error;
  }
}

/**
 * Fetches what a contract's service stored at its provider into this edge's core-data, each event once: by its id. The provider holds it until it is told that it is here. To be called once the
 * service has ended there, and again as a whole where it broke off. @throws AntirioError unavailable while the provider is away
 */
export async function bringHome(
  { contractId, devices, service }: Homecoming,
  peers: HomePeers,
): Promise<BroughtHome> {
  const path = `/arbitrator/v1/contract/${contractId}`;
  const { terms } = parseAnswer(contractAnswer, await callJson(peers.arbitrator, { path }));
  const guest = `/edge2edge/peer/${terms.provider}/orchestrator/orchestrator/v1/guest/${contractId}`;
  let events = 0;
  let hereBefore = 0;
  for (const device of devices) {
    const brought = await bringDevice(device, `${guest}/event`, service, peers);
    events += brought.events;
    hereBefore += brought.hereBefore;
  }
  await tellHome(peers.edge2edge, guest);
  return { events, hereBefore };
}
