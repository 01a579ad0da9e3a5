import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { RequestHandler } from 'express';
import { Gauge } from 'prom-client';
import { AntirioError, describeError, type Clock, type Identity, type Random } from '@antirio/kernel';
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
import { createOutbox, type Letter, type Outbox } from '@antirio/durable-work';
import { createAlarm, createChecks } from './checks.ts';
import { createFetchedImages } from './fetched-images.ts';
import type { MigrationOptions } from './options.ts';
import { createOwnImages } from './own-images.ts';
import { openRecords, type Records, type Retrievability } from './records.ts';
import { addRoutes, type Served } from './routes.ts';
import { createSentImages, type SentImages } from './sent-images.ts';
import { isOut } from './standing.ts';
import { createStorageClient } from './storage-client.ts';

const VERSION = '0.1.0';

/** `peers`: filecoinInterface, edge2edge, orchestrator. */
export interface MigrationPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Who may call by HTTP; without it everybody who reaches the port. */
  readonly access?: RimAccess | undefined;
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
  const { access, clock, log } = ports;
  const parts = openParts(options, ports);
  const { records, outbox, own, sent, fetched } = parts;
  const health = (): Health => healthOf(records, outbox);
  const config = (): unknown => options;
  const rim = createHttpRim({
    serviceKey: 'migration',
    version: VERSION,
    config,
    health,
    log,
    clock,
    access,
  });
  rim.app.use(notForPeers);
  addRoutes(rim, parts);
  const port = await rim.listen(options.port, options.bind).catch((error: unknown) => {
    records.close();
    throw error;
  });
  outbox.start();
  const works = [own.work, sent.work, fetched.work];
  for (const work of works) work.start();
  addMetrics(rim, records);
  const { verifyIntervalMs: intervalMs, checksPerRound: atMost } = options;
  const checks = createChecks({ intervalMs, atMost, clock, random: ports.random });
  const checking = repeat('re-verify', Math.max(50, intervalMs / 4), log, async () => {
    // Each kind has a round of its own, so that one that fails or is slow keeps no other from its turn
    for (const each of [fetched, own, sent])
      await each.recheck(checks.round()).catch((error: unknown) => {
        log.warn({ error: describeError(error) }, 'checks of stored images wait');
      });
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
  const alarm = createAlarm((letter) => {
    outbox.add(letter);
  });
  const edge2edge = peerNamed(peers, 'edge2edge');
  const inside = { clock, random, log, records, storage, outbox, edge2edge, alarm };
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

/** What was found to be not retrievable when last checked. */
function lostOf({ images, sent, fetched }: Records): Record<'own' | 'atProviders' | 'ofCustomers', string[]> {
  const lost = (retrievable: Retrievability | undefined, id: string): string[] =>
    retrievable?.ok === false ? [id] : [];
  return {
    own: images.all().flatMap((image) => lost(image.retrievable, image.imageId)),
    // What the provider was sent last it may not hold, as long as it holds and runs the version before
    atProviders: sent
      .all()
      .flatMap((each) => (each.previousHeld?.ok === true ? [] : lost(each.heldByProvider, each.contractId))),
    ofCustomers: fetched.all().flatMap((each) => lost(each.retrievable, each.contractId)),
  };
}

/** Contracts whose newest version the provider does not run, and will not, as far as is known. */
const givenUpOf = ({ sent }: Records): string[] =>
  sent.all().flatMap(({ contractId, atProvider }) => {
    const isGivenUp = atProvider !== undefined && isOut(atProvider);
    return isGivenUp ? [`${contractId} (${atProvider.state}: ${atProvider.reason ?? ''})`.slice(0, 200)] : [];
  });

const SHOWN = 10;

function checkOf(lost: readonly string[], what: string): Check {
  if (lost.length === 0) return { ok: true };
  return {
    ok: false,
    detail: `${what}: ${lost.slice(0, SHOWN).join(', ')}${lost.length > SHOWN ? ', ...' : ''}`,
  };
}

function addMetrics(rim: HttpRim, records: Records): void {
  new Gauge({
    name: 'antirio_migration_not_retrievable',
    help: 'images that were not whole when last checked: own ones here, own ones at providers, those of customers here',
    labelNames: ['of'],
    registers: [rim.metrics],
    collect() {
      for (const [of, lost] of Object.entries(lostOf(records))) this.set({ of }, lost.length);
    },
  });
  new Gauge({
    name: 'antirio_migration_versions_given_up',
    help: 'contracts whose newest version the provider does not run and will not, unless it is sent again',
    registers: [rim.metrics],
    collect() {
      this.set(givenUpOf(records).length);
    },
  });
}

function healthOf(records: Records, outbox: Outbox): Health {
  const lost = lostOf(records);
  const waiting = outbox.waiting();
  const [oldest] = waiting;
  return {
    images: checkOf(lost.own, 'not retrievable'),
    // Neighbours come and go: that one does not answer is no fault of this edge's
    providers: {
      ...checkOf([...lost.atProviders, ...givenUpOf(records)], 'not held, or given up, by the provider'),
      ok: true,
    },
    customers: checkOf(lost.ofCustomers, 'not whole'),
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
