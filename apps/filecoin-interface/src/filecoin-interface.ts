import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { RequestHandler } from 'express';
import { Counter, Gauge } from 'prom-client';
import { AntirioError, type Clock, type Identity, type Random } from '@antirio/kernel';
import {
  createHttpRim,
  repeat,
  type Check,
  type Health,
  type HttpPeer,
  type HttpRim,
  type Log,
  openableService,
  type OpenRoom,
  type PortService,
  type RimAccess,
} from '@antirio/host';
import {
  createGateway,
  openBlockStore,
  type BlockStore,
  type CID,
  type GatewayOptions,
} from '@antirio/content-store';
import { createOutbox, type Outbox } from '@antirio/durable-work';
import type { StorageNetwork } from '@antirio/storage-network';
import { openDenyList } from './deny-list.ts';
import { addEventRoutes } from './event-routes.ts';
import { createEventStreams, type EventStreams } from './event-streams.ts';
import { addFileRoutes, isUpload, type FileServed } from './file-routes.ts';
import { createFiles } from './files.ts';
import { createFormerNetworks, type FormerNetworks } from './former-networks.ts';
import { createImages, type Images } from './images.ts';
import { openNetwork } from './network.ts';
import { createMend } from './mending.ts';
import { createObjects } from './objects.ts';
import type { FilecoinInterfaceOptions } from './options.ts';
import { networkFolder, settlePlaces } from './places.ts';
import { createProgress, type Progress } from './progress.ts';
import { imageOfPin, imagePin, objectOfPin, objectPin } from './pins.ts';
import { createPushes, type OnHeld, type Pushes } from './pushes.ts';
import { isStored, openRecords, type Records } from './records.ts';
import { addThesisRoutes, type Served } from './routes.ts';
import { localStorage, type LocalStorage } from './storage.ts';
import { createTurns, type LongWork } from './turns.ts';
import { addStorageRoutes, type StorageServed } from './v3-routes.ts';

const VERSION = '0.1.0';

/** `peers`: orchestrator (is told of stored images), edge2edge (the way to other edges' blocks). */
export interface FilecoinInterfacePorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Who may call by HTTP; without it everybody who reaches the port. */
  readonly access?: RimAccess | undefined;
  readonly peers: Readonly<Record<string, HttpPeer>>;
  /** Whose id is this edge's; without one the options name it. */
  readonly identity?: Identity;
}

/** Stores this edge's images and objects, serves them by CID, fetches those of others. */
export function createFilecoinInterface(
  given: FilecoinInterfaceOptions,
  ports: FilecoinInterfacePorts,
): PortService {
  const options = { ...given, edgeId: ports.identity?.edgeId ?? given.edgeId };
  return openableService('filecoin-interface', options.port, () => openRoom(options, ports));
}

interface Parts extends Served, Omit<StorageServed, 'turns'>, FileServed {
  readonly store: BlockStore;
  readonly storage: LocalStorage;
  readonly network: StorageNetwork;
  readonly pushes: Pushes;
  readonly former: FormerNetworks;
  readonly outbox: Outbox;
  readonly progress: Progress;
}

async function openRoom(options: FilecoinInterfaceOptions, ports: FilecoinInterfacePorts): Promise<OpenRoom> {
  const { clock, log } = ports;
  const parts = await openParts(options, ports);
  const { store, storage, outbox, images, objects, pushes, former } = parts;
  const health = (): Promise<Health> => healthOf(parts);
  const config = (): unknown => options;
  const streams = createEventStreams(parts.progress, options.events, ports.random);
  const rim = createHttpRim({
    access: ports.access,
    serviceKey: 'filecoin-interface',
    version: VERSION,
    config,
    health,
    log,
    clock,
    isUpload,
  });
  countListeners(rim, streams);
  rim.app.use(onlyBlocksForPeers);
  rim.app.use('/ipfs', createGateway(store, gatewayOptions(options, parts, countServed(rim, store))));
  addThesisRoutes(rim, parts);
  addStorageRoutes(rim, { ...parts, turns: createTurns(atOnceOf(options), countRefused(rim)) });
  addFileRoutes(rim, parts);
  addEventRoutes(rim, { ...parts, streams });
  const port = await rim.listen(options.port, options.bind).catch(async (error: unknown) => {
    await closeAll(parts);
    throw error;
  });
  outbox.start();
  images.work.start();
  objects.work.start();
  pushes.work.start();
  former.work.start();
  const cleaning = repeat('clean up', options.collectIntervalMs, log, async () => {
    images.expire();
    parts.files.cleanUp();
    letGoOfUnnamed(parts);
    await storage.cleanUp();
  });
  return {
    port,
    health,
    async stop() {
      streams.close();
      await rim.close();
      await Promise.all([
        cleaning.stop(),
        images.work.stop(),
        objects.work.stop(),
        pushes.work.stop(),
        former.work.stop(),
        outbox.stop(),
      ]);
      await closeAll(parts);
    },
  };
}

