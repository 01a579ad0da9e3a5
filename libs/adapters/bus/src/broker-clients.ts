import type { AedesOptions, Client } from 'aedes';
import { AntirioError } from '@antirio/kernel';
import type { Log } from '@antirio/host';
import { contractLogin, isContractLogin, mayUse } from './broker-access.ts';
import { createRetainedBudget } from './retained-budget.ts';

export interface AccessCounters {
  /** Connections refused for their credentials, or for want of any. */
  readonly refusedLogins: number;
  /** Publications and subscriptions beyond what the client may use. */
  readonly denied: number;
}

type Hooks = Required<
  Pick<
    AedesOptions,
    'preConnect' | 'authenticate' | 'authorizePublish' | 'authorizeSubscribe' | 'authorizeForward'
  >
>;

/** Who a connection is and what it may do. */
export interface Access {
  readonly hooks: Hooks;
  connected(client: Client, anonymousAllowed: boolean): void;
  disconnected(client: Client): void;
  unsubscribed(client: Client, filters: readonly string[]): void;
  /** Whether the budget of this process holds one more retained message; false changes nothing. */
  admitRetained(topic: string, bytes: number): boolean;
  counters(): AccessCounters;
  retained(): number;
}

interface Guest {
  readonly anonymousAllowed: boolean;
  readonly filters: Set<string>;
  login?: string;
  /** Of the bearer of a token; others without a login of a contract may do everything. */
  rights?: () => BusRights | undefined;
}

/** What the bearer of a token may do: hear everything, or publish as well. */
export type BusRights = 'read' | 'write';

/** Asked for each login that is no contract's, and again while its connection lasts; undefined for what is no token (any more). */
export type BearerRights = (password: string) => BusRights | undefined;

/** A token that was revoked counts for so long still, on a connection that is there. */
const RIGHTS_FOR_MS = 1000;

/** The rights of one connection, looked up again after a while. */
function rightsOf(
  bearer: BearerRights,
  password: string,
  monotonic: () => number,
): () => BusRights | undefined {
  let known = bearer(password);
  let lookedAt = monotonic();
  return () => {
    if (monotonic() - lookedAt < RIGHTS_FOR_MS) return known;
    lookedAt = monotonic();
    known = bearer(password);
    return known;
  };
}

const mayPublish = ({ login, rights }: Guest, topic: string): boolean => {
  if (login !== undefined) return mayUse(login, topic);
  return !topic.startsWith('$') && (rights === undefined || rights() === 'write');
};

const mayHear = ({ login, rights }: Guest, topic: string): boolean => {
  if (login !== undefined) return mayUse(login, topic);
  return rights === undefined || rights() !== undefined;
};

const MAX_CLIENT_ID = 128;
const MAX_FILTERS = 512;
const LOCAL = '';
const RETAINED_LOCAL = { messages: 10_000, bytes: 32 << 20 };
const RETAINED_PER_LOGIN = { messages: 256, bytes: 1 << 20 };

const prepareConnect: Hooks['preConnect'] = (_client, packet, callback) => {
  // A session that outlived its connection would collect messages without bound.
  packet.clean = true;
  const { username, clientId } = packet;
  if (clientId.length > MAX_CLIENT_ID) {
    callback(new AntirioError('tooLarge', 'the client id is too long'), false);
    return;
  }
  // Who takes a client id disconnects its owner: foreign ids are kept apart from all others.
  if (username !== undefined && clientId !== '') packet.clientId = `${username.slice(0, 256)}/${clientId}`;
  callback(null, true);
};

/** Occurrences of each key. */
function createTally(): { add(key: string, by: 1 | -1): void; get(key: string): number } {
  const counts = new Map<string, number>();
  return {
    add(key, by) {
      const now = (counts.get(key) ?? 0) + by;
      if (now <= 0) counts.delete(key);
      else counts.set(key, now);
    },
    get: (key) => counts.get(key) ?? 0,
  };
}

