import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Bus } from '@antirio/host';
import { systemClock } from '@antirio/host';

/** What core-data and core-metadata are to a device service, for tests: real HTTP, things kept in memory. */
export interface TestCore {
  readonly url: string;
  /** Events by id, in the order they were stored. */
  readonly events: Map<string, TestEvent>;
  /** Times that an event was sent again. */
  doubled: number;
  readonly registered: Map<string, unknown>;
  /** Decides the status of an event in place of the core's own. */
  verdict: ((event: TestEvent) => number | undefined) | undefined;
  close(): Promise<void>;
}

export interface TestEvent {
  readonly id: string;
  readonly deviceName: string;
  readonly profileName: string;
  readonly sourceName: string;
  readonly origin: number;
  readonly readings: {
    readonly resourceName: string;
    readonly value?: string;
    readonly binaryValue?: string;
  }[];
  readonly tags: Record<string, unknown>;
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return chunks.length === 0 ? undefined : (JSON.parse(Buffer.concat(chunks).toString()) as unknown);
}

type Answer = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

async function serve(answer: Answer): Promise<{ url: string; close: () => Promise<void> }> {
  const server: Server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}

export async function startTestCore(): Promise<TestCore> {
  const registered = new Map<string, unknown>();
  const events = new Map<string, TestEvent>();

  const storeEvent = (body: unknown): number => {
    const { event } = body as { event: TestEvent };
    const status = core.verdict?.(event);
    if (status !== undefined) return status;
    if (events.has(event.id)) {
      core.doubled += 1;
      return 409;
    }
    events.set(event.id, event);
    return 201;
  };
  const register = (kind: string, body: unknown): unknown =>
    (body as Record<string, { name: string }>[]).map((request) => {
      const item = Object.values(request).find((value) => typeof value === 'object');
      const key = `${kind}/${item?.name ?? ''}`;
      registered.set(key, { ...(registered.get(key) as object | undefined), ...item });
      return { statusCode: 201 };
    });
  const metadata = (
    request: IncomingMessage,
    body: unknown,
    [kind = '', by = '', name = '']: string[],
  ): [number, unknown] => {
    if (request.method !== 'GET') return [207, register(kind, body)];
    if (by === 'service') return [200, listOf(kind)];
    const found = registered.get(`${kind}/${name}`);
    const field = kind.replace('device', '') || 'device';
    return found === undefined ? [404, {}] : [200, { [field]: found }];
  };
  /** All of them on one page; none beyond it. */
  const listOf = (kind: string): unknown => {
    const found = [...registered].filter(([key]) => key.startsWith(`${kind}/`)).map(([, item]) => item);
    const field = kind === 'device' ? 'devices' : 'provisionWatchers';
    return { totalCount: found.length, [field]: found };
  };
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const [path = ''] = (request.url ?? '').split('?');
    const segments = path.split('/').slice(3).map(decodeURIComponent);
    const body = await bodyOf(request);
    const core = (): [number, unknown] =>
      segments[0] === 'event' ? [storeEvent(body), {}] : metadata(request, body, segments);
    const [status, json] = segments[0] === 'ping' ? [200, {}] : core();
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json));
  };
  const { url, close } = await serve(answer);
  const core: TestCore = {
    url,
    events,
    doubled: 0,
    registered,
    verdict: undefined,
    close,
  };
  return core;
}

/** A ring as the gateway-bridge shows it on the bus, for tests. */
export interface TestRing {
  /** Adds a frame; published live unless told otherwise. */
  hear(phyPayload: Uint8Array, how?: HowHeard & { live?: boolean; via?: string }): Promise<void>;
  /** The same bytes once more: now, or so long after the first time as its metadata say. */
  hearAgain(seq: number, how?: HowHeard & { afterMs?: number }): Promise<void>;
  /** A JoinRequest. */
  join(phyPayload: Uint8Array, how?: HowHeard): Promise<void>;
  /** Downlinks that were asked for. */
  readonly downlinks: TestDownlink[];
  /** What becomes of the next downlinks; OK where nothing is said. */
  outcomes: { status: string; refused?: string }[][];
  readonly last: number;
  /** Brings back the ring as it was when it ended here. */
  bringBack(last: number): void;
}

export interface TestDownlink {
  readonly gatewayId: string;
  readonly downlinkId: number;
  readonly items: {
    readonly phyPayload: string;
    readonly txInfo: {
      readonly frequency: number;
      readonly context: string;
      readonly modulation: { readonly lora: { readonly spreadingFactor: number } };
      readonly timing: { readonly delay: { readonly delay: string } };
    };
  }[];
}

const GATEWAY = '00000000aabbccdd';

export interface HowHeard {
  /** As the gateway-bridge says by which right the edge may act. */
  readonly tenure?: string;
  readonly gatewayId?: string;
  readonly rssi?: number;
  readonly snr?: number;
  readonly frequency?: number;
  readonly context?: string;
}

