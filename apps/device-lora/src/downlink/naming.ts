import { AntirioError, equalBytes, type Clock } from '@antirio/kernel';
import { eu868, type DevAddr, type DevEui, type SessionId } from '@antirio/lorawan';
import { gapOf, gapState } from '@antirio/service-contract';
import type { MacLayer } from '../mac/mac-layer.ts';
import type { DeviceOptions } from '../options.ts';
import type { HeardUplink } from '../uplink/reader.ts';
import type { SessionBook } from '../uplink/session-book.ts';
import type { Session } from '../uplink/sessions.ts';
import type { DownCounters } from './counters.ts';
import { ENCRYPT_AGAIN } from './desk.ts';
import type { DownlinkSender } from './sender.ts';
import type { Downlink, DownlinkStore } from './store.ts';

/** A counter that whoever has the AppSKey encrypts one payload for. */
export interface NamedCounter {
  readonly devEui: DevEui;
  readonly devAddr: DevAddr;
  readonly session: SessionId;
  readonly fCntDown: number;
  /** Bytes that fit RX2; RX1 may take more. */
  readonly maxPayload: number;
  /** Wall ms: what comes later is not taken. */
  readonly expiresAt: number;
}

/** A payload that was encrypted for a counter that was named. */
export interface EncryptedDownlink {
  readonly session: SessionId;
  readonly fCntDown: number;
  readonly payload: Uint8Array;
  readonly fPort: number;
  readonly confirmed: boolean;
}

/**
 * Downlinks whose payloads are encrypted where the AppSKey is, for counters that are named here: each to one who asks, once, and for
 * one payload.
 */
export interface Naming {
  /**
   * Names a counter, durably used when it is told. `requestId`: the same one again gives the same counter, for an answer that was lost.
   * `isServed`: who asks knows that this edge holds the device's epoch now; what its newest uplink told may be of hours before.
   * @throws AntirioError conflict | unavailable | busy
   */
  name(device: DeviceOptions, requestId: string | undefined, isServed?: boolean): Promise<NamedCounter>;
  /**
   * Queues; the same once more is the same downlink.
   * @throws AntirioError gone where it has to be encrypted for another counter; conflict where another payload has it; as the sender's.
   */
  queue(device: DeviceOptions, encrypted: EncryptedDownlink): Downlink;
  /** What became of the one that took this counter; undefined where none has. */
  find(device: DeviceOptions, session: SessionId, fCntDown: number): Downlink | undefined;
  /** It tells whether this edge may act for its device. */
  heard(heard: HeardUplink): void;
}

export interface NamingPorts {
  readonly store: DownlinkStore;
  readonly counters: Pick<DownCounters, 'wait' | 'gap'>;
  readonly sender: Pick<DownlinkSender, 'queue'>;
  readonly mac: Pick<MacLayer, 'stateOf'>;
  readonly sessions: () => SessionBook | undefined;
  readonly clock: Clock;
}

/** Whoever encrypts needs seconds. */
const NAMED_MS = 300_000;
/** Each that is not used is a step towards the gap at which a device goes deaf: this many in that time. */
const MOST_NAMED = 4;
const GRANT_MS = 2000;
/** As the store keeps them. */
const KEPT = 50;
const ANY_UPLINK = { frequency: 868_100_000, spreadingFactor: 12, bandwidth: 125_000 };

const isSame = (one: Downlink, { payload, fPort, confirmed }: EncryptedDownlink): boolean =>
  equalBytes(one.payload, payload) && one.fPort === fPort && one.confirmed === confirmed;