async function openParts(options: FilecoinInterfaceOptions, ports: FilecoinInterfacePorts): Promise<Parts> {
  const { clock, random, log, peers } = ports;
  const folder = join(options.dataDir, 'filecoin-interface');
  const imageFolder = join(options.dataDir, 'images');
  mkdirSync(imageFolder, { recursive: true });
  removeLeftovers(imageFolder, clock.now());
  const records = openRecords(join(folder, 'state.sqlite'), clock);
  const denied = openDenyList(records.denied, clock, options.gateway.denyFile);
  const store = await openBlockStore({ folder, clock, quotaBytes: options.quotaBytes });
  const storage = localStorage(store, options);
  const networks = join(folder, 'network');
  const opening = { clock, random, log, store };
  const network = await openNetwork(options, {
    ...opening,
    folder: join(networks, networkFolder(records, options.network)),
  }).catch(async (error: unknown) => {
    await closeAll({ store, records });
    throw error;
  });
  const former = createFormerNetworks(options, {
    ...{ clock, random, log, records, network },
    folder: networks,
    open: (settings, own) => openNetwork({ ...options, network: settings }, { ...opening, folder: own }),
  });
  const progress = createProgress(clock);
  const dagOf = (cid: CID, bytes: number | undefined) => storage.dagOf(cid, bytes);
  const pushes = createPushes(options, { ...ports, records, network, progress, dagOf });
  const outbox = createOutbox({
    db: records.db,
    peers,
    clock,
    random,
    log,
    firstDelayMs: options.firstRetryMs,
    maxDelayMs: options.maxRetryMs,
    onRefused: (letter, message) => void records.addError({ errorObject: letter.json, code: 502, message }),
  });
  const price = network.price();
  const { edge2edge, orchestrator } = peers;
  const inside = {
    ...ports,
    records,
    outbox,
    storage,
    network,
    pushes,
    price,
    progress,
    edge2edge,
    orchestrator,
  };
  const images = createImages(options, inside);
  const objects = createObjects(options, { ...inside, images });
  const held: OnHeld = (name, cid, isHeld) => {
    const imageId = imageOfPin(name);
    if (imageId !== undefined) images.held(imageId, cid, isHeld);
  };
  pushes.onHeld(held);
  const onLost = (name: string, cid: string): void => {
    held(name, cid, false);
  };
  settlePlaces(records, { ...options, now: clock.now(), onLost });
  bringAll(records, pushes, images, network);
  letGoOfUnnamed({ storage, images, objects });
  const files = createFiles({
    ...options.uploads,
    folder: imageFolder,
    maxBytes: options.maxImageBytes,
    clock,
    progress,
    isNeeded: (name) => images.needs(name),
  });
  const shown = { version: VERSION, edgeId: options.edgeId, imageFolder, stallMs: options.uploads.stallMs };
  const kept = { records, denied, store, storage, network, pushes, former, outbox };
  const mend = createMend(options, inside);
  return { ...shown, ...kept, price, progress, images, objects, mend, files };
}

function gatewayOptions(
  { gateway }: FilecoinInterfaceOptions,
  { denied }: Parts,
  onServed: (bytes: number) => void,
): GatewayOptions {
  const { atOnce, withinMs, stallMs } = gateway;
  return { atOnce, withinMs, stallMs, isDenied: (cid) => denied.has(cid), onServed };
}

/** What was stored before the network was chosen is brought to it as well. */
function bringAll(records: Records, pushes: Pushes, images: Images, network: StorageNetwork): void {
  for (const { imageId, imageHash, status } of records.images.all()) {
    if (imageHash === undefined || !isStored(status)) continue;
    pushes.order(imagePin(imageId), imageHash);
    const isHeld = network.kind === 'embedded' || pushes.view(imagePin(imageId))?.state === 'COMMITTED';
    if (!isHeld) records.transaction(() => images.held(imageId, imageHash, false));
  }
  const own = records.objects.all().filter(({ state, providers }) => state === 'STORED' && !providers.length);
  for (const { cid } of own) pushes.order(objectPin(cid), cid);
}

/** A kill between a pin and its record leaves a pin that nobody could let go of. */
function letGoOfUnnamed({ storage, images, objects }: Pick<Parts, 'storage' | 'images' | 'objects'>): void {
  storage.keepOnly((name) => {
    const [imageId, cid] = [imageOfPin(name), objectOfPin(name)];
    if (imageId !== undefined) return images.keeps(imageId);
    return cid === undefined || objects.keeps(cid);
  });
}

