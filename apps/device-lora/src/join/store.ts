import { inTransaction, type Database } from '@antirio/host';
import { createMacStore } from '../mac/store.ts';
import { blockIndexOf, blockOf, nextBlock, SLOTS, slotOf } from '@antirio/service-contract';
import {
  devNoncesUnder,
  newDevNonces,
  uniteDevNonces,
  useDevNonce,
  type DevAddr,
  type DevEui,
  type DevNonces,
  type EvidentJoin,
  type MacState,
  type SessionId,
} from '@antirio/lorawan';

/**
 * `offered`: a JoinAccept may have been sent. `current`: the device was heard with it. `former`: it was heard with a later one; what
 * comes out of a backlog is still read.
 */
export type JoinedState = 'offered' | 'current' | 'former';

/** A session that a join made. */
export interface JoinedSession {
  readonly session: SessionId;
  readonly devEui: DevEui;
  readonly devAddr: DevAddr;
  readonly nwkSKey: Uint8Array;
  readonly appSKey: Uint8Array;
  readonly devNonce: number;
  readonly joinNonce: number;
  readonly state: JoinedState;
  /** Wall ms. */
  readonly joinedAt: number;
  /** Another edge answered the join in our place. */
  readonly broughtHome?: true;
}

export type NewSession = Pick<JoinedSession, 'session' | 'devAddr' | 'nwkSKey' | 'appSKey'> & {
  /** What the device is told in the JoinAccept. */
  readonly mac: MacState;
};

/** Who asks to join, with a DevNonce that is authentic. */
export interface Joining {
  readonly devEui: DevEui;
  readonly devNonce: number;
  readonly rule: DevNonces['rule'];
  /** Whose JoinNonces are used: the owner's where nothing is said. */
  readonly slot?: number | undefined;
  /** A JoinNonce that was used elsewhere. */
  readonly above?: number | undefined;
}

/** What of a device's joins is used up, whoever answered them. */
export interface JoinReservation {
  readonly devEui: DevEui;
  /** The highest JoinNonce. */
  readonly joinNonce: number;
  readonly devNonces: DevNonces;
}

/**
 * `replay`: of a JoinRequest that a session of ours was heard of, or under a JoinNonce that was used. `badNonce`: its JoinNonce is one
 * of ours, or further ahead than joins are.
 */
export type BroughtHome = 'taken' | 'known' | 'replay' | 'badNonce';

/** What must never be forgotten of joins: nonces and sessions. */
export interface JoinStore {
  all(): JoinedSession[];
  /** The sessions of a device that are kept: each join may let go of an older one. */
  keptOf(devEui: DevEui): ReadonlySet<SessionId>;
  /**
   * Uses the DevNonce and a new JoinNonce, and keeps the session that `make` derives from them: one commit, durable when this
   * returns. Undefined where the DevNonce is not to be accepted (any more).
   */
  accept(joining: Joining, now: number, make: (joinNonce: number) => NewSession): JoinedSession | undefined;
  /** Whether a join was ever given this address. */
  wasGiven(devAddr: DevAddr): boolean;
  /** The device was heard with this session: earlier ones are former ones. */
  confirm(session: SessionId): void;
  /** What is used up of all devices that ever joined, in few ranges each: nothing of it is forgotten. */
  reservations(): JoinReservation[];
  /** What another edge has used up is so here too, durably. */
  reserve(used: readonly JoinReservation[]): void;
  /**
   * Takes a session that another edge made in our place, with what it used up: one commit, durable when this returns.
   * The same again changes nothing. `at`: wall ms of when it came, here.
   */
  bringHome(
    join: EvidentJoin,
    about: { readonly rule: DevNonces['rule']; readonly at: number },
    mac: MacState,
  ): BroughtHome;
}

/** Sessions kept of each device, for frames that come late. */
const KEPT = 8;
/** Of those that another edge made: what was sent under them comes home after them all. Its limit of 64 begins anew with each epoch. */
const KEPT_HOME = 256;
const HOME_LATE_MS = 8 * 86_400_000;
/** JoinNonces between one join and the next: there are 24 bits of them, and no more for ever. */
const MOST_AHEAD = 1024;
/** Ranges of used DevNonces that others are told of a device, and of all devices together: sealed keys have a limit. */
const RANGES_TOLD = 64;
const RANGES_OF_ALL = 12_000;
/** JoinNonces go by the slots of FCntDown, so that two edges never use one: the first is the owner's. */
const OWN_SLOT = 0;