export function createNaming(ports: NamingPorts): Naming {
  const { store, counters, sender, mac, sessions, clock } = ports;
  /** Devices in whose newest uplink the gateway-bridge said that this edge may not act. */
  const elsewhere = new Set<DevEui>();
  /** One at a time for each device: its bound holds for those that ask at the same time. */
  const turns = new Map<DevEui, Promise<unknown>>();

  const sessionOf = ({ devEui, name, network }: DeviceOptions): Session => {
    if (network !== 'own')
      throw new AntirioError('notImplemented', `the counters of ${name} are its network server's to name`);
    const session = sessions()?.currentOf(devEui);
    if (session === undefined) throw new AntirioError('unavailable', `${name} has no session here`);
    return session;
  };
  const checkTurn = ({ device: { devEui, name }, devAddr }: Session, isServed: boolean): void => {
    if (!isServed && elsewhere.has(devEui))
      throw new AntirioError('conflict', `this edge may not act for ${name} now: ask the one that serves it`);
    const gap = counters.gap(devAddr);
    if (gap !== undefined && gapState(gap) === 'exhausted')
      throw new AntirioError(
        'unavailable',
        `downlinkExhausted: ${name} has not shown that it heard any of the last ${gapOf(gap)} counters`,
      );
  };
  const told = (session: Session, fCntDown: number, expiresAt: number): NamedCounter => {
    const { device, devAddr, id } = session;
    const [, rx2] = eu868.receiveWindows(ANY_UPLINK, mac.stateOf(session));
    const maxPayload = eu868.maxPayload(rx2);
    return { devEui: device.devEui, devAddr, session: id, fCntDown, maxPayload, expiresAt };
  };
  const nameNow = async (
    device: DeviceOptions,
    requestId: string | undefined,
    isServed: boolean,
  ): Promise<NamedCounter> => {
    const session = sessionOf(device);
    const { devAddr, id } = session;
    checkTurn(session, isServed);
    const { devEui, name } = device;
    const named = store.named(devEui, clock.now());
    const before = named.find((one) => one.session === id && one.requestId === requestId);
    if (before !== undefined && requestId !== undefined) return told(session, before.fcnt, before.expiresAt);
    if (named.length >= MOST_NAMED)
      throw new AntirioError('busy', `${MOST_NAMED} counters of ${name} are named and not used yet`, {
        retryAt: named[0]?.expiresAt,
      });
    const fcnt = await counters.wait(devAddr, GRANT_MS);
    if (fcnt === undefined)
      throw new AntirioError('unavailable', `no counter of ${name} was granted: does this edge serve it?`);
    // who stands down meanwhile names none
    if (sessions()?.currentOf(devEui) !== session)
      throw new AntirioError('unavailable', `${name} has another session since: ask again`);
    const now = clock.now();
    const expiresAt = now + NAMED_MS;
    store.name(devAddr, { session: id, fcnt, devEui, requestId, expiresAt }, now);
    return told(session, fcnt, expiresAt);
  };
  const find: Naming['find'] = ({ devEui }, session, fCntDown) =>
    store
      .latest(devEui, KEPT)
      .find((one) => one.isEncrypted && one.session === session && one.fcnt === fCntDown);
  return {
    find,
    name(device, requestId, isServed = false) {
      const { devEui } = device;
      const turn = (turns.get(devEui) ?? Promise.resolve())
        .catch(() => undefined)
        .then(() => nameNow(device, requestId, isServed));
      turns.set(devEui, turn);
      const done = (): void => {
        if (turns.get(devEui) === turn) turns.delete(devEui);
      };
      turn.then(done, done);
      return turn;
    },
    queue(device, encrypted) {
      const { session: id, fCntDown, payload, fPort, confirmed } = encrypted;
      const { devEui, name } = device;
      const session = sessionOf(device);
      const details = { fCntDown };
      const before = find(device, id, fCntDown);
      if (before !== undefined) {
        if (isSame(before, encrypted)) return before;
        throw new AntirioError('conflict', `counter ${fCntDown} of ${name} has another payload`, details);
      }
      if (session.id !== id)
        throw new AntirioError('gone', `${name} has another session: encrypt it again for that`, details);
      const isNamed = store
        .named(devEui, clock.now())
        .some((one) => one.session === id && one.fcnt === fCntDown);
      if (!isNamed)
        throw new AntirioError('gone', `counter ${fCntDown} of ${name} is not named (any more)`, details);
      if ((store.highestMade(session.devAddr) ?? -1) > fCntDown)
        throw new AntirioError('gone', ENCRYPT_AGAIN, details);
      const encryptedFor = { session: id, fcnt: fCntDown };
      const content = { devEui, resource: 'downlink', fPort, payload, confirmed, encryptedFor };
      return sender.queue(content, session.devAddr, { replaces: false });
    },
    heard({ session: { device }, uplink: { tenure }, novelty }) {
      if (novelty !== 'new') return;
      if (tenure === '') elsewhere.add(device.devEui);
      else elsewhere.delete(device.devEui);
    },
  };
}
