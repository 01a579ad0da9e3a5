import { join } from 'node:path';
import type { DeviceProfile } from '@antirio/edgex-contracts';
import { AntirioError, type Clock, type Random } from '@antirio/kernel';
import {
  inTransaction,
  repeat,
  type Bus,
  type Database,
  type HttpPeer,
  type Log,
  type Repeating,
} from '@antirio/host';
import { parseDevAddr } from '@antirio/lorawan';
import { createActivation, type Activation } from './activation.ts';
import { openStore } from './database.ts';
import { openDownlinksAsked } from './downlink/asked.ts';
import { openDownCounters, type DownCounters } from './downlink/counters.ts';
import { CLASS_C_TIMES, createClassC, type ClassC, type ClassCPorts } from './downlink/class-c.ts';
import { createDesk } from './downlink/desk.ts';
import { createHolder, type Holder } from './downlink/holder.ts';
import { openLender } from './downlink/lender.ts';
import { whileServing } from './downlink/overdue.ts';
import { createProven } from './downlink/proven.ts';
import { createEntrusting, type Entrusting } from './downlink/entrusting.ts';
import { createNaming, type Naming } from './downlink/naming.ts';
import { createReach } from './downlink/reach.ts';
import { createSender, type DownlinkSender } from './downlink/sender.ts';
import { createDownlinkStore, type Downlink, type DownlinkStore } from './downlink/store.ts';
import { isRejoining, sessionInUse } from './downlink/session-in-use.ts';
import { openTransmitter } from './downlink/transmitter.ts';
import { waitsFor, type WaitingPorts } from './downlink/waiting.ts';
import type { JoinHome } from './join/home.ts';
import type { JoinServer } from './join/join-server.ts';
import { openJoins, type Joins } from './join/open.ts';
import { createJoinStore, type JoinedSession, type JoinReservation, type JoinStore } from './join/store.ts';
import type { UnservedJoins } from './join/unserved.ts';
import { createLatest, type Latest } from './latest.ts';
import { createHeardLast, type HeardLast } from './last-heard.ts';
import { createMacLayer, type MacLayer } from './mac/mac-layer.ts';
import { createMacHome, type MacHome } from './mac/home.ts';
import { openNeighbours } from './mac/neighbours.ts';
import { createMacChanges, type MacChanges } from './mac/snapshot.ts';
import { createMacStore } from './mac/store.ts';
import { openMacTelling } from './mac/told.ts';
import { createPoster, type Poster } from './north/poster.ts';
import { directoryOf } from './directory.ts';
import { isSentToAtOnce, type DeviceLoraOptions, type DeviceOptions } from './options.ts';
import { createAsked } from './asked.ts';
import { openOwnRing, type Asked, type OwnRing, type Wanted } from './own-ring.ts';
import { LIVE_SESSIONS_FILE, openLiveSessions } from './seal/live-sessions.ts';
import { createRejoins, leftBehind } from './seal/rejoin.ts';
import { createSealing, type Sealing } from './seal/sealing.ts';
import { createUplinkStore, type UplinkStore } from './store.ts';
import { createConflictStore, type ConflictStore } from './uplink/conflicts.ts';
import { openReader, type Reader } from './uplink/reader.ts';
import { highestOf, type Session } from './uplink/sessions.ts';
import type { SessionBook } from './uplink/session-book.ts';

const ROOM = 'device-lora';
const OWN = 'own';

export interface SouthPorts {
  readonly options: DeviceLoraOptions;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly bus: Bus;
  readonly peers: Readonly<Record<string, HttpPeer>>;
  readonly profiles: ReadonlyMap<string, DeviceProfile>;
  /** Takes what is to be closed; it is closed in the opposite order. */
  readonly opened: (() => unknown)[];
}

