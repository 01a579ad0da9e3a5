import type { EdgeId } from '@antirio/kernel';
import type {
  BlockBook,
  BlockMark,
  ContractTerms,
  Datagram,
  DownCounters,
  PartyEffect,
  PartyEvent,
  Standing,
  actsFrom,
  judgeDownlink,
  gapState,
  leads,
} from '@antirio/service-contract';
import { keepersOf, providersOf } from '@antirio/service-contract';
import {
  createDeviceService,
  emptyService,
  type CoreData,
  type DeviceService,
  type ServiceDisk,
  type StoredEvent,
} from './device-service.ts';
import type { Engine } from './engine.ts';
import { createFence, emptyFence, type FenceDisk, type SimFence } from './fence.ts';
import type { Session, Verifies } from './frames.ts';
import type { Bridge, Gateway } from './gateway.ts';
import type { Host } from './host.ts';
import type { Lend } from './lent-downlinks.ts';
import { createPartyHost, type PartyHost, type PartyPieces, type Phase } from './party-host.ts';
import type { openRing } from './ring.ts';
import { emptyRing, type Ring, type RingDisk } from './ring.ts';
import type { Sending, strayDriver } from './strays.ts';
import type { Trace } from './trace.ts';

/** Parts of an edge that a mutant may replace. */
export interface EdgePieces extends PartyPieces {
  readonly judgeDownlink: typeof judgeDownlink;
  readonly actsFrom: typeof actsFrom;
  readonly verifies: Verifies;
  readonly eventIdOf: (event: StoredEvent, session: string) => string;
  /** What becomes of the edge's disk when its process dies. */
  readonly afterCrash: (disk: EdgeDisk) => void;
  readonly openRing: typeof openRing;
  readonly leads: typeof leads;
  readonly gapState: typeof gapState;
  /** When blocks are on the disk: at once. */
  readonly keepsBlocks: (write: () => void, host: Host, isOwn: boolean) => void;
}

/** What an edge keeps on its disk. */
export interface EdgeDisk {
  ring: RingDisk;
  fence: FenceDisk;
  service: ServiceDisk;
  coreData: CoreData;
  /** What it knows of the set's blocks of FCntDown, by device and party. */
  readonly blocks: Map<string, Map<EdgeId, BlockMark>>;
  /** A provider's sealed keys, as the customer gave them. */
  keysGiven: boolean;
  /** It hears no gateway and no other ring. */
  deaf: boolean;
  /** Its bridge gives no answer: nothing is heard, filled, sent, fenced or counted. */
  bridgeDead: boolean;
  /** It has more to do than it can. */
  busy: boolean;
  /** An operator lets nothing happen by itself. */
  held: boolean;
  /** Its arbitrator does nothing, until it goes on or the process starts again. */
  hung: boolean;
}

export function emptyDisk(): EdgeDisk {
  return {
    ring: emptyRing(),
    fence: emptyFence(),
    service: emptyService(),
    coreData: new Map(),
    blocks: new Map(),
    keysGiven: false,
    deaf: false,
    bridgeDead: false,
    busy: false,
    held: false,
    hung: false,
  };
}

export interface EdgeOptions {
  readonly tickMs: number;
  readonly observeMs: number;
  readonly answers: () => boolean;
  readonly commandsEveryMs: number;
  /** For how many more downlinks, that were heard no better, each one to this address stands. */
  readonly standsFor: (devAddr: string) => number;
  /** Some downlinks go through the provider's gateway, to see whether the devices hear that. */
  readonly lend?: Lend | undefined;
  /** Takes a downlink that it makes something else of. */
  readonly stray?: ReturnType<typeof strayDriver> | undefined;
  readonly socketMs?: number | undefined;
}

export interface EdgePorts {
  readonly engine: Engine;
  readonly host: Host;
  readonly trace: Trace;
  readonly sessions: readonly Session[];
  readonly disk: EdgeDisk;
  readonly pieces: EdgePieces;
  readonly gateway: Gateway;
  readonly options: EdgeOptions;
  readonly onMayAct: (epoch: number, from: number) => void;
  readonly onPhase: (phase: string) => void;
  /** These blocks of that party are on this edge's disk. */
  readonly onKept: (by: EdgeId, marks: readonly BlockMark[]) => void;
}

/** The rooms of an edge that has just started, and the part of a party. */
export interface Rooms {
  readonly ring: Ring;
  readonly fence: SimFence;
  readonly service: DeviceService;
  readonly gateway: Gateway;
  readonly party: PartyHost;
}