/**
 * The JoinNonce after the highest one known: never 0, which devices of LoRaWAN 1.0.4 refuse at their first join. Who stands in for the
 * owner begins one round of blocks higher, as the owner may have used some that it could tell nobody of.
 */
export function joinNonceAfter(highest: number, slot = OWN_SLOT): number {
  const next = Math.max(1, highest + 1);
  if (slotOf(next) === slot && (slot === OWN_SLOT || slotOf(highest) === slot)) return next;
  const ahead = slot === OWN_SLOT || slotOf(highest) === slot ? 0 : SLOTS;
  return blockOf(nextBlock(slot, blockIndexOf(next) - 1 + ahead)).first;
}

function toJoined(row: Record<string, unknown>): JoinedSession {
  return {
    session: String(row['session']) as SessionId,
    devEui: String(row['devEui']) as DevEui,
    devAddr: String(row['devAddr']) as DevAddr,
    nwkSKey: row['nwkSKey'] as Uint8Array,
    appSKey: row['appSKey'] as Uint8Array,
    devNonce: Number(row['devNonce']),
    joinNonce: Number(row['joinNonce']),
    state: String(row['state']) as JoinedState,
    joinedAt: Number(row['joinedAt']),
    ...(row['broughtHome'] === 1 ? { broughtHome: true } : {}),
  };
}