export interface AccessOptions {
  readonly secret: Uint8Array;
  readonly maxClientsPerLogin: number;
  readonly bearer?: BearerRights | undefined;
}

export function createAccess({ secret, maxClientsPerLogin, bearer }: AccessOptions, log: Log): Access {
  const guests = new WeakMap<Client, Guest>();
  const perLogin = createTally();
  const counts = { refusedLogins: 0, denied: 0 };
  const retained = createRetainedBudget((owner) => (owner === LOCAL ? RETAINED_LOCAL : RETAINED_PER_LOGIN));

  const denied = (client: Client, what: string, topic: string): AntirioError => {
    counts.denied += 1;
    log.warn({ client: client.id, topic }, `${what} denied`);
    return new AntirioError('forbidden', `${what} denied`, { topic });
  };
  /** Why these credentials are not taken, or undefined. */
  const refusal = (
    guest: Guest,
    login: string | undefined,
    password: Uint8Array | undefined,
  ): string | undefined => {
    if (login === undefined) return guest.anonymousAllowed ? undefined : 'a login is wanted here';
    if (bearer !== undefined && !login.startsWith(contractLogin(''))) {
      guest.rights = rightsOf(bearer, Buffer.from(password ?? []).toString('utf8'), () => performance.now());
      return guest.rights() === undefined ? 'wrong token' : undefined;
    }
    if (!isContractLogin(secret, login, password ?? new Uint8Array())) return 'wrong user name or password';
    return perLogin.get(login) >= maxClientsPerLogin ? 'too many clients with this login' : undefined;
  };
  const hooks: Hooks = {
    preConnect: prepareConnect,
    authenticate(client, username, password, done) {
      const guest = guests.get(client);
      const why = guest === undefined ? 'unknown connection' : refusal(guest, username, password);
      if (guest === undefined || why !== undefined) {
        counts.refusedLogins += 1;
        log.warn({ client: client.id, why }, 'login refused');
        done(null, false);
        return;
      }
      if (username !== undefined && guest.rights === undefined) {
        guest.login = username;
        perLogin.add(username, 1);
      }
      done(null, true);
    },
    authorizePublish(client, packet, callback) {
      const guest = client === null ? undefined : guests.get(client);
      if (client === null || guest === undefined) {
        callback(new AntirioError('forbidden', 'unknown client'));
        return;
      }
      const { topic } = packet;
      if (!mayPublish(guest, topic)) callback(denied(client, 'publishing', topic));
      else if (packet.retain && !retained.admit(guest.login ?? LOCAL, topic, packet.payload.length))
        callback(denied(client, 'retaining one more message', topic));
      else callback(null);
    },
    authorizeSubscribe(client, subscription, callback) {
      const guest = guests.get(client);
      const { topic } = subscription;
      const allowed =
        guest !== undefined &&
        mayHear(guest, topic) &&
        (guest.filters.has(topic) || guest.filters.size < MAX_FILTERS);
      if (allowed) guest.filters.add(topic);
      else denied(client, 'subscribing', topic);
      callback(null, allowed ? subscription : null);
    },
    authorizeForward(client, packet) {
      const guest = guests.get(client);
      return guest === undefined || mayHear(guest, packet.topic) ? packet : null;
    },
  };
  return {
    hooks,
    connected: (client, anonymousAllowed) =>
      void guests.set(client, { anonymousAllowed, filters: new Set() }),
    disconnected(client) {
      const login = guests.get(client)?.login;
      if (login !== undefined) perLogin.add(login, -1);
    },
    unsubscribed(client, filters) {
      for (const filter of filters) guests.get(client)?.filters.delete(filter);
    },
    admitRetained: (topic, bytes) => retained.admit(LOCAL, topic, bytes),
    counters: () => ({ ...counts }),
    retained: () => retained.messages,
  };
}