/** ChirpStack's gateway id, radio settings and the bridge's own metadata around a PHYPayload. */
function eventUp(phyPayload: Uint8Array, metadata: Record<string, string>, how: HowHeard): string {
  const { gatewayId = GATEWAY, rssi = -60, snr = 7.5, frequency = 868_100_000 } = how;
  const { context = 'AQIDBA==' } = how;
  const lora = { bandwidth: 125_000, spreadingFactor: 7, codeRate: 'CR_4_5' };
  return JSON.stringify({
    phyPayload: Buffer.from(phyPayload).toString('base64'),
    txInfo: { frequency, modulation: { lora } },
    rxInfo: { gatewayId, rssi, snr, context, metadata, crcStatus: 'CRC_OK' },
  });
}

export async function startTestRing(bus: Bus, ring: string, prefix = ''): Promise<TestRing> {
  const frames: { phyPayload: Uint8Array; receivedAt: number; via: string; how: HowHeard }[] = [];
  const downlinks: TestDownlink[] = [];
  const publish = (
    seq: number,
    previousSeq: number,
    more: Record<string, string>,
    how: HowHeard,
  ): Promise<void> => {
    const frame = frames[seq - 1];
    if (frame === undefined) return Promise.resolve();
    const metadata = {
      ring,
      incarnation: 'life',
      seq: String(seq),
      previousSeq: String(previousSeq),
      last: String(frames.length),
      via: frame.via,
      receivedAt: String(frame.receivedAt),
      reception: 'first',
      ...(how.tenure === undefined ? {} : { tenure: how.tenure }),
      ...more,
    };
    const topic = `${prefix}eu868/gateway/${how.gatewayId ?? GATEWAY}/event/up`;
    return bus.publish(topic, eventUp(frame.phyPayload, metadata, how));
  };
  const now = (laterMs = 0): Record<string, string> => ({
    heardAt: String(systemClock.monotonic() + laterMs),
  });
  await bus.subscribe(`${prefix}eu868/gateway/all/command/replay`, async (_, payload) => {
    const { after, limit } = JSON.parse(Buffer.from(payload).toString()) as { after: number; limit: number };
    for (let seq = after + 1; seq <= Math.min(after + limit, frames.length); seq++)
      await publish(seq, seq - 1, {}, frames[seq - 1]?.how ?? {});
  });
  await bus.subscribe(`${prefix}eu868/gateway/+/command/down`, async (topic, payload) => {
    const command = JSON.parse(Buffer.from(payload).toString()) as TestDownlink;
    downlinks.push(command);
    const items = self.outcomes.shift() ?? [{ status: 'OK' }];
    await bus.publish(
      topic.replace('command/down', 'event/ack'),
      JSON.stringify({ downlinkId: command.downlinkId, items }),
    );
  });
  const self: TestRing = {
    downlinks,
    outcomes: [],
    get last() {
      return frames.length;
    },
    bringBack: (last) => void frames.splice(last),
    async hear(phyPayload, { live = true, via = 'radio', ...how } = {}) {
      frames.push({ phyPayload, receivedAt: systemClock.now(), via, how });
      if (live) await publish(frames.length, frames.length - 1, via === 'radio' ? now() : {}, how);
    },
    join(phyPayload, how = {}) {
      const metadata = { kind: 'join', ring, ...now(), receivedAt: String(systemClock.now()) };
      const topic = `${prefix}eu868/gateway/${how.gatewayId ?? GATEWAY}/event/up`;
      return bus.publish(topic, eventUp(phyPayload, metadata, how));
    },
    hearAgain: (seq, { afterMs, ...how } = {}) => {
      const frame = frames[seq - 1];
      if (frame !== undefined)
        frame.receivedAt = afterMs === undefined ? systemClock.now() : frame.receivedAt + afterMs;
      return publish(seq, seq - 1, { ...now(afterMs), reception: 'again' }, how);
    },
  };
  return self;
}

/** The gateway-bridge's rings, for tests: what was put is what is there. */
export interface TestBridge {
  readonly url: string;
  readonly ring: { devAddrs: string[]; devEuis?: string[] };
  /** Refuses every change. */
  broken: boolean;
  close(): Promise<void>;
}

export async function startTestBridge(): Promise<TestBridge> {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await bodyOf(request);
    const refused = request.method === 'PUT' && bridge.broken;
    if (request.method === 'PUT' && !refused) Object.assign(bridge.ring, body);
    response.writeHead(refused ? 503 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(bridge.ring));
  };
  const { url, close } = await serve(answer);
  const ring = { devAddrs: [], budgetBytes: 1, prefix: '', deliver: true };
  const bridge: TestBridge = { url, ring, broken: false, close };
  return bridge;
}
