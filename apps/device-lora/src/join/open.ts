import type { Bus, Log } from '@antirio/host';
import type { Clock, Random } from '@antirio/kernel';
import type { Transmitter } from '../downlink/transmitter.ts';
import type { DeviceLoraOptions } from '../options.ts';
import type { OwnRing } from '../own-ring.ts';
import type { Sealing } from '../seal/sealing.ts';
import type { JoinHeard } from '../uplink/event-up.ts';
import type { SessionBook } from '../uplink/session-book.ts';
import type { Session } from '../uplink/sessions.ts';
import { openStandIn, ownAuthority } from './authority.ts';
import { createJoinHome, type JoinHome } from './home.ts';
import { createJoinServer, type JoinAuthority, type JoinServer } from './join-server.ts';
import type { JoinStore } from './store.ts';
import { createUnservedJoins, type UnservedJoins } from './unserved.ts';

export interface OpenJoinsPorts {
  readonly options: DeviceLoraOptions;
  readonly joins: JoinStore;
  readonly ring: OwnRing | undefined;
  readonly sealing: Sealing | undefined;
  readonly transmitter: Transmitter;
  readonly sessions: () => SessionBook | undefined;
  readonly onOffered: (session: Session) => void;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Takes what is to be closed; it is closed in the opposite order. */
  readonly opened: (() => unknown)[];
}

/** What becomes of JoinRequests here, and of those that others answered. */
export interface Joins {
  readonly server: JoinServer | undefined;
  readonly unserved: UnservedJoins;
  /** Undefined where this is not the devices' own edge. */
  readonly home: JoinHome | undefined;
  heard(join: JoinHeard): void;
}

/**
 * Joins are served where the ring is ours to fill, and where we stand in for the devices' own edge and were given their root keys:
 * elsewhere a device could not be heard with its new address.
 */
export async function openJoins(ports: OpenJoinsPorts): Promise<Joins> {
  const { options, ring, sealing, sessions, clock, opened } = ports;
  const unserved = createUnservedJoins(options.devices, clock);
  const serve = (authority: JoinAuthority): JoinServer => {
    const onUnserved = (join: JoinHeard): void => unserved.heard(join);
    const server = createJoinServer({ ...ports, authority, onUnserved });
    opened.push(() => server.close());
    return server;
  };
  if (ring !== undefined) {
    const ensureRing = (): Promise<void> => ring.ensure();
    const seal = sealing === undefined ? undefined : sealing.seal.bind(sealing);
    const server = serve(ownAuthority({ options, ensureRing, seal }));
    const announce = (): void => sealing?.announce();
    const home = createJoinHome({ ...ports, ensureRing, announce });
    return { server, unserved, home, heard: (join) => server.heard(join) };
  }
  if (options.prefix === '')
    return { server: undefined, unserved, home: undefined, heard: (join) => unserved.heard(join) };
  const standIn = await openStandIn({ ...ports, prefix: options.prefix });
  opened.push(() => standIn.close());
  const server = serve(standIn);
  const heard = (join: JoinHeard): void => (sessions()?.hasRootKeys === true ? server : unserved).heard(join);
  return { server, unserved, home: undefined, heard };
}
