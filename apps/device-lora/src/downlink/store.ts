import { inTransaction, type Database } from '@antirio/host';
import type { DevEui, MacState, SessionId } from '@antirio/lorawan';
import { createMacStore } from '../mac/store.ts';
import { createNamedStore, type Named } from './named.ts';

/**
 * `queued`: waits for an uplink. `sending`: has its counter and its bytes, and goes to a gateway or went. `sent`: on air.
 * `acknowledged`: the device said so. `failed`: it will not be sent (again).
 */
export type DownlinkState = 'queued' | 'sending' | 'sent' | 'acknowledged' | 'failed';

export interface Downlink {
  readonly id: number;
  readonly devEui: DevEui;
  /** The resource that was written. */
  readonly resource: string;
  readonly fPort: number;
  readonly payload: Uint8Array;
  readonly confirmed: boolean;
  /** Its payload was encrypted elsewhere, for its session and its counter: it goes with these or not at all. */
  readonly isEncrypted: boolean;
  readonly state: DownlinkState;
  /** Times on air. */
  readonly attempts: number;
  readonly fcnt: number | undefined;
  readonly bytes: Uint8Array | undefined;
  /** Whose keys and counter the bytes were made with, or are to be. */
  readonly session: SessionId | undefined;
  /** Of its session's uplinks the newest when it was first sent in this time of acting: only a later one can acknowledge it. */
  readonly after: number | undefined;
  /** The time of acting, as the gateway-bridge told it with that uplink; undefined of one that tells none. */
  readonly tenure: string | undefined;
  /** The uplink after which it was on air last, where nobody else can have been heard before the device's next one. */
  readonly aloneAfter: number | undefined;
  /** The device has acknowledged something, and it is not known yet whether others may have sent that. */
  readonly ackHeard: boolean;
  /** Another edge was told of it, and may send it where it serves in our place. */
  readonly entrusted: boolean;
  /** Of one that its device's own edge has told us of: how that edge names it, and the right to act under which we may send it. */
  readonly given: Given | undefined;
  /** Wall ms. */
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly error: string | undefined;
}

export interface Given {
  readonly origin: string;
  readonly under: string;
}

type Content = Pick<Downlink, 'devEui' | 'resource' | 'fPort' | 'payload' | 'confirmed'>;

export interface NewDownlink extends Content {
  /** Its payload is encrypted for this counter, which was named and is taken by it. */
  readonly encryptedFor?: Pick<Named, 'session' | 'fcnt'>;
}

/** What was known of a device's newest uplink when something was sent. */
export type SentAfter = Pick<Downlink, 'after' | 'tenure'>;

/** A downlink with the bytes that carry it. */
export interface Assigned extends Partial<SentAfter & Pick<Downlink, 'aloneAfter'>> {
  readonly id: number;
  readonly bytes: Uint8Array;
  readonly session: SessionId;
}

export interface DownlinkStore {
  /** @throws AntirioError gone where it is encrypted for a counter that is not named (any more). */
  add(downlink: NewDownlink, now: number, given?: Given): Downlink;
  /** Those that another edge has told us of, the newest. */
  given(devEui: DevEui): Downlink[];
  /** Those that are not at their end, oldest first. */
  open(devEui: DevEui): Downlink[];
  /** Devices with any that are not at their end. */
  waiting(): DevEui[];
  /** Devices with any of which an acknowledgement was heard that may be for another's. */
  undecided(): DevEui[];
  /** How many are not at their end. */
  openCount(): number;
  /** The newest, newest first. */
  latest(devEui: DevEui, limit: number): Downlink[];
  /** Durable when it returns. */
  update(
    id: number,
    change: Partial<Omit<Downlink, keyof Content | 'isEncrypted' | 'id' | 'createdAt' | 'updatedAt'>>,
    now: number,
  ): void;
  /** Back into the queue, without counter and bytes, as if it had never been sent. One that is encrypted keeps both, and its state. */
  requeue(id: number, error: string, now: number): void;
  /** Marks the counter used and, in the same commit, gives the downlink its bytes and keeps what the device is asked. */
  assign(
    devAddr: string,
    fcnt: number,
    to: Assigned | undefined,
    now: number,
    mac?: { readonly session: SessionId; readonly state: MacState },
  ): void;
  /** A counter, and each below it, is used from now on, though no frame was made with it here. */
  use(devAddr: string, fcnt: number): void;
  /** A counter is used from now on, by whoever encrypts for it. */
  name(devAddr: string, named: Named, now: number): void;
  /** Those that nobody has sent anything for yet, and that count still. */
  named(devEui: DevEui, now: number): Named[];
  /** The highest counter used; undefined for none. */
  highestUsed(devAddr: string): number | undefined;
  /** The highest that a frame was made with, which the device may have heard; undefined for none. */
  highestMade(devAddr: string): number | undefined;
}