export function createJoinStore(db: Database): JoinStore {
  const all = db.prepare('SELECT * FROM joined ORDER BY devEui, joinNonce');
  const kept = db.prepare('SELECT session FROM joined WHERE devEui = ?');
  const getNonces = db.prepare('SELECT nonces FROM dev_nonces WHERE devEui = ?');
  const putNonces = db.prepare(
    'INSERT INTO dev_nonces VALUES (?, ?) ON CONFLICT DO UPDATE SET nonces = excluded.nonces',
  );
  const macs = createMacStore(db);
  const dropMac = db.prepare('DELETE FROM mac WHERE session = ?');
  const highestOf = db.prepare('SELECT highest FROM join_nonce WHERE devEui = ?');
  const putHighest = db.prepare(
    'INSERT INTO join_nonce VALUES (?, ?) ON CONFLICT DO UPDATE SET highest = excluded.highest',
  );
  const insert = db.prepare(
    `INSERT INTO joined (session, devEui, devAddr, nwkSKey, appSKey, devNonce, joinNonce, state, joinedAt, broughtHome)
     VALUES (?, ?, ?, ?, ?, ?, ?, 'offered', ?, ?)`,
  );
  const allReserved = db.prepare(
    'SELECT devEui, nonces, highest FROM dev_nonces LEFT JOIN join_nonce USING (devEui) ORDER BY devEui',
  );
  const isKnown = db.prepare('SELECT 1 FROM joined WHERE session = ?');
  /** That of a session that a JoinRequest has led to, and that the device was heard in; or another one under the same JoinNonce. */
  const contradicts = db.prepare(
    `SELECT 1 FROM joined AS one WHERE devEui = ? AND (joinNonce = ? OR (devNonce = ? AND
     (state = 'current' OR EXISTS (SELECT 1 FROM seen WHERE seen.session = one.session))))`,
  );
  const giveAddress = db.prepare('INSERT INTO given_address VALUES (?) ON CONFLICT DO NOTHING');
  const isGiven = db.prepare('SELECT 1 FROM given_address WHERE devAddr = ?');
  const newest = `SELECT joinNonce FROM joined WHERE devEui = one.devEui AND broughtHome = one.broughtHome
     ORDER BY joinNonce DESC LIMIT`;
  const prune = db.prepare(
    `DELETE FROM joined AS one WHERE devEui = ? AND state <> 'current' AND joinNonce NOT IN (${newest} ${KEPT})
     AND (broughtHome = 0 OR joinedAt < ? OR joinNonce NOT IN (${newest} ${KEPT_HOME})) RETURNING session`,
  );
  const supersede = db.prepare(
    `UPDATE joined SET state = 'former' WHERE state <> 'former' AND
     joinNonce < (SELECT joinNonce FROM joined WHERE session = ?) AND devEui = (SELECT devEui FROM joined WHERE session = ?)`,
  );
  const makeCurrent = db.prepare(
    `UPDATE joined SET state = 'current' WHERE session = ? AND state = 'offered'`,
  );

  const noncesOf = (devEui: DevEui, rule: DevNonces['rule']): DevNonces => {
    const row = getNonces.get(devEui);
    return row === undefined
      ? newDevNonces(rule)
      : devNoncesUnder(JSON.parse(String(row['nonces'])) as DevNonces, rule);
  };
  const usedOf = (devEui: DevEui): number => Number(highestOf.get(devEui)?.['highest'] ?? 0);
  const use = ({ devEui, joinNonce, devNonces }: JoinReservation): void => {
    putNonces.run(devEui, JSON.stringify(devNonces));
    putHighest.run(devEui, Math.max(usedOf(devEui), joinNonce));
  };
  type Kept = Omit<JoinedSession, 'state'> & Pick<NewSession, 'mac'>;
  const keep = ({ mac, ...one }: Kept, now: number): void => {
    const { session, devEui, devAddr, nwkSKey, appSKey, devNonce, joinNonce, joinedAt, broughtHome } = one;
    const isHome = broughtHome === true ? 1 : 0;
    insert.run(session, devEui, devAddr, nwkSKey, appSKey, devNonce, joinNonce, joinedAt, isHome);
    macs.put(session, mac);
    giveAddress.run(devAddr);
    for (const row of prune.all(devEui, now - HOME_LATE_MS)) dropMac.run(row['session'] ?? null);
  };
  return {
    all: () => all.all().map(toJoined),
    keptOf: (devEui) => new Set(kept.all(devEui).map((row) => String(row['session']) as SessionId)),
    accept: ({ devEui, devNonce, rule, slot, above = 0 }, now, make) =>
      inTransaction(db, () => {
        const devNonces = useDevNonce(noncesOf(devEui, rule), devNonce);
        if (devNonces === undefined) return undefined;
        const joinNonce = joinNonceAfter(Math.max(usedOf(devEui), above), slot);
        use({ devEui, joinNonce, devNonces });
        const { mac, ...made } = make(joinNonce);
        const joined = { ...made, devEui, devNonce, joinNonce, joinedAt: now };
        keep({ ...joined, mac }, now);
        return { ...joined, state: 'offered' } as const;
      }),
    reservations() {
      const rows = allReserved.all();
      const most = Math.max(1, Math.min(RANGES_TOLD, Math.floor(RANGES_OF_ALL / rows.length)));
      return rows.map((row) => {
        const known = JSON.parse(String(row['nonces'])) as DevNonces;
        const devNonces = uniteDevNonces(known, newDevNonces(known.rule), most);
        return { devEui: String(row['devEui']) as DevEui, joinNonce: Number(row['highest'] ?? 0), devNonces };
      });
    },
    reserve: (used) =>
      inTransaction(db, () => {
        for (const { devEui, joinNonce, devNonces } of used)
          use({ devEui, joinNonce, devNonces: uniteDevNonces(devNonces, noncesOf(devEui, devNonces.rule)) });
      }),
    bringHome: ({ accept: _told, joinEui: _eui, ...join }, { rule, at }, mac) =>
      inTransaction(db, () => {
        const { session, devEui, joinNonce, devNonce } = join;
        if (isKnown.get(session) !== undefined) return 'known';
        if (slotOf(joinNonce) === OWN_SLOT || joinNonce > usedOf(devEui) + MOST_AHEAD) return 'badNonce';
        if (contradicts.get(devEui, joinNonce, devNonce) !== undefined) return 'replay';
        const before = noncesOf(devEui, rule);
        use({ devEui, joinNonce, devNonces: useDevNonce(before, devNonce) ?? before });
        keep({ ...join, joinedAt: at, broughtHome: true, mac }, at);
        return 'taken';
      }),
    wasGiven: (devAddr) => isGiven.get(devAddr) !== undefined,
    confirm: (session) =>
      inTransaction(db, () => {
        supersede.run(session, session);
        makeCurrent.run(session);
      }),
  };
}
