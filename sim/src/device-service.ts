import type { CounterBlock, DownlinkRefusal, gapState } from '@antirio/service-contract';
import type { Engine } from './engine.ts';
import { counterOf, seal, type Frame, type Session, type Verifies } from './frames.ts';
import type { Host } from './host.ts';
import type { Ring, RingFrame } from './ring.ts';

/** What the service keeps on the disk. */
export interface ServiceDisk {
  /** Everything of the ring up to here is done. */
  cursor: number;
  /** By DevEUI. */
  readonly highestUp: Map<string, number>;
  /** By DevAddr: durable before the frame leaves. */
  readonly downUsed: Map<string, number>;
  /** The highest FCntDown that the device surely heard, by DevAddr; -1: none of this session. */
  readonly proven: Map<string, number>;
}

export const emptyService = (): ServiceDisk => ({
  cursor: 0,
  highestUp: new Map(),
  downUsed: new Map(),
  proven: new Map(),
});

export interface StoredEvent {
  readonly devEui: string;
  readonly fcnt: number;
  readonly payload: number;
}

/** The edge's core-data: events by their ids, each on the disk when it is acknowledged. */
export type CoreData = Map<string, StoredEvent>;

export interface ServicePorts {
  readonly engine: Engine;
  readonly host: Host;
  readonly disk: ServiceDisk;
  readonly ring: Ring;
  readonly coreData: CoreData;
  readonly sessions: readonly Session[];
  readonly verifies: Verifies;
  readonly eventIdOf: (event: StoredEvent, session: string) => string;
  /** Whether a fresh uplink gets an answer. */
  readonly answers: () => boolean;
  /** Between two commands to a device that listens always (class C). */
  readonly commandsEveryMs: number;
  readonly standsFor: (devAddr: string) => number;
  readonly gapState: typeof gapState;
  readonly send: (
    frame: Frame,
    fcnt: number,
    airAt: number,
    answer: (refusal: DownlinkRefusal | undefined) => void,
  ) => void;
  readonly askCounters: (
    requestId: string,
    devAddr: string,
    above: number,
    proven: number | undefined,
  ) => void;
}

/** The customer's device service, on its own edge or as a guest: accepts by MIC and identity, answers what it just heard. */
export interface DeviceService {
  /** Once, when the process starts. */
  begin(): void;
  activate(): void;
  standDown(): void;
  /** New frames are in the ring. */
  poke(): void;
  onGrant(devAddr: string, block: CounterBlock, proven: number | undefined): void;
}

/** Only frames heard this recently are answered: a backlog frame's windows are over. */
const LIVE_MS = 800;
const RX1_MS = 1000;
const ASK_AGAIN_MS = 1000;
/** What the disk does not take is brought to it again. */
const ROOM_MS = 300;
const MAX_LEAD_MS = 2980;

interface Block {
  next: number;
  readonly last: number;
}