/** The LoRaWAN side: frames in, downlinks out, and what is known of both. */
export interface South {
  readonly activation: Activation;
  readonly reader: Reader;
  readonly sender: DownlinkSender;
  readonly mac: MacLayer;
  /** Writes the MAC states of sessions down; durable when it returns. */
  readonly writeMacs: (sessions: readonly Session[]) => void;
  /** Of devices' MAC layers since the start. */
  readonly changes: MacChanges;
  readonly macHome: MacHome;
  readonly entrusting: Entrusting;
  readonly naming: Naming;
  /** Encrypts for another edge that serves without the AppSKey. */
  readonly encryptFor: Holder;
  readonly joinServer: JoinServer | undefined;
  readonly joinHome: JoinHome | undefined;
  readonly poster: Poster;
  readonly store: UplinkStore;
  readonly downlinks: DownlinkStore;
  readonly conflicts: ConflictStore;
  readonly gapOf: DownCounters['gap'];
  /** What a downlink that is not at its end waits for. */
  readonly waitOf: (device: DeviceOptions, downlink: Downlink) => string | undefined;
  /** The newest reading by device and resource, since the start. */
  readonly latest: Latest;
  readonly lastHeard: HeardLast;
  /** Undefined where joins are not served, or nobody seals what they make. */
  readonly sealing: Sealing | undefined;
  /** Counts what a service that stands in for the devices' own edge does not answer. */
  readonly unserved: UnservedJoins;
  readonly standsIn: boolean;
}

interface Told {
  readonly latest: Latest;
  readonly lastHeard: HeardLast;
}

function coreDataOf({ peers }: SouthPorts): HttpPeer {
  const found = peers['coreData'];
  if (found === undefined) throw new AntirioError('badConfig', 'device-lora needs the peer coreData');
  return found;
}

/** What the ring has to take: the addresses that devices have or had lately, and the JoinRequests of those that join. */
function wantedOf({ devices }: DeviceLoraOptions, joins: JoinStore): Wanted {
  const joining = new Set(
    devices.filter(({ activation }) => activation === 'otaa').map(({ devEui }) => devEui),
  );
  const fixed = devices.flatMap(({ devAddr }) => devAddr ?? []);
  const given = joins.all().filter(({ devEui }) => joining.has(devEui));
  const ofDevice = Map.groupBy(given, ({ devEui }) => devEui).values();
  const sharing = [...ofDevice].map((sessions) => sessions.map(({ devAddr }) => devAddr));
  return {
    devices: devices.length,
    devAddrs: [...new Set([...fixed, ...given.map(({ devAddr }) => devAddr)])],
    sharing: sharing.filter(({ length }) => length > 1),
    devEuis: [...joining],
  };
}

/** The ring of the edge itself is told what is stored; a contract's ring is acknowledged by its owner alone. */
function openRing(
  { options, peers, log, opened }: SouthPorts,
  joins: JoinStore,
  asked: Asked,
): OwnRing | undefined {
  const bridge = peers['gatewayBridge'];
  const { prefix } = options;
  if (options.ring !== OWN || prefix !== '' || bridge === undefined) return undefined;
  const ring = openOwnRing({
    bridge,
    ring: OWN,
    prefix,
    log,
    wanted: () => wantedOf(options, joins),
    asked,
    wasGiven: (devAddr) => joins.wasGiven(parseDevAddr(devAddr)),
  });
  opened.push(() => ring.stop());
  return ring;
}

/** What joins make is told to the edge's arbitrator, which has it sealed for the providers of contracts. */
function openSealing(
  { options, peers, clock, log, opened }: SouthPorts,
  db: Database,
  joins: JoinStore,
  sessions: () => SessionBook | undefined,
  onDisclosed: ReturnType<typeof createRejoins>,
): Sealing | undefined {
  const { arbitrator } = peers;
  if (options.ring !== OWN || options.prefix !== '' || arbitrator === undefined) return undefined;
  const path = join(options.dataDir, ROOM, LIVE_SESSIONS_FILE);
  const { byEui } = directoryOf(options.devices);
  const joined = (): JoinedSession[] =>
    joins.all().filter(({ devEui }) => byEui.get(devEui)?.activation === 'otaa');
  const used = (): readonly JoinReservation[] =>
    joins.reservations().filter(({ devEui }) => byEui.get(devEui)?.activation === 'otaa');
  const live = openLiveSessions({ db, path, joined, used });
  const sealing = createSealing({
    ...{ arbitrator, live, clock, log, onDisclosed },
    leftBehind: (disclosed) => leftBehind(directoryOf(options.devices), sessions(), disclosed),
  });
  opened.push(() => sealing.stop());
  return sealing;
}

interface ReadingParts {
  readonly store: UplinkStore;
  readonly poster: Poster;
  readonly sender: DownlinkSender;
  readonly naming: Naming;
  readonly classC: ClassC;
  readonly mac: MacLayer;
  readonly ring: OwnRing | undefined;
  readonly joins: Pick<Joins, 'heard'>;
  readonly told: Told;
}

