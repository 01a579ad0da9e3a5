import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { RequestHandler } from 'express';
import { AntirioError, type Clock, type Identity, type Random } from '@antirio/kernel';
import {
  createHttpRim,
  repeat,
  type Health,
  type HttpPeer,
  type Log,
  openableService,
  type OpenRoom,
  type PortService,
} from '@antirio/host';
import { createOutbox, type Letter, type Outbox } from '@antirio/durable-work';
import { createFetchedImages } from './fetched-images.ts';
import type { MigrationOptions } from './options.ts';
import { createOwnImages } from './own-images.ts';
import { openRecords, type Records } from './records.ts';
import { addRoutes, type Served } from './routes.ts';
import { createSentImages, type SentImages } from './sent-images.ts';
import { createStorageClient } from './storage-client.ts';

const VERSION = '0.1.0';

/** `peers`: filecoinInterface, edge2edge, orchestrator. */
export interface MigrationPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly peers: Readonly<Record<string, HttpPeer>>;
  /** Whose id is this edge's; without one the options name it. */
  readonly identity?: Identity;
}

/** Moves images between edges: this edge's own to its providers, its customers' here (thesis, Algorithms 1 and 2). */
export function createMigration(given: MigrationOptions, ports: MigrationPorts): PortService {
  const options = { ...given, edgeId: ports.identity?.edgeId ?? given.edgeId };
  return openableService('migration', options.port, () => openRoom(options, ports));
}

async function openRoom(options: MigrationOptions, ports: MigrationPorts): Promise<OpenRoom> {
  const { clock, log } = ports;
  const parts = openParts(options, ports);
  const { records, outbox, own, sent, fetched } = parts;
  const health = (): Health => healthOf(records, outbox);
  const config = (): unknown => options;
  const rim = createHttpRim({ serviceKey: 'migration', version: VERSION, config, health, log, clock });
  rim.app.use(notForPeers);
  addRoutes(rim, parts);
  const port = await rim.listen(options.port, options.bind).catch((error: unknown) => {
    records.close();
    throw error;
  });
  outbox.start();
  const works = [own.work, sent.work, fetched.work];
  for (const work of works) work.start();
  const checking = repeat('re-verify', options.verifyIntervalMs, log, async () => {
    fetched.recheck();
    await own.recheck();
    await sent.recheck();
  });
  return {
    port,
    health,
    async stop() {
      await rim.close();
      await Promise.all([checking.stop(), outbox.stop(), ...works.map((work) => work.stop())]);
      records.close();
    },
  };
}

interface Parts extends Served {
  readonly outbox: Outbox;
}

function openParts(options: MigrationOptions, ports: MigrationPorts): Parts {
  const { clock, random, log, peers } = ports;
  mkdirSync(join(options.dataDir, 'images'), { recursive: true });
  const records = openRecords(join(options.dataDir, 'migration', 'state.sqlite'));
  const storage = createStorageClient(peerNamed(peers, 'filecoinInterface'), options.exportTimeoutMs);
  const { firstRetryMs: firstDelayMs, maxRetryMs: maxDelayMs } = options;
  const told: { sent?: SentImages } = {};
  const isSending = (letter: Letter): boolean => letter.peer === 'edge2edge';
  const outbox = createOutbox({
    ...{ db: records.db, peers, clock, random, log, firstDelayMs, maxDelayMs },
    onDelivered: (letter) => {
      if (isSending(letter)) told.sent?.delivered(letter);
    },
    onRefused: (letter, error) => {
      if (isSending(letter)) told.sent?.refused(letter, error);
    },
  });
  const inside = { clock, random, log, records, storage, outbox, edge2edge: peerNamed(peers, 'edge2edge') };
  const sent = createSentImages(options, inside);
  told.sent = sent;
  return {
    records,
    outbox,
    sent,
    own: createOwnImages(options, inside),
    fetched: createFetchedImages(options, inside),
  };
}

function peerNamed(peers: Readonly<Record<string, HttpPeer>>, name: string): HttpPeer {
  const peer = peers[name];
  if (peer === undefined) throw new AntirioError('badConfig', `migration needs the peer ${name}`);
  return peer;
}

function healthOf(records: Records, outbox: Outbox): Health {
  const lost = records.images.all().filter((image) => image.retrievable?.ok === false);
  const waiting = outbox.waiting();
  const [oldest] = waiting;
  return {
    images: {
      ok: lost.length === 0,
      ...(lost.length === 0
        ? {}
        : { detail: `not retrievable: ${lost.map((image) => image.imageId).join(', ')}` }),
    },
    messages: {
      ok: oldest === undefined || oldest.attempts < 3,
      ...(oldest === undefined ? {} : { detail: `${waiting.length} wait: ${oldest.lastError}` }),
    },
  };
}

/** Other edges speak to the orchestrator, and fetch blocks from filecoin-interface; here they have no business. */
const notForPeers: RequestHandler = (request, _response, next) => {
  const foreign = request.get('x-antirio-peer') !== undefined;
  next(foreign ? new AntirioError('forbidden', 'not for other edges') : undefined);
};