export function createDeviceService(ports: ServicePorts): DeviceService {
  const { engine, host, disk, ring, coreData, sessions } = ports;
  const { dice } = host;
  const blocks = new Map<string, Block>();
  const asked = new Map<string, number>();
  /** An answer that lacks its counter. */
  const waiting = new Map<string, { readonly session: Session; readonly heardAt: number }>();
  let active = false;
  let busy = false;
  let requests = 0;

  const ask = (devAddr: string): void => {
    const now = host.clock.monotonic();
    if (now - (asked.get(devAddr) ?? -Infinity) < ASK_AGAIN_MS || isExhausted(devAddr)) return;
    asked.set(devAddr, now);
    requests += 1;
    const above = disk.downUsed.get(devAddr) ?? -1;
    ports.askCounters(`${host.name}-${requests}`, devAddr, above, disk.proven.get(devAddr));
  };
  /** So many counters since it last proved that it hears us that it gets no more. */
  const isExhausted = (devAddr: string): boolean => {
    const proven = disk.proven.get(devAddr);
    const next = blocks.get(devAddr)?.next ?? (disk.downUsed.get(devAddr) ?? -1) + 1;
    return proven !== undefined && ports.gapState({ next, proven }) === 'exhausted';
  };
  const prove = (devAddr: string, fcnt: number): void => {
    if (host.full || fcnt <= (disk.proven.get(devAddr) ?? -2)) return;
    disk.proven.set(devAddr, fcnt);
    host.wrote('counter proven');
  };
  const takeCounter = (devAddr: string): number | undefined => {
    const block = blocks.get(devAddr);
    if (block === undefined || isExhausted(devAddr)) return undefined;
    const fcnt = block.next;
    block.next += 1;
    if (block.next > block.last) blocks.delete(devAddr);
    return fcnt;
  };
  const transmit = (session: Session, fcnt: number, airAt: number): void => {
    const { devAddr } = session;
    if (host.full) return;
    const more = ports.standsFor(devAddr);
    disk.downUsed.set(devAddr, Math.max(fcnt + more, disk.downUsed.get(devAddr) ?? -1));
    host.wrote('counter used');
    if (more > 0) blocks.delete(devAddr);
    const frame = seal(session, 'down', fcnt, dice.below(1 << 16));
    host.after(dice.between(0.2, 4), () => {
      ports.send(frame, fcnt, airAt, (refusal) => {
        if (refusal === 'noBlock') blocks.delete(devAddr);
      });
    });
  };
  const answer = (session: Session, heardAt: number): void => {
    const { devAddr } = session;
    const fcnt = takeCounter(devAddr);
    if (fcnt !== undefined) transmit(session, fcnt, heardAt + RX1_MS);
    else {
      waiting.set(devAddr, { session, heardAt });
      ask(devAddr);
    }
  };
  const command = (): void => {
    host.after(ports.commandsEveryMs * dice.between(0.5, 1.5), command);
    const session = sessions[dice.below(sessions.length)];
    if (!active || session === undefined) return;
    const fcnt = takeCounter(session.devAddr);
    // timed as everything is, and often as far ahead as the fence lets pass
    const lead = dice.chance(0.5)
      ? dice.between(MAX_LEAD_MS - 60, MAX_LEAD_MS)
      : dice.between(100, MAX_LEAD_MS);
    if (fcnt === undefined) ask(session.devAddr);
    else transmit(session, fcnt, engine.now + lead);
  };
  const accept = (session: Session, fcnt: number, { frame, radio, heardAt }: RingFrame): void => {
    const event: StoredEvent = { devEui: session.devEui, fcnt, payload: frame.payload };
    const id = ports.eventIdOf(event, session.fingerprint);
    if (!coreData.has(id)) {
      coreData.set(id, event);
      host.wrote('event');
    }
    const highest = disk.highestUp.get(session.devEui);
    const newest = Math.max(fcnt, highest ?? 0);
    disk.highestUp.set(session.devEui, newest);
    ring.mark(session.devAddr, { session: session.fingerprint, resets: 0, fcnt: newest });
    if (frame.heard !== undefined && frame.heard >= 0) prove(session.devAddr, frame.heard);
    const fresh = radio && engine.now - heardAt < LIVE_MS && (highest === undefined || fcnt > highest);
    if (fresh && ports.answers()) answer(session, heardAt);
  };
  const process = (record: RingFrame): void => {
    const { frame } = record;
    for (const session of sessions) {
      if (session.devAddr !== frame.devAddr) continue;
      const fcnt = counterOf(frame, session, disk.highestUp.get(session.devEui), ports.verifies);
      if (fcnt !== undefined) accept(session, fcnt, record);
    }
    disk.cursor = record.seq;
    host.wrote('cursor');
  };
  const work = (): void => {
    // what its owner has acknowledged is not read again here
    const next = active ? ring.at(Math.max(disk.cursor, ring.acknowledged) + 1) : undefined;
    busy = next !== undefined;
    if (next === undefined) return;
    host.after(host.full ? ROOM_MS : dice.between(0.3, 2), () => {
      if (active && !host.full) process(next);
      work();
    });
  };
  return {
    begin: command,
    activate() {
      active = true;
      if (!busy) work();
    },
    standDown() {
      active = false;
      blocks.clear();
      asked.clear();
      waiting.clear();
    },
    poke() {
      if (!busy) work();
    },
    onGrant(devAddr, { first, last }, proven) {
      asked.delete(devAddr);
      // who says nothing of it knows nothing of a device that was deaf
      if (proven !== undefined || !disk.proven.has(devAddr)) prove(devAddr, proven ?? first - 1);
      const next = Math.max(first, (disk.downUsed.get(devAddr) ?? -1) + 1);
      if (next <= last) blocks.set(devAddr, { next, last });
      const late = waiting.get(devAddr);
      waiting.delete(devAddr);
      if (late !== undefined && engine.now - late.heardAt < LIVE_MS) answer(late.session, late.heardAt);
    },
  };
}