async function openReading(ports: SouthPorts, parts: ReadingParts): Promise<Reader> {
  const { options, profiles, opened } = ports;
  const { store, poster, sender, naming, classC, mac, ring, told } = parts;
  const tellRing = (): void => {
    const stored = store.cursor(options.ring);
    if (stored !== undefined && stored.seq > 0) ring?.acknowledge(stored);
  };
  const reader = await openReader({
    ...ports,
    store,
    poster,
    profileOf: (name) => profiles.get(name),
    onHeard: (heard) => {
      // another network has it: two that answer would act against each other
      if (heard.session.device.network !== 'own') return;
      naming.heard(heard);
      sender.heard(heard);
      classC.heard(heard);
    },
    onReset: (session) => mac.reset(session),
    onJoin: (join) => parts.joins.heard(join),
    onStored: (heard, readings) => {
      const { id: session, device, devAddr } = heard.session;
      if (highestOf(heard.session) === heard.fcnt)
        ring?.mark(devAddr, { devEui: device.devEui, session, fcnt: heard.fcnt });
      told.lastHeard.note(device.devEui, heard.uplink, heard.receptions.length);
      told.latest.set(device.name, readings);
    },
    onCursor: tellRing,
  });
  opened.push(() => reader.close());
  tellRing();
  return reader;
}

const PARKED_PAGE = 100;

/** What core-data refused is tried again now and then: a profile or a device may be there by then. */
function retryParked(store: UplinkStore, poster: Poster, intervalMs: number, log: Log): Repeating {
  // a page at a time, and round again: those that are refused once more must not stand before the others
  let after = 0;
  return repeat('storing what was refused', intervalMs, log, async () => {
    const page = store.parked(PARKED_PAGE, after);
    for (const event of page) {
      const outcome = await poster.tryOnce(event);
      after = event.place;
      if (outcome.kind === 'stored') store.unpark(event.id);
      else if (outcome.kind === 'unavailable') return;
    }
    if (page.length < PARKED_PAGE) after = 0;
  });
}

interface ClassCParts extends Pick<
  ClassCPorts,
  'transmitter' | 'store' | 'desk' | 'mac' | 'counters' | 'reach'
> {
  readonly sessions: () => SessionBook | undefined;
}

/** Devices that listen at all times need no uplink to be sent to. */
function openClassC(
  { options, clock, log, opened }: SouthPorts,
  { sessions, ...parts }: ClassCParts,
): ClassC {
  const listening = new Set(
    options.devices
      .filter((device) => options.sendDownlinks && isSentToAtOnce(device))
      .map(({ devEui }) => devEui),
  );
  const classC = createClassC({
    ...parts,
    times: { ...CLASS_C_TIMES, ...options.classC },
    listening,
    sessionOf: (devEui) => sessionInUse(sessions(), devEui, clock.now()),
    ...{ clock, log },
  });
  opened.push(() => classC.close());
  return classC;
}

