import { AntirioError, fromHex } from '@antirio/kernel';
import {
  createSessionCipher,
  sessionFingerprint,
  type AppKey,
  type DevAddr,
  type DevEui,
  type SessionId,
  type SessionKeys,
} from '@antirio/lorawan';
import type { JoinedSession, JoinStore } from '../join/store.ts';
import type { DeviceOptions, Secrets } from '../options.ts';
import type { UplinkStore } from '../store.ts';
import { directoryOf } from '../directory.ts';
import { Groups } from './grouped.ts';
import { createMarks } from './marks.ts';
import { commonOf, OpenSession, type Common } from './open-session.ts';
import type { Session, Sessions } from './sessions.ts';

/** The sessions of all devices: those given with the secrets, and those that joins made. */
export interface SessionBook {
  readonly byDevAddr: Sessions;
  /** Oldest first. */
  sessionsOf(devEui: DevEui): readonly Session[];
  /** The one that the device uses, as far as is known: the last one that was heard; undefined where none can be in use. */
  currentOf(devEui: DevEui): Session | undefined;
  /** When its newest session was offered (wall ms), while the device was not heard in it. */
  offeredAt(devEui: DevEui): number | undefined;
  /** The key that the device joins with. */
  rootKeyOf(devEui: DevEui): AppKey | undefined;
  /** Whether there are keys that devices join with at all. */
  readonly hasRootKeys: boolean;
  /** Those that the store let go of for it are let go of here too. */
  add(joined: JoinedSession): Session;
  /** A new frame of this session was heard: earlier ones are over, durably. */
  heard(session: Session): void;
}

export interface SessionBookPorts {
  readonly devices: readonly DeviceOptions[];
  readonly store: UplinkStore;
  readonly joins: JoinStore;
  /** The counter that a session had reached where it was before. */
  readonly floorOf?: (session: SessionId) => number | undefined;
  readonly confidentiality: 'forward' | 'process';
  /** What a device that was just activated listens and sends with. */
  readonly newMac: Common['newMac'];
}

interface Given {
  readonly devAddr: DevAddr;
  readonly nwkSKey: Uint8Array;
  readonly appSKey: Uint8Array | undefined;
  readonly standing: Session['standing'];
}

/** Opens the sessions of the devices that are configured; keys of others are left out. */
export function openSessions(secrets: Secrets, ports: SessionBookPorts): SessionBook {
  const { devices, store, joins, confidentiality, newMac, floorOf } = ports;
  const common = commonOf({ marks: createMarks(store), newMac });
  const { byEui } = directoryOf(devices);
  const byDevAddr = new Groups<DevAddr, OpenSession>();
  const ofDevice = new Groups<DevEui, OpenSession>();
  const currentOf = (devEui: DevEui): OpenSession | undefined =>
    ofDevice.get(devEui)?.find(({ inUse }) => inUse);
  const offers = new Map<OpenSession, number>();
  const use = (session: OpenSession): void => {
    for (const other of ofDevice.get(session.device.devEui) ?? []) other.inUse = false;
    session.inUse = true;
  };
  const rootKeys = new Map(secrets.rootKeys.map(({ devEui, key }) => [devEui, key]));

  const keysOf = ({ nwkSKey, appSKey }: Given): SessionKeys =>
    confidentiality === 'process' && appSKey !== undefined ? { nwkSKey, appSKey } : { nwkSKey };
  const open = (device: DeviceOptions, given: Given): OpenSession => {
    const { devAddr, nwkSKey, standing } = given;
    const id = sessionFingerprint(nwkSKey, devAddr);
    const session = new OpenSession(
      {
        ...{ id, device, devAddr, standing },
        cipher: createSessionCipher(keysOf(given)),
        seen: store.seen(id),
        floor: floorOf?.(id),
        digests: device.mayReset ? new Set(store.digests(id)) : undefined,
      },
      common,
    );
    byDevAddr.add(devAddr, session);
    ofDevice.add(device.devEui, session);
    if (standing === 'given' || standing === 'current') use(session);
    return session;
  };

  const openJoined = (device: DeviceOptions, joined: JoinedSession): OpenSession => {
    const session = open(device, { ...joined, standing: joined.state });
    if (joined.state === 'offered') offers.set(session, joined.joinedAt);
    return session;
  };
  const drop = (session: OpenSession): void => {
    offers.delete(session);
    byDevAddr.delete(session.devAddr, session);
    ofDevice.delete(session.device.devEui, session);
    // a frame of it that is on its way still changes nothing
    session.standing = 'former';
  };

  for (const { devEui, devAddr, nwkSKey, appSKey } of secrets.sessions) {
    const device = byEui.get(devEui);
    if (device === undefined) continue;
    const keys = {
      nwkSKey: fromHex(nwkSKey, 16),
      appSKey: appSKey === undefined ? undefined : fromHex(appSKey, 16),
    };
    open(device, { ...keys, devAddr, standing: 'given' });
  }
  for (const joined of joins.all()) {
    const device = byEui.get(joined.devEui);
    // without its root key a device is not ours to read
    if (device?.activation !== 'otaa' || !rootKeys.has(joined.devEui)) continue;
    // one that we made as its edge's stand-in, and that edge has given us since
    if (ofDevice.get(joined.devEui)?.some(({ id }) => id === joined.session) !== true)
      openJoined(device, joined);
  }

  return {
    byDevAddr,
    sessionsOf: (devEui) => ofDevice.get(devEui) ?? [],
    currentOf,
    offeredAt: (devEui) => {
      const newest = ofDevice.get(devEui)?.at(-1);
      return newest?.standing === 'offered' ? offers.get(newest) : undefined;
    },
    hasRootKeys: rootKeys.size > 0,
    rootKeyOf: (devEui) => (byEui.get(devEui)?.activation === 'otaa' ? rootKeys.get(devEui) : undefined),
    add(joined) {
      const device = byEui.get(joined.devEui);
      if (device === undefined) throw new AntirioError('notFound', `no device ${joined.devEui}`);
      const added = openJoined(device, joined);
      const kept = joins.keptOf(device.devEui);
      for (const one of ofDevice.get(device.devEui) ?? [])
        if (one.standing !== 'given' && !kept.has(one.id)) drop(one);
      return added;
    },
    heard(heard) {
      const { devEui } = heard.device;
      const session = ofDevice.get(devEui)?.find((one) => one === heard);
      if (session === undefined || session.standing === 'former' || session.inUse) return;
      if (session.standing === 'offered') {
        joins.confirm(session.id);
        offers.delete(session);
        for (const other of ofDevice.get(devEui) ?? []) {
          if (other === session) break;
          if (other.standing !== 'given') other.standing = 'former';
        }
        session.standing = 'current';
      }
      use(session);
    },
  };
}