/** Ended downlinks kept for each device, to be looked at. */
const KEPT = 50;

const orNull = <T>(value: T | undefined): T | null => value ?? null;

function toDownlink(row: Record<string, unknown>): Downlink {
  const optional = <T>(value: unknown, as: (present: unknown) => T): T | undefined =>
    value === null ? undefined : as(value);
  return {
    id: Number(row['id']),
    devEui: String(row['devEui']) as DevEui,
    resource: String(row['resource']),
    fPort: Number(row['fPort']),
    payload: row['payload'] as Uint8Array,
    confirmed: row['confirmed'] === 1,
    isEncrypted: row['isEncrypted'] === 1,
    state: String(row['state']) as DownlinkState,
    attempts: Number(row['attempts']),
    fcnt: optional(row['fcnt'], Number),
    bytes: optional(row['bytes'], (bytes) => bytes as Uint8Array),
    session: optional(row['session'], (session) => String(session) as SessionId),
    after: optional(row['sentAfter'], Number),
    tenure: optional(row['sentUnder'], String),
    aloneAfter: optional(row['aloneAfter'], Number),
    ackHeard: row['ackHeard'] === 1,
    entrusted: row['entrusted'] === 1,
    given: optional(row['origin'], (origin) => ({
      origin: String(origin),
      under: String(row['givenUnder']),
    })),
    createdAt: Number(row['createdAt']),
    updatedAt: Number(row['updatedAt']),
    error: optional(row['error'], String),
  };
}