export async function openSouth(ports: SouthPorts): Promise<South> {
  const { options, bus, clock, random, log, opened } = ports;
  const { prefix, region, answerUplinks, sendDownlinks, reading } = options;
  const db = openStore(join(options.dataDir, ROOM, 'device-lora.db'));
  opened.push(() => db.close());
  const store = createUplinkStore(db);
  // What is opened before it may ask already
  const later: { activation?: Activation } = {};
  const sessions = (): SessionBook | undefined => later.activation?.sessions;
  const changes = createMacChanges(random);
  const downlinks = createDownlinkStore(db, (devEui) => {
    const session = sessions()?.currentOf(devEui);
    if (session !== undefined) changes.note(session.id);
  });
  const joins = createJoinStore(db);
  const poster = createPoster({ coreData: coreDataOf(ports), ...reading });
  const highestUsed = (devAddr: string): number | undefined => downlinks.highestUsed(devAddr);
  const counters = await openDownCounters({
    ...{ bus, prefix, clock, random, log, highestUsed },
    proven: createProven(db),
  });
  opened.push(() => counters.close());
  const transmitter = await openTransmitter({ bus, prefix, region, random });
  opened.push(() => transmitter.close());
  const neighbours = prefix === '' ? await openNeighbours({ bus, clock, log }) : undefined;
  opened.push(async () => neighbours?.close());
  const lender = prefix === '' ? await openLender({ bus, clock, random, log }) : undefined;
  opened.push(async () => lender?.close());
  const macs = createMacStore(db);
  const mac = createMacLayer({
    ...{ options, store: macs, clock, log },
    onChanged: ({ id }) => changes.note(id),
    neighbourMargin: (devAddr, since) => neighbours?.marginOf(devAddr, since),
    wantsProof: (devAddr) => counters.wantsProof(devAddr) || lender?.wants(devAddr) === true,
  });
  const desk = createDesk(downlinks, clock);
  const reach = createReach(db);
  const entrusting = createEntrusting({ store: downlinks, desk, clock, random, log });
  const classC = openClassC(ports, {
    ...{ transmitter, store: downlinks, desk, mac, counters, reach, sessions },
  });
  const sender = createSender({
    ...{ transmitter, lender, sendDownlinks, answerUplinks, store: downlinks },
    ...{ mac, counters, desk, clock, log },
    onQueued: (devEui) => classC.poke(devEui),
  });
  const naming = createNaming({ store: downlinks, counters, sender, mac, sessions, clock });
  const ring = openRing(ports, joins, createAsked(db));
  const { devices } = options;
  const rejoins = createRejoins({ devices, sessions, sender, store: downlinks, clock, log });
  const sealing = openSealing(ports, db, joins, sessions, rejoins);
  const joining = await openJoins({
    ...{ ...ports, joins, ring, sealing, transmitter, sessions },
    onOffered: ({ devAddr }) => counters.prepare(devAddr),
  });
  const told: Told = { latest: createLatest(), lastHeard: createHeardLast() };
  const readingParts = { store, poster, sender, naming, classC, mac, ring, joins: joining, told };
  const reader = await openReading(ports, readingParts);
  const standsIn = prefix !== '';
  const activation = createActivation({
    ...{ options, reader, counters, store, joins, macs, log },
    ...(standsIn ? whileServing({ store: downlinks, desk, clock, log }) : {}),
  });
  later.activation = activation;
  const retrying = retryParked(store, poster, reading.parkedRetryMs, log);
  opened.push(() => retrying.stop());
  const conflicts = createConflictStore(db);
  const waiting: WaitingPorts = {
    ...{ store: downlinks, counters, reach, prefix },
    devAddrOf: (devEui) => sessions()?.currentOf(devEui)?.devAddr,
    isRejoining: (devEui) =>
      activation.sessions !== undefined && isRejoining(activation.sessions, devEui, clock.now()),
    checkMaySend: (device, isEncrypted) => activation.checkMaySend(device, isEncrypted),
  };
  const waitOf: South['waitOf'] = (device, downlink) => waitsFor(waiting, device, downlink);
  const gapOf: South['gapOf'] = (devAddr) => counters.gap(devAddr);
  const macHome = createMacHome({
    ...{ db, store: macs, mac, sessions, clock, log },
    keep: (session) => reader.keepMac(session),
  });
  if (standsIn) {
    const onTaken = ({ device: { devEui }, devAddr }: Session): void => {
      counters.prepare(devAddr);
      classC.poke(devEui);
    };
    const about = { devices, sessions, mac, changes, entrusting, onTaken };
    const telling = await openMacTelling({ ...about, bus, prefix, log });
    opened.push(() => telling.close());
    const { checkMaySend } = waiting;
    const asked = await openDownlinksAsked({ bus, prefix, log, devices, naming, waitOf, checkMaySend });
    opened.push(() => asked.close());
  }
  const writeMacs: South['writeMacs'] = (told) => {
    inTransaction(db, () => {
      for (const session of told) macs.put(session.id, mac.stateOf(session));
    });
    // what waits to be written is no older one
    for (const session of told) reader.keepMac(session);
  };
  const { server: joinServer, home: joinHome, unserved } = joining;
  const joined = { joinServer, joinHome, unserved, standsIn };
  const parts = {
    writeMacs,
    activation,
    reader,
    sender,
    mac,
    changes,
    macHome,
    entrusting,
    naming,
    encryptFor: createHolder({ store: downlinks, sessions }),
    ...joined,
    poster,
    store,
  };
  return { ...parts, downlinks, conflicts, waitOf, gapOf, sealing, ...told };
}