type Closed = Pick<Parts, 'store' | 'records'> & { readonly network?: StorageNetwork };

async function closeAll({ store, records, network }: Closed): Promise<void> {
  await network?.close();
  await store.close();
  records.close();
}

async function healthOf({ store, outbox, network, pushes, former }: Parts): Promise<Health> {
  const { bytes, quotaBytes, blocks, damaged } = store.usage();
  const waiting = outbox.waiting();
  const [oldest] = waiting;
  return {
    store: {
      ok: bytes < quotaBytes,
      detail: `${blocks} blocks, ${bytes} of ${quotaBytes} bytes, ${damaged} found damaged`,
    },
    orchestrator: {
      ok: oldest === undefined || oldest.attempts < 3,
      ...(oldest === undefined ? {} : { detail: `${waiting.length} messages wait: ${oldest.lastError}` }),
    },
    ...(network.kind === 'embedded' ? {} : { network: await networkHealth(network, pushes) }),
    ...formerHealth(former),
  };
}

async function networkHealth(network: StorageNetwork, pushes: Pushes): Promise<Check> {
  const { ok, detail } = await network.health();
  const failed = pushes.failed();
  const counts = `${pushes.waiting()} wait, ${failed.length} have failed`;
  const last = failed[0]?.error;
  const details = [detail, counts, last].filter((each) => each !== undefined && each !== '');
  return { ok: ok && failed.length === 0, detail: `${network.kind}: ${details.join('; ')}` };
}

/** Not well where something is kept that could not be let go of: it may cost money. */
function formerHealth(former: FormerNetworks): Health {
  const all = former.all();
  if (all.length === 0) return {};
  const details = all.map(
    ({ name, pieces, error }) =>
      `${pieces} pieces are still kept at ${name}${error === undefined ? '' : `: ${error}`}`,
  );
  return {
    formerNetworks: { ok: all.every(({ error }) => error === undefined), detail: details.join('; ') },
  };
}

function countServed(rim: HttpRim, store: BlockStore): (bytes: number) => void {
  const registers = [rim.metrics];
  new Gauge({
    name: 'antirio_store_bytes',
    help: 'disk space that stored blocks take',
    registers,
    collect() {
      this.set(store.usage().bytes);
    },
  });
  new Gauge({
    name: 'antirio_store_damaged_blocks',
    help: 'blocks found damaged since the start',
    registers,
    collect() {
      this.set(store.usage().damaged);
    },
  });
  const served = new Counter({
    name: 'antirio_gateway_bytes',
    help: 'bytes of blocks and CARs served',
    registers,
  });
  return (bytes) => {
    served.inc(bytes);
  };
}

const atOnceOf = ({ longWork }: FilecoinInterfaceOptions): Record<LongWork, number> => ({
  import: longWork.imports,
  export: longWork.exports,
  verify: longWork.verifications,
  sample: longWork.samples,
});

function countRefused(rim: HttpRim): (kind: LongWork) => void {
  const refused = new Counter({
    name: 'antirio_storage_work_refused',
    help: 'long work that was refused because as much as may be was under way',
    labelNames: ['work'],
    registers: [rim.metrics],
  });
  return (work) => {
    refused.inc({ work });
  };
}

function countListeners(rim: HttpRim, streams: EventStreams): void {
  const registers = [rim.metrics];
  new Gauge({
    name: 'antirio_event_streams',
    help: 'clients that listen to the progress of long work',
    registers,
    collect() {
      this.set(streams.listeners);
    },
  });
  new Gauge({
    name: 'antirio_event_streams_cut_off',
    help: 'clients that were cut off since the start because they were too slow',
    registers,
    collect() {
      this.set(streams.cutOff);
    },
  });
}

/** Other edges, which edge2edge marks, get blocks by CID and nothing else. */
const onlyBlocksForPeers: RequestHandler = (request, _response, next) => {
  const foreign = request.get('x-antirio-peer') !== undefined;
  if (foreign && !request.path.startsWith('/ipfs/'))
    next(new AntirioError('forbidden', 'other edges get blocks only'));
  else next();
};

const LEFT_OVER_AFTER_MS = 3_600_000;

/** Half-written files of exports that a crash broke off. */
function removeLeftovers(images: string, now: number): void {
  for (const name of readdirSync(images)) {
    const path = join(images, name);
    if (name.endsWith('.part') && statSync(path).mtimeMs < now - LEFT_OVER_AFTER_MS)
      rmSync(path, { force: true });
  }
}
