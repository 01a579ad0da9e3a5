import { z } from 'zod';
import { AntirioError, type Clock } from '@antirio/kernel';
import type { HttpPeer, HttpRim } from '@antirio/host';
import type { FenceKeeper } from './fence/fence.ts';
import type { Delivery } from './bus/delivery.ts';
import { ENCODINGS } from './bus/encoding.ts';
import type { DownlinkCounters } from './downlink/downlinks.ts';
import type { BandLoad } from './downlink/duty-cycle.ts';
import type { Lending } from './downlink/lending.ts';
import { addLendingRoutes } from './lending-routes.ts';
import type { GapStatus } from './ring/gap-filler.ts';
import type { CopiesPorts } from './ring/copies.ts';
import { highWater, MARKS_AT_ONCE, type HighWater } from '@antirio/shadow-buffer';
import type { SourceNotes } from './ring/source-notes.ts';
import type { RingSettings } from './ring/ring.ts';
import type { HeldRing, Rings } from './ring/rings.ts';
import {
  devAddrSchema,
  devEuiSchema,
  gapSourceSchema,
  ringIdSchema,
  type GapSource,
} from './ring/stored-ring.ts';
import { addStreamRoutes } from './stream-routes.ts';
import { addTestFrameRoute } from './test-frame-route.ts';
import { toWire } from './ring/wire.ts';
import type { Forwarders } from './semtech/forwarders.ts';
import type { GatewayStatus } from './semtech/gateways.ts';

export interface RoutePorts {
  readonly rings: Rings;
  readonly fence: FenceKeeper;
  readonly forwarders: Pick<Forwarders, 'gateways'>;
  readonly delivery: Pick<Delivery, 'first'>;
  readonly clock: Clock;
  readonly lending: Lending;
  readonly commands: () => DownlinkCounters;
  readonly loads: (gatewayId: string) => readonly BandLoad[];
  /** Puts changes of rings into force: topics and gap filling. */
  readonly changed: () => Promise<void>;
  readonly gapStatus: (ringId: string) => GapStatus | undefined;
  /** What the rings that ours are filled from have said of themselves. */
  readonly sources: Pick<SourceNotes, 'dropped'>;
  /** The way to other edges' rings. */
  readonly edge2edge: HttpPeer | undefined;
  /** How long acknowledged frames stay where the caller does not say. */
  readonly retainS: (ringId: string) => number;
}

const ringParams = z.object({ id: ringIdSchema });
const setParams = z.object({ id: z.string().min(1).max(128) });
const page = z.object({
  after: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(500).default(200),
});
const counter = z.int().min(0).max(0xffff_ffff);

const isPartition = (groups: readonly (readonly string[])[]): boolean =>
  new Set(groups.flat()).size === groups.flat().length;