/** What the two roles do differently. */
export interface Role {
  readonly name: 'customer' | 'provider';
  begin(rooms: Rooms): void;
  observe(rooms: Rooms): void;
  execute(
    effect: Exclude<PartyEffect, { type: 'note' | 'keepBlocks' | 'blocksRefused' }>,
    rooms: Rooms,
  ): void;
  askCounters(rooms: Rooms, event: Extract<PartyEvent, { type: 'counterAsked' }>): void;
}

/** A contract of this edge: its part in it, and what of that is on the disk. */
export interface Contracted {
  readonly terms: ContractTerms;
  readonly role: Role;
  readonly disk: { phase: Phase; failures?: number };
}

export interface EdgeNode {
  readonly host: Host;
  readonly disk: EdgeDisk;
  readonly bridge: Bridge;
  readonly gateway: Gateway;
  /** Those of the running process, with the party of its first contract. */
  rooms(): Rooms;
  /** Of all contracts, in their order. */
  parties(): readonly PartyHost[];
  onDatagram(from: EdgeId, datagram: Datagram): void;
  /** Copies what arbitrator, fence and device service have on the disk; the answer brings it back. Frames and events stay. */
  backUp(): () => void;
}

/** Highest FCntDown used, by DevEUI. */
export function countersOf(rooms: Rooms, sessions: readonly Session[]): DownCounters {
  const used = sessions.flatMap(({ devEui, devAddr }) => {
    const highest = rooms.fence.highest(devAddr);
    return highest === undefined ? [] : [[devEui, highest] as const];
  });
  return Object.fromEntries(used);
}

const nobodys: ReadonlyMap<EdgeId, BlockMark> = new Map();

function bookOn({ blocks }: EdgeDisk, devAddrs: readonly string[]): BlockBook {
  return {
    has: (devAddr) => devAddrs.includes(devAddr),
    ofDevice: (devAddr) => blocks.get(devAddr) ?? nobodys,
    all: (by) => devAddrs.flatMap((devAddr) => blocks.get(devAddr)?.get(by) ?? []),
    parties: () => [...new Set([...blocks.values()].flatMap((ofDevice) => [...ofDevice.keys()]))],
  };
}

