import { Counter, Gauge, type Registry } from 'prom-client';
import { z } from 'zod';
import { AntirioError, describeError, fromUtf8 } from '@antirio/kernel';
import { API_VERSION, type HttpRim } from '@antirio/host';
import type { DevEui } from '@antirio/lorawan';
import { seenConflicts, type UnseenView } from '../conflict-routes.ts';
import { directoryOf } from '../directory.ts';
import type { ChirpStack } from './chirpstack.ts';
import { readChirpStackEvent } from './event.ts';

const PATH = '/api/v3/lora/chirpstack';
const query = z.object({
  event: z.string().regex(/^[a-z]{1,32}$/, 'up, join, ack, txack, log, status, ...'),
});
const params = z.object({ name: z.string().min(1) });

const head = { apiVersion: z.literal(API_VERSION), statusCode: z.int() };
const taken = z.object({ ...head, outcome: z.enum(['new', 'known', 'conflict', 'noted']) });
const shown = z.object({
  ...head,
  devices: z.array(z.object({ name: z.string(), devEui: z.string() })),
  /** As it is configured. */
  through: z.enum(['ownWay', 'ourBridge']),
  /** Whether a contract may let a neighbour act for these devices. */
  mayAct: z.boolean(),
  why: z.string().optional(),
  /** Readings that core-data has not taken yet. */
  waiting: z.object({ events: z.int(), bytes: z.int() }),
  /** Gateways that its uplinks came by in the last seven days. */
  gateways: z.array(z.string()),
  /** Behind our bridge: frames that were handed to ChirpStack, and those of them after which it told of nothing. */
  handedOver: z.object({ frames: z.int(), unheard: z.int() }).optional(),
  events: z.record(z.string(), z.int()),
  downlinks: z.record(z.string(), z.int()),
});
const conflicts = z.object({
  ...head,
  conflicts: z.array(z.object({ id: z.int(), at: z.number(), message: z.string() })),
});
const CONFLICTS = 64;

/** Its counter; the session has no name but the reading's id. */
function counterIn(message: Uint8Array): number | null {
  try {
    const up = readChirpStackEvent('up', message);
    return up.kind === 'up' ? up.fcnt : null;
  } catch {
    return null;
  }
}

/** Devices of ChirpStack's with uplinks under counters that others are stored under, which nobody has seen yet. */
export function unseenOf({ devices, kept }: Pick<ChirpStack, 'devices' | 'kept'>): UnseenView[] {
  const { byEui } = directoryOf(devices);
  return kept.unseen().flatMap(({ newest: { devEui, at, message }, count }) => {
    const device = byEui.get(devEui)?.name;
    const newest = { devEui, session: null, fCnt: counterIn(message), at };
    return device === undefined ? [] : [{ device, ...newest, unseen: count }];
  });
}

/** What ChirpStack's HTTP integration posts to, and what is told of it. */
export function addChirpStackRoutes(rim: HttpRim, chirpStack: ChirpStack): void {
  const { intake, downlinks, devices } = chirpStack;
  const ok = { apiVersion: API_VERSION, statusCode: 200 };
  const telling = { summary: 'devices of ChirpStack, and what came of it', answer: shown };
  rim.route('get', PATH, telling, async () => ({
    ...ok,
    devices: devices.map(({ name, devEui }) => ({ name, devEui })),
    through: chirpStack.through,
    ...(await chirpStack.mayAct().catch((error: unknown) => ({
      mayAct: false,
      why: `gateway-bridge does not tell of its gateways: ${describeError(error)}`,
    }))),
    waiting: chirpStack.waiting(),
    gateways: intake.gateways(),
    handedOver: chirpStack.handedOver(),
    events: intake.counts(),
    downlinks: downlinks.counts(),
  }));
  const { byName } = directoryOf(devices);
  const devEuiOf = (name: string): DevEui => {
    const device = byName.get(name);
    if (device === undefined) throw new AntirioError('notFound', `no device ${name} of ChirpStack's`);
    return device.devEui;
  };
  const kept = {
    summary:
      'as ChirpStack sent them: uplinks under counters that others are stored under, and what a fault of ours did not read',
    params,
    answer: conflicts,
  };
  rim.route('get', `${PATH}/conflict/:name`, kept, ({ params: { name } }) => {
    const found = chirpStack.kept.conflicts(devEuiOf(name), CONFLICTS);
    return { ...ok, conflicts: found.map(({ id, at, message }) => ({ id, at, message: fromUtf8(message) })) };
  });
  const seen = {
    summary: 'those up to one of them have been seen: they alarm nobody any more',
    ...{ params, body: seenConflicts, answer: z.object(head) },
  };
  rim.route('post', `${PATH}/conflict/:name`, seen, async ({ params: { name }, body: { seenUpTo } }) => {
    await chirpStack.kept.see(devEuiOf(name), seenUpTo);
    return ok;
  });
  if (!chirpStack.takesHttp) return;
  const taking = {
    summary: "an event of ChirpStack's HTTP integration, in JSON; 200 once it is on the disk",
    query,
    answer: taken,
  };
  rim.route('post', PATH, taking, async ({ query: { event }, response }) => {
    const bytes: unknown = response.locals['bytes'];
    if (!(bytes instanceof Uint8Array)) throw new AntirioError('invalidInput', 'no body');
    return { ...ok, outcome: await chirpStack.post(event, bytes) };
  });
}

export function addChirpStackMetrics(registry: Registry, chirpStack: ChirpStack): void {
  const { intake, downlinks } = chirpStack;
  const registers = [registry];
  const counts = (name: string, help: string, read: () => Readonly<Record<string, number>>): void => {
    new Counter({
      name: `antirio_lora_chirpstack_${name}_total`,
      ...{ help, labelNames: ['what'], registers },
      collect() {
        this.reset();
        for (const [what, value] of Object.entries(read())) this.inc({ what }, value);
      },
    });
  };
  counts('events', 'events of ChirpStack by what became of them, since the start', () => intake.counts());
  counts('downlinks', 'downlinks to devices of ChirpStack by what became of them, since the start', () =>
    downlinks.counts(),
  );
  counts('frames', 'frames that were handed to ChirpStack behind our bridge, since the start', () => ({
    ...chirpStack.handedOver(),
  }));
  new Gauge({
    name: 'antirio_lora_chirpstack_waiting',
    help: 'readings of ChirpStack that core-data has not taken yet',
    registers,
    collect() {
      this.set(chirpStack.waiting().events);
    },
  });
}