const ringBody = z
  .strictObject({
    devAddrs: z.array(devAddrSchema).max(100_000),
    /** Devices whose JoinRequests are delivered. */
    devEuis: z.array(devEuiSchema).max(100_000).default([]),
    /** DevAddrs of one device, which have one share of the budget together. */
    sharing: z.array(z.array(devAddrSchema).max(1000)).max(100_000).optional(),
    budgetBytes: z.int().min(1024),
    /** Before every topic: `contract/<id>/`, or nothing. */
    prefix: z
      .string()
      .max(160)
      .regex(/^(?:[^+#/\0]+\/)*$/, 'topic levels, each with its slash')
      .default(''),
    deliver: z.boolean().default(true),
    /** Of what is delivered, as ChirpStack's marshalers are called. */
    encoding: z.enum(ENCODINGS).optional(),
    /** The edge whose frames these are: the only neighbour that may read and acknowledge them. */
    owner: z.string().min(1).max(128).optional(),
    /** A ring whose frames become those of this one, where this one is new; the other ends with that. */
    adopt: ringIdSchema.optional(),
    /** Joins that were answered here for the owner: readers of the frames have to know them. */
    joins: z.int().min(0).optional(),
    retainS: z.int().min(0).max(31_536_000).optional(),
  })
  .refine(({ sharing = [] }) => isPartition(sharing), 'sharing: a DevAddr is in one group only');

const windowBody = z
  .strictObject({
    // none where a set has no sensors on the radio: nothing is fenced then, and its state is kept all the same
    devAddrs: z.array(devAddrSchema).max(100_000),
    devEuis: z.array(devEuiSchema).max(100_000).optional(),
    epoch: z.int().min(0),
    slot: z.int().min(0).max(3),
    actFrom: z.number(),
    actUntil: z.number(),
  })
  .refine(({ actFrom, actUntil }) => actFrom <= actUntil, 'actUntil: before actFrom');

const blockBody = z
  .strictObject({ devAddr: devAddrSchema, first: counter, last: counter })
  .refine(({ first, last }) => first <= last && last - first < 256, 'last: from first to 255 above');

const OWN = 'own';

/** What is needed of an HTTP request here. */
interface Request {
  get(header: string): string | undefined;
}

// edge2edge alone sets this header; it strips it from what comes from outside.
const peerOf = (request: Request): string | undefined => request.get('x-antirio-peer');

function localOnly(request: Request): void {
  if (peerOf(request) !== undefined) throw new AntirioError('forbidden', 'this is for the edge itself');
}

function ownerOnly(request: Request, { ring, owner }: HeldRing): void {
  const peer = peerOf(request);
  if (peer === undefined) return;
  if (ring.id === OWN || (owner !== undefined && owner !== peer))
    throw new AntirioError('forbidden', `ring ${ring.id} is not this edge's`, { peer });
}

function describeRing({ ring, owner, source, marked, kept }: HeldRing): unknown {
  const { id: ringId, incarnation, settings } = ring;
  const about = { owner, source, kept };
  return { ringId, incarnation, ...settings, ...about, ...ring.status(), next: ring.last + 1, marked };
}

function addRingRoutes(rim: HttpRim, ports: RoutePorts): void {
  const { rings } = ports;
  rim.route('get', '/api/v3/ring', { summary: 'all rings' }, ({ request }) => {
    localOnly(request);
    return { rings: rings.all().map(describeRing), droppedElsewhere: ports.sources.dropped() };
  });
  rim.route('get', '/api/v3/ring/:id', { summary: 'one ring', params: ringParams }, ({ request, params }) => {
    const held = rings.get(params.id);
    ownerOnly(request, held);
    return describeRing(held);
  });
  const put = { summary: 'create or change a ring', params: ringParams, body: ringBody };
  rim.route('put', '/api/v3/ring/:id', put, async ({ request, params, body }) => {
    localOnly(request);
    const { owner, adopt, retainS = ports.retainS(params.id), ...rest } = body;
    const settings: RingSettings = { ...rest, retainS };
    const held = await rings.put(params.id, settings, { owner, adopt });
    await ports.changed();
    return describeRing(held);
  });
  const remove = { summary: 'remove a ring with its frames', params: ringParams, status: 204 };
  rim.route('delete', '/api/v3/ring/:id', remove, async ({ request, params }) => {
    localOnly(request);
    await rings.remove(params.id);
    await ports.changed();
  });
  const keeping = z.strictObject({ forS: z.int().min(1).max(31_536_000) });
  const keep = {
    summary:
      'its contract is over: it takes nothing more, and stays for so long where living rings leave room',
    params: ringParams,
    body: keeping,
  };
  rim.route('put', '/api/v3/ring/:id/kept', keep, async ({ request, params, body }) => {
    localOnly(request);
    const held = await rings.keep(params.id, body.forS * 1000);
    await ports.changed();
    return describeRing(held);
  });
  const holding = z.strictObject({ forS: z.int().min(0).max(3600) });
  const hold = {
    summary: 'for so long nothing leaves for its age, and acknowledged frames last: a statement needs them',
    params: ringParams,
    body: holding,
  };
  rim.route('put', '/api/v3/ring/:id/hold', hold, ({ request, params, body }) => {
    localOnly(request);
    rings.get(params.id).ring.hold(body.forS * 1000);
    return body;
  });
  addMarkRoutes(rim, ports);
}

/** Of what it keeps for an edge: what that edge alone can tell. */
function byOwner(request: Request, { ring, owner }: HeldRing): void {
  const peer = peerOf(request);
  if (ring.id === OWN || peer === undefined || peer !== owner)
    throw new AntirioError('forbidden', `ring ${ring.id} is not this edge's`, { peer });
}

function addMarkRoutes(rim: HttpRim, { rings }: RoutePorts): void {
  const path = '/api/v3/ring/:id/marks';
  const marks = z.record(devAddrSchema, highWater);
  const most = (told: object): boolean => Object.keys(told).length <= MARKS_AT_ONCE;
  const body = z.strictObject({ marks: marks.refine(most, `at most ${MARKS_AT_ONCE} at once`) });
  const marking = { params: ringParams, body };
  const raise = (held: HeldRing, told: Readonly<Record<string, HighWater>>): unknown => {
    const marked = Object.entries(told).filter(([devAddr, one]) => held.mark(devAddr, one));
    return { marked: marked.length };
  };
  const ours = 'last true counters, of the edge’s own service: floods elsewhere take nothing of theirs';
  rim.route('put', path, { summary: ours, ...marking }, ({ request, params, body: told }) => {
    localOnly(request);
    return raise(rings.get(params.id), told.marks);
  });
  const known = { summary: 'the last true counters that are known', params: ringParams };
  rim.route('get', path, known, ({ request, params }) => {
    localOnly(request);
    return { marks: rings.get(params.id).marks() };
  });
  const theirs = 'the same, of the edge whose frames these are';
  rim.route('post', path, { summary: theirs, ...marking }, ({ request, params, body: told }) => {
    const held = rings.get(params.id);
    byOwner(request, held);
    return raise(held, told.marks);
  });
}

function addFrameRoutes(rim: HttpRim, ports: RoutePorts): void {
  const held = (request: Request, id: string): HeldRing => {
    const found = ports.rings.get(id);
    ownerOnly(request, found);
    return found;
  };
  const paged = { params: ringParams, query: page };
  const offers = { summary: 'what the ring holds after a frame', ...paged };
  rim.route('get', '/api/v3/ring/:id/offers', offers, ({ request, params, query }) => {
    const { ring } = held(request, params.id);
    const found = ring.offers(query.after, query.limit);
    return {
      offers: found,
      next: found.at(-1)?.seq ?? query.after,
      first: ring.status().first,
      last: ring.last,
      incarnation: ring.incarnation,
      joins: ring.settings.joins,
      dropped: ring.status().dropped,
    };
  });
  const listed = { summary: 'frames after a frame', ...paged };
  rim.route('get', '/api/v3/ring/:id/frames', listed, async ({ request, params, query }) => {
    const { ring } = held(request, params.id);
    return { frames: (await ring.frames(query.after, query.limit)).map(toWire) };
  });
  const { edge2edge, delivery } = ports;
  const onStored: CopiesPorts['onStored'] = (ring, frame) => delivery.first(ring, frame, undefined);
  addStreamRoutes(rim, { held, local: localOnly, edge2edge, onStored });
  const seqs = z.strictObject({ seqs: z.array(z.int().min(1)).max(500) });
  const wanted = { summary: 'these frames', params: ringParams, body: seqs };
  rim.route('post', '/api/v3/ring/:id/frames', wanted, async ({ request, params, body }) => {
    const { ring } = held(request, params.id);
    return { frames: (await ring.framesOf(body.seqs)).map(toWire) };
  });
  const named = z.strictObject({
    frames: z
      .array(
        z.object({
          devAddr: devAddrSchema,
          fcnt: z.int().min(0).max(0xffff),
          mic: z.string().regex(/^[0-9a-f]{8}$/),
          digest: z.string().regex(/^[0-9a-f]{16}$/),
        }),
      )
      .max(500),
  });
  const find = { summary: 'our own copies of what was offered', params: ringParams, body: named };
  rim.route('post', '/api/v3/ring/:id/find', find, async ({ request, params, body }) => {
    localOnly(request);
    const { ring } = ports.rings.get(params.id);
    return { frames: (await ring.framesOf(body.frames.flatMap((one) => ring.find(one) ?? []))).map(toWire) };
  });
  const through = z.object({ through: z.coerce.number().int().min(0).optional() });
  const rooted = {
    summary: 'Merkle root over the PHYPayloads in arrival order',
    params: ringParams,
    query: through,
  };
  rim.route('get', '/api/v3/ring/:id/root', rooted, async ({ request, params, query }) => {
    const { ring } = held(request, params.id);
    return { ...(await ring.root(query.through)), incarnation: ring.incarnation };
  });
  // numbers of another life of the ring mean nothing in this one
  const upTo = z.strictObject({ through: z.int().min(0), incarnation: z.string().min(1).max(64).optional() });
  const acknowledged = {
    summary: 'frames up to here are safe with their owner',
    params: ringParams,
    body: upTo,
  };
  rim.route('post', '/api/v3/ring/:id/acknowledge', acknowledged, async ({ request, params, body }) => {
    const { ring } = held(request, params.id);
    if (body.incarnation !== undefined && body.incarnation !== ring.incarnation)
      throw new AntirioError('conflict', `ring ${ring.id} is another one`, { incarnation: ring.incarnation });
    await ring.acknowledge(body.through);
    return { acknowledged: ring.acknowledged };
  });
}

function addSourceRoutes(rim: HttpRim, ports: RoutePorts): void {
  const path = '/api/v3/ring/:id/source';
  const set = async (request: Request, id: string, source: GapSource | undefined): Promise<void> => {
    localOnly(request);
    ports.rings.setSource(id, source);
    await ports.changed();
  };
  const fill = { summary: 'fill gaps from another ring', params: ringParams, body: gapSourceSchema };
  rim.route('put', path, fill, async ({ request, params, body }) => {
    await set(request, params.id, body);
    return body;
  });
  const end = { summary: 'no gap filling', params: ringParams, status: 204 };
  rim.route('delete', path, end, ({ request, params }) => set(request, params.id, undefined));
  rim.route(
    'get',
    path,
    { summary: 'how far gaps are filled', params: ringParams },
    ({ request, params }) => {
      localOnly(request);
      ports.rings.get(params.id);
      const status = ports.gapStatus(params.id);
      if (status === undefined)
        throw new AntirioError('notFound', `ring ${params.id} is filled from nowhere`);
      return status;
    },
  );
}

function addFenceRoutes(rim: HttpRim, ports: RoutePorts): void {
  const { fence } = ports;
  const path = '/api/v3/fence/:id';
  rim.route('get', '/api/v3/fence', { summary: 'sets, and what was refused' }, ({ request }) => {
    localOnly(request);
    return { sets: fence.sets(), refused: fence.refused(), commands: ports.commands() };
  });
  rim.route('get', path, { summary: 'one set', params: setParams }, ({ request, params }) => {
    localOnly(request);
    const found = fence.sets().find(({ setId }) => setId === params.id);
    if (found === undefined) throw new AntirioError('notFound', `no protected set ${params.id}`);
    return found;
  });
  const opening = { summary: 'let a set act in an epoch and a time', params: setParams, body: windowBody };
  rim.route('put', path, opening, ({ request, params, body }) => {
    localOnly(request);
    fence.open(params.id, body);
    return { setId: params.id, epoch: body.epoch };
  });
  const granting = { summary: 'grant counters to a device', params: setParams, body: blockBody };
  rim.route('put', `${path}/block`, granting, ({ request, params, body }) => {
    localOnly(request);
    fence.grant(params.id, body.devAddr, { first: body.first, last: body.last });
    return body;
  });
  // With the DevAddrs, a set that is not known yet is shut as well.
  const { devAddrs, devEuis } = windowBody.shape;
  const closing = z.strictObject({ devAddrs: devAddrs.optional(), devEuis }).optional();
  const shut = { summary: 'let nothing pass', params: setParams, body: closing };
  rim.route('post', `${path}/close`, shut, ({ request, params, body }) => {
    localOnly(request);
    fence.close(params.id, body?.devAddrs, body?.devEuis);
    return { setId: params.id, open: false };
  });
  const removing = { summary: 'the devices are in no set any more', params: setParams, status: 204 };
  rim.route('delete', path, removing, ({ request, params }) => {
    localOnly(request);
    fence.remove(params.id);
  });
}

/** The bridge's HTTP resources. */
export function addRoutes(rim: HttpRim, ports: RoutePorts): void {
  addRingRoutes(rim, ports);
  addFrameRoutes(rim, ports);
  addTestFrameRoute(rim, localOnly, ports);
  addSourceRoutes(rim, ports);
  addFenceRoutes(rim, ports);
  addLendingRoutes(rim, localOnly, ports.lending);
  rim.route(
    'get',
    '/api/v3/gateway',
    { summary: 'gateways: when they were heard, what they sent and received, what they tell of themselves' },
    ({ request }) => {
      localOnly(request);
      const gateways: GatewayStatus[] = ports.forwarders.gateways();
      return { gateways: gateways.map((one) => ({ ...one, airtime: ports.loads(one.gatewayId) })) };
    },
  );
}