/** A whole edge in one process: gateway-bridge, device service, core-data, arbitrator. */
export function createEdge(ports: EdgePorts, contracts: readonly [Contracted, ...Contracted[]]): EdgeNode {
  const { engine, host, trace, disk, pieces, gateway, options, sessions } = ports;
  const devAddrs = sessions.map((session) => session.devAddr);
  const [{ terms: its, role: part }] = contracts;
  const own = part.name === 'customer' ? its.customer : its.provider;
  const keepBlocks = (by: EdgeId, marks: readonly BlockMark[]): void => {
    pieces.keepsBlocks(
      () => {
        for (const mark of marks) {
          const ofDevice = disk.blocks.get(mark.devAddr) ?? new Map<EdgeId, BlockMark>();
          disk.blocks.set(mark.devAddr, ofDevice.set(by, mark));
        }
        ports.onKept(by, marks);
        host.wrote('blocks');
      },
      host,
      by === own,
    );
  };

  const open = (): Rooms => {
    const ring = pieces.openRing(host, disk.ring, () => {
      rooms.service.poke();
    });
    const fence = createFence({
      engine,
      host,
      gateway,
      disk: disk.fence,
      judge: pieces.judgeDownlink,
      actsFrom: pieces.actsFrom,
      socketMs: options.socketMs ?? 0,
      onMayAct: ports.onMayAct,
    });
    const service = createDeviceService({
      engine,
      host,
      disk: disk.service,
      ring,
      coreData: disk.coreData,
      sessions,
      verifies: pieces.verifies,
      eventIdOf: pieces.eventIdOf,
      answers: options.answers,
      commandsEveryMs: options.commandsEveryMs,
      standsFor: options.standsFor,
      gapState: pieces.gapState,
      send: (frame, fcnt, airAt, answer) => {
        if (disk.bridgeDead) {
          answer('tooLate');
          return;
        }
        const pass = (what: Sending, done: typeof answer): void => {
          fence.pass(what.frame, what.fcnt, what.airAt, (refusal) => {
            trace.note(
              host.name,
              refusal === undefined ? 'downlink sent' : 'downlink refused',
              () => `${refusal ?? ''} ${what.frame.bytes}`,
              'fine',
            );
            done(refusal);
          });
        };
        const sending = { frame, fcnt, airAt };
        const usual = (): void => {
          if (options.stray?.(sending, pass) !== true) pass(sending, answer);
        };
        if (options.lend?.(fence, frame, fcnt, airAt, usual) !== true) usual();
      },
      askCounters: (requestId, devAddr, above, proven) => {
        const reserved = above < 0 ? -1 : Math.floor(above / 16);
        const leading = standings.findIndex((one) => pieces.leads(one, standings));
        contracts[leading]?.role.askCounters(viewOf(leading), {
          type: 'counterAsked',
          requestId,
          devAddr,
          above: reserved,
          proven,
        });
      },
    });
    return { ring, fence, service, gateway, party: parties[0] };
  };
  /** The rooms as the part in one contract sees them. */
  const viewOf = (i: number): Rooms => ({ ...rooms, party: parties[i] ?? rooms.party });
  const partyOf = ({ terms, role, disk: kept }: Contracted, i: number): PartyHost =>
    createPartyHost({
      host,
      trace,
      terms,
      role: role.name,
      disk: kept,
      pieces,
      tickMs: options.tickMs,
      observeMs: options.observeMs,
      execute: (effect) => {
        role.execute(effect, viewOf(i));
      },
      setFence: (fence) => {
        const standing = standings[i];
        if (disk.bridgeDead || standing === undefined || !pieces.leads(standing, standings)) return;
        rooms.fence.set(devAddrs, fence);
      },
      observe: () => {
        role.observe(viewOf(i));
      },
      onPhase: ports.onPhase,
      ...{ blocks: bookOn(disk, devAddrs), keepBlocks },
      providers: () => providersOf(standings, terms.set.setId),
      keepers: () => keepersOf(standings, terms.set.setId),
      isHung: () => disk.hung,
      siblings: () => parties.filter((_, other) => other !== i).map((one) => one.asSibling()),
    });
  const [first, ...more] = contracts;
  const parties: readonly [PartyHost, ...PartyHost[]] = [
    partyOf(first, 0),
    ...more.map((one, i) => partyOf(one, i + 1)),
  ];
  const standings = contracts.map(({ terms, role }, i): Standing => ({
    terms,
    role: role.name,
    phase: () => (parties[i] ?? parties[0]).phase(),
  }));
  let rooms: Rooms = open();

  host.onStart(() => {
    pieces.afterCrash(disk);
    disk.hung = false;
    rooms = open();
    for (const party of parties) {
      party.start();
      if (disk.held) party.post({ type: 'held', held: true });
    }
    rooms.service.begin();
    contracts.forEach(({ role }, i) => {
      role.begin(viewOf(i));
    });
  });
  return {
    host,
    disk,
    gateway,
    rooms: () => rooms,
    parties: () => parties,
    backUp() {
      const phases = contracts.map((one) => one.disk.phase);
      const { devAddrs: fenced, epoch, slot } = disk.fence;
      const marks = new Map(
        [...disk.fence.marks].map(([at, one]) => [at, { ...one, hashes: new Map(one.hashes) }]),
      );
      const used = new Map(disk.service.downUsed);
      const blocks = new Map([...disk.blocks].map(([at, one]) => [at, new Map(one)]));
      return () => {
        contracts.forEach((one, i) => {
          one.disk.phase = phases[i] ?? one.disk.phase;
        });
        Object.assign(disk.fence, { devAddrs: fenced, epoch, slot });
        disk.fence.marks.clear();
        for (const [at, one] of marks) disk.fence.marks.set(at, { ...one, hashes: new Map(one.hashes) });
        disk.blocks.clear();
        for (const [at, one] of blocks) disk.blocks.set(at, new Map(one));
        disk.service.downUsed.clear();
        for (const [at, fcnt] of used) disk.service.downUsed.set(at, fcnt);
      };
    },
    bridge: {
      push(frame, acknowledge) {
        if (disk.deaf || disk.bridgeDead || !devAddrs.includes(frame.devAddr)) return;
        rooms.ring.take(frame, true, engine.now, () => {
          trace.note(host.name, 'acknowledges', () => frame.bytes, 'fine');
          acknowledge();
        });
      },
    },
    onDatagram(from, datagram) {
      for (const party of parties) party.post({ type: 'datagram', from, datagram });
    },
  };
}