/** @param onChanged of a device's downlinks */
export function createDownlinkStore(
  db: Database,
  onChanged: (devEui: DevEui) => void = () => undefined,
): DownlinkStore {
  const macs = createMacStore(db);
  const namings = createNamedStore(db);
  const insert = db.prepare(
    `INSERT INTO downlink (devEui, resource, fPort, payload, confirmed, state, attempts, createdAt, updatedAt,
     origin, givenUnder, isEncrypted, session, fcnt) VALUES (?, ?, ?, ?, ?, 'queued', 0, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const byId = db.prepare('SELECT * FROM downlink WHERE id = ?');
  // in the very words of the index downlink_open: SQLite would not use it else
  const isOpen = `(state IN ('queued', 'sending') OR (state = 'sent' AND confirmed = 1))`;
  const openOf = db.prepare(`SELECT * FROM downlink WHERE devEui = ? AND ${isOpen} ORDER BY id`);
  const waiting = db.prepare(`SELECT DISTINCT devEui FROM downlink WHERE ${isOpen}`);
  const undecided = db.prepare(`SELECT DISTINCT devEui FROM downlink WHERE ackHeard = 1 AND ${isOpen}`);
  const countOpen = db.prepare(`SELECT count(*) AS count FROM downlink WHERE ${isOpen}`);
  const latestOf = db.prepare('SELECT * FROM downlink WHERE devEui = ? ORDER BY id DESC LIMIT ?');
  const givenOf = db.prepare(
    'SELECT * FROM downlink WHERE devEui = ? AND origin IS NOT NULL ORDER BY id DESC LIMIT ?',
  );
  const write = db.prepare(
    `UPDATE downlink SET state = ?, attempts = ?, fcnt = ?, bytes = ?, session = ?, sentAfter = ?, sentUnder = ?, aloneAfter = ?,
     ackHeard = ?, entrusted = ?, origin = ?, givenUnder = ?, error = ?, updatedAt = ? WHERE id = ?`,
  );
  const reset = db.prepare(
    `UPDATE downlink SET state = 'queued', attempts = 0, fcnt = NULL, bytes = NULL, session = NULL,
     sentAfter = NULL, sentUnder = NULL, aloneAfter = NULL, ackHeard = 0, error = ?, updatedAt = ?
     WHERE id = ? AND isEncrypted = 0`,
  );
  const prune = db.prepare(
    `DELETE FROM downlink WHERE devEui = ? AND state IN ('acknowledged', 'failed', 'sent') AND id <
     (SELECT min(id) FROM (SELECT id FROM downlink WHERE devEui = ? ORDER BY id DESC LIMIT ?))`,
  );
  const getHighest = db.prepare('SELECT highest, made FROM fcnt_down WHERE devAddr = ?');
  // a number is more than nothing
  const putHighest = db.prepare(
    `INSERT INTO fcnt_down (devAddr, highest, made) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET
     highest = max(highest, excluded.highest), made = coalesce(max(made, excluded.made), made, excluded.made)`,
  );
  const highestOf = (devAddr: string, column: 'highest' | 'made'): number | undefined => {
    const value = getHighest.get(devAddr)?.[column];
    return typeof value === 'number' ? value : undefined;
  };
  const read = (id: number | bigint): Downlink => toDownlink(byId.get(id) ?? {});
  const change: DownlinkStore['update'] = (id, changed, now) => {
    const next = { ...read(id), ...changed };
    const { state, attempts, fcnt, bytes, session, after, tenure, aloneAfter, given } = next;
    const made = [fcnt, bytes, session].map(orNull);
    const told = [after, tenure, aloneAfter].map(orNull);
    const moves = [given?.origin, given?.under, next.error].map(orNull);
    const flags = [next.ackHeard, next.entrusted].map(Number);
    write.run(state, attempts, ...made, ...told, ...flags, ...moves, now, id);
    onChanged(next.devEui);
  };
  return {
    add: ({ devEui, resource, fPort, payload, confirmed, encryptedFor }, now, given) =>
      inTransaction(db, () => {
        if (encryptedFor !== undefined) namings.take(encryptedFor);
        const content = [devEui, resource, fPort, payload, confirmed ? 1 : 0] as const;
        const from = [given?.origin, given?.under].map(orNull);
        const { session, fcnt } = encryptedFor ?? {};
        const sealed = [encryptedFor === undefined ? 0 : 1, session ?? null, fcnt ?? null] as const;
        const { lastInsertRowid } = insert.run(...content, now, now, ...from, ...sealed);
        prune.run(devEui, devEui, KEPT);
        onChanged(devEui);
        return read(lastInsertRowid);
      }),
    given: (devEui) => givenOf.all(devEui, KEPT).map(toDownlink),
    open: (devEui) => openOf.all(devEui).map(toDownlink),
    waiting: () => waiting.all().map((row) => String(row['devEui']) as DevEui),
    undecided: () => undecided.all().map((row) => String(row['devEui']) as DevEui),
    openCount: () => Number(countOpen.get()?.['count'] ?? 0),
    latest: (devEui, limit) => latestOf.all(devEui, limit).map(toDownlink),
    update: change,
    requeue(id, error, now) {
      reset.run(error, now, id);
      onChanged(read(id).devEui);
    },
    assign: (devAddr, fcnt, to, now, mac) =>
      inTransaction(db, () => {
        putHighest.run(devAddr, fcnt, fcnt);
        if (mac !== undefined) macs.put(mac.session, mac.state);
        const anew = { aloneAfter: to?.aloneAfter, ackHeard: false };
        if (to !== undefined) change(to.id, { ...to, ...anew, state: 'sending', fcnt }, now);
      }),
    use: (devAddr, fcnt) => void putHighest.run(devAddr, fcnt, null),
    name: (devAddr, named, now) =>
      inTransaction(db, () => {
        putHighest.run(devAddr, named.fcnt, null);
        namings.put(named, now);
      }),
    named: (devEui, now) => namings.of(devEui, now),
    highestUsed: (devAddr) => highestOf(devAddr, 'highest'),
    highestMade: (devAddr) => highestOf(devAddr, 'made'),
  };
}
