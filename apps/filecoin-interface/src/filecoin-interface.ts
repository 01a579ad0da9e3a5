import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { RequestHandler } from 'express';
import { Counter, Gauge } from 'prom-client';
import { AntirioError, type Clock, type Identity, type Random } from '@antirio/kernel';
import {
  createHttpRim,
  repeat,
  type Health,
  type HttpPeer,
  type HttpRim,
  type Log,
  openableService,
  type OpenRoom,
  type PortService,
} from '@antirio/host';
import { createGateway, openBlockStore, type BlockStore, type GatewayOptions } from '@antirio/content-store';
import { createOutbox, type Outbox } from '@antirio/durable-work';
import { fixedPrice, type StorageRate } from '@antirio/storage-network';
import { openDenyList } from './deny-list.ts';
import { addEventRoutes } from './event-routes.ts';
import { createEventStreams, type EventStreams } from './event-streams.ts';
import { addFileRoutes, isUpload, type FileServed } from './file-routes.ts';
import { createFiles } from './files.ts';
import { createImages } from './images.ts';
import { createObjects } from './objects.ts';
import type { FilecoinInterfaceOptions } from './options.ts';
import { createProgress, type Progress } from './progress.ts';
import { openRecords } from './records.ts';
import { addThesisRoutes, type Served } from './routes.ts';
import { embeddedStorage, type StorageNetwork } from './storage.ts';
import { addStorageRoutes, type StorageServed } from './v3-routes.ts';

const VERSION = '0.1.0';

/** `peers`: orchestrator (is told of stored images), edge2edge (the way to other edges' blocks). */
export interface FilecoinInterfacePorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
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

interface Parts extends Served, StorageServed, FileServed {
  readonly store: BlockStore;
  readonly storage: StorageNetwork;
  readonly outbox: Outbox;
  readonly progress: Progress;
}

async function openRoom(options: FilecoinInterfaceOptions, ports: FilecoinInterfacePorts): Promise<OpenRoom> {
  const { clock, log } = ports;
  const parts = await openParts(options, ports);
  const { store, storage, outbox, images, objects } = parts;
  const health = (): Health => healthOf(store, outbox);
  const config = (): unknown => options;
  const streams = createEventStreams(parts.progress, options.events, ports.random);
  const rim = createHttpRim({
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
  addStorageRoutes(rim, parts);
  addFileRoutes(rim, parts);
  addEventRoutes(rim, { ...parts, streams });
  const port = await rim.listen(options.port, options.bind).catch(async (error: unknown) => {
    await closeAll(parts);
    throw error;
  });
  outbox.start();
  images.work.start();
  objects.work.start();
  const cleaning = repeat('clean up', options.collectIntervalMs, log, async () => {
    images.expire();
    parts.files.cleanUp();
    await storage.cleanUp();
  });
  return {
    port,
    health,
    async stop() {
      streams.close();
      await rim.close();
      await Promise.all([cleaning.stop(), images.work.stop(), objects.work.stop(), outbox.stop()]);
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
  const storage = embeddedStorage(store, options);
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
  const progress = createProgress(clock);
  const price = fixedPrice(rateOf(options));
  const { edge2edge, orchestrator } = peers;
  const inside = { ...ports, records, outbox, storage, price, progress, edge2edge, orchestrator };
  const images = createImages(options, inside);
  const objects = createObjects(options, inside);
  const files = createFiles({
    ...options.uploads,
    folder: imageFolder,
    maxBytes: options.maxImageBytes,
    clock,
    progress,
    isNeeded: (name) => images.needs(name),
  });
  const shown = { version: VERSION, edgeId: options.edgeId, imageFolder, stallMs: options.uploads.stallMs };
  return { ...shown, records, denied, store, storage, outbox, price, progress, images, objects, files };
}

function rateOf({ price }: FilecoinInterfaceOptions): StorageRate {
  const { numerator, denominator, ...rest } = price;
  return { numerator: BigInt(numerator), denominator: BigInt(denominator), ...rest };
}

function gatewayOptions(
  { gateway }: FilecoinInterfaceOptions,
  { denied }: Parts,
  onServed: (bytes: number) => void,
): GatewayOptions {
  const { atOnce, withinMs, stallMs } = gateway;
  return { atOnce, withinMs, stallMs, isDenied: (cid) => denied.has(cid), onServed };
}

async function closeAll({ store, records }: Parts): Promise<void> {
  await store.close();
  records.close();
}

function healthOf(store: BlockStore, outbox: Outbox): Health {
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
