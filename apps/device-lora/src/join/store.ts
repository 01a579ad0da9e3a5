import { inTransaction, type Database } from '@antirio/host';
import { createMacStore } from '../mac/store.ts';
import { blockIndexOf, blockOf, nextBlock, slotOf } from '@antirio/service-contract';
import {
  newDevNonces,
  useDevNonce,
  type DevAddr,
  type DevEui,
  type DevNonces,
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
}

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
}

/** Sessions kept of each device, for frames that come late. */
const KEPT = 8;
/** JoinNonces go by the slots of FCntDown, so that two edges never use one: the first is the owner's. */
const OWN_SLOT = 0;

/** The JoinNonce after the highest one used: never 0, which devices of LoRaWAN 1.0.4 refuse at their first join. */
export function joinNonceAfter(highest: number): number {
  const next = Math.max(1, highest + 1);
  return slotOf(next) === OWN_SLOT ? next : blockOf(nextBlock(OWN_SLOT, blockIndexOf(next))).first;
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
  };
}

/** The same memory where the device's version of LoRaWAN is another now. */
function underRule(nonces: DevNonces, rule: DevNonces['rule']): DevNonces {
  if (nonces.rule === rule) return nonces;
  if (nonces.rule === 'random') return { rule: 'counter', last: nonces.used.at(-1)?.[1] ?? null };
  return { rule: 'random', used: nonces.last === null ? [] : [[0, nonces.last]] };
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
  const insert = db.prepare('INSERT INTO joined VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)');
  const giveAddress = db.prepare('INSERT INTO given_address VALUES (?) ON CONFLICT DO NOTHING');
  const isGiven = db.prepare('SELECT 1 FROM given_address WHERE devAddr = ?');
  const prune = db.prepare(
    `DELETE FROM joined WHERE devEui = ? AND state <> 'current' AND joinNonce NOT IN
     (SELECT joinNonce FROM joined WHERE devEui = ? ORDER BY joinNonce DESC LIMIT ?) RETURNING session`,
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
      : underRule(JSON.parse(String(row['nonces'])) as DevNonces, rule);
  };
  return {
    all: () => all.all().map(toJoined),
    keptOf: (devEui) => new Set(kept.all(devEui).map((row) => String(row['session']) as SessionId)),
    accept: ({ devEui, devNonce, rule }, now, make) =>
      inTransaction(db, () => {
        const nonces = useDevNonce(noncesOf(devEui, rule), devNonce);
        if (nonces === undefined) return undefined;
        putNonces.run(devEui, JSON.stringify(nonces));
        const joinNonce = joinNonceAfter(Number(highestOf.get(devEui)?.['highest'] ?? 0));
        putHighest.run(devEui, joinNonce);
        const { mac, ...made } = make(joinNonce);
        const { session, devAddr, nwkSKey, appSKey } = made;
        insert.run(session, devEui, devAddr, nwkSKey, appSKey, devNonce, joinNonce, 'offered', now);
        macs.put(session, mac);
        giveAddress.run(devAddr);
        for (const row of prune.all(devEui, devEui, KEPT)) dropMac.run(row['session'] ?? null);
        return { ...made, devEui, devNonce, joinNonce, state: 'offered', joinedAt: now } as const;
      }),
    wasGiven: (devAddr) => isGiven.get(devAddr) !== undefined,
    confirm: (session) =>
      inTransaction(db, () => {
        supersede.run(session, session);
        makeCurrent.run(session);
      }),
  };
}
