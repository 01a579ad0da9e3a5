import { setTimeout as sleep } from 'node:timers/promises';
import { BenchError } from './benchmark.ts';
import { openGateway, watchEvents, type SeenEvent } from './lora-load.ts';
import type { BenchUplink, Fleet } from './lora-motes.ts';
import type { RadioEdge } from './lora-setting.ts';
import { monotonic } from './clock.ts';

const GATEWAY = '0016c001ff10be00';
const STILL_MS = 5_000;
const POLL_MS = 20;
const PAGE = 1_000;

/** What became of all that was sent. */
export interface Verdict {
  readonly sent: number;
  /** Not on the bus, not in core-data, or with another value there than the mote sent. */
  readonly lost: number;
  /** More than once on the bus or in core-data, or never sent. */
  readonly doubled: number;
}

/** One gateway that sends the uplinks of a fleet, and who waits for each at the other end. */
export interface Traffic {
  /** The next uplink goes out. */
  send(): void;
  /** Builds so many uplinks ahead, so that it costs no time later. */
  prepare(uplinks: number): void;
  readonly sent: number;
  /** Uplinks that came out as an event. */
  readonly arrived: number;
  /** From an uplink's datagram to its event, ms, in the order of arrival, since the last call. */
  takeLatencies(): number[];
  /** Called with each arrival. */
  onArrival: () => void;
  /** Waits until all has arrived or nothing comes any more. */
  settled(): Promise<void>;
  /** Asks core-data too. */
  judge(): Promise<Verdict>;
  close(): void;
}

interface Flight {
  readonly temperature: number;
  readonly sentAt: number;
  id?: string;
}

interface Page {
  readonly totalCount: number;
  readonly events: readonly { readonly id: string }[];
}

/** How often core-data has each event. */
async function stored(coreData: string): Promise<Map<string, number>> {
  const times = new Map<string, number>();
  for (let offset = 0; ; offset += PAGE) {
    const response = await fetch(`${coreData}/api/v3/event/all?offset=${offset}&limit=${PAGE}`);
    if (!response.ok) throw new BenchError(`core-data answered ${response.status}`);
    const { totalCount, events } = (await response.json()) as Page;
    for (const { id } of events) times.set(id, (times.get(id) ?? 0) + 1);
    if (offset + PAGE >= totalCount) return times;
  }
}

const keyOf = ({ devEui, fcnt }: Pick<SeenEvent, 'devEui' | 'fcnt'>): string => `${devEui}/${fcnt}`;

export async function openTraffic(edge: RadioEdge, fleet: Fleet): Promise<Traffic> {
  const flights = new Map<string, Flight>();
  const latencies: number[] = [];
  let [ready, next]: [BenchUplink[], number] = [[], 0];
  let [sent, arrived, strange] = [0, 0, 0];
  const seer = await watchEvents(edge.mqttPort, (event) => {
    const flight = flights.get(keyOf(event));
    if (flight === undefined || flight.id !== undefined || flight.temperature !== event.temperature) {
      strange += 1;
      return;
    }
    flight.id = event.id;
    arrived += 1;
    latencies.push(event.at - flight.sentAt);
    traffic.onArrival();
  });
  const gateway = openGateway(edge.udpPort, GATEWAY);
  const traffic: Traffic = {
    onArrival: () => undefined,
    get sent() {
      return sent;
    },
    get arrived() {
      return arrived;
    },
    prepare(uplinks) {
      ready = [...ready.slice(next), ...fleet.uplinks(uplinks)];
      next = 0;
    },
    send() {
      const uplink = ready[next] ?? fleet.uplinks(1)[0];
      if (uplink === undefined) return;
      next += 1;
      sent += 1;
      flights.set(keyOf(uplink), { temperature: uplink.temperature, sentAt: monotonic() });
      gateway.send(uplink);
    },
    takeLatencies: () => latencies.splice(0),
    async settled() {
      for (let [last, since] = [arrived, monotonic()]; arrived < sent;) {
        await sleep(POLL_MS);
        if (arrived !== last) [last, since] = [arrived, monotonic()];
        else if (monotonic() - since > STILL_MS) return;
      }
    },
    async judge() {
      const times = await stored(edge.coreData);
      let [lost, doubled] = [0, strange];
      for (const { id } of flights.values()) {
        const count = id === undefined ? 0 : (times.get(id) ?? 0);
        if (count === 0) lost += 1;
        doubled += Math.max(0, count - 1);
        times.delete(id ?? '');
      }
      return { sent, lost, doubled: doubled + times.size };
    },
    close() {
      gateway.close();
      seer.close();
    },
  };
  return traffic;
}

/** How long: until the time is over, or so many were sent. */
interface Saturation {
  readonly inFlight: number;
  readonly forMs?: number;
  readonly uplinks?: number;
  readonly signal: AbortSignal;
}

/** Keeps so many uplinks under way: each arrival lets the next one go. Returns how many arrived, and in what time. */
export async function saturate(
  traffic: Traffic,
  { inFlight, forMs = Infinity, uplinks = Infinity, signal }: Saturation,
): Promise<{ readonly arrived: number; readonly seconds: number }> {
  const [before, sentBefore, start] = [traffic.arrived, traffic.sent, monotonic()];
  const isOver = (): boolean => monotonic() - start >= forMs || traffic.sent - sentBefore >= uplinks;
  const next = (): void => {
    if (!isOver()) traffic.send();
  };
  traffic.onArrival = next;
  for (let i = 0; i < inFlight; i++) next();
  while (!isOver()) await sleep(POLL_MS, undefined, { signal });
  const [arrived, seconds] = [traffic.arrived - before, (monotonic() - start) / 1_000];
  traffic.onArrival = () => undefined;
  return { arrived, seconds };
}
