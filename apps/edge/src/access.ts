import { existsSync, linkSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import {
  announcedUrl,
  clientTls,
  httpPeer,
  isOwnHost,
  isSameToken,
  makeToken,
  openTokens,
  parseScope,
  readTokenFile,
  serverTls,
  systemClock,
  tokenSource,
  type Credentials,
  type HttpPeer,
  type Log,
  type RimAccess,
  type Scope,
  type Tokens,
} from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { at, isLoopback, shifted, urlOf, type EdgeConfig } from './config.ts';
import { ROOM_KEYS, roomOf, type Room, type RoomKey } from './rooms.ts';

/** Where the hashes of the tokens are that this edge gave out. */
export const tokensFile = ({ dataDir }: EdgeConfig): string => join(dataDir, 'access', 'tokens.json');

/** With what the edge's own processes and its operator's commands call its services, where callers of this host need tokens. */
const localTokenFile = ({ dataDir }: EdgeConfig): string => join(dataDir, 'access', 'local.token');

/** Port forwarding without root makes callers of other hosts look as if they came from the container itself. */
const isInContainer = (): boolean => existsSync('/.dockerenv') || existsSync('/run/.containerenv');

/** Whether callers of this host need tokens. */
export function needsLocalTokens({ requireTokens, tls }: EdgeConfig): boolean {
  return requireTokens ?? (tls !== undefined && isInContainer());
}

/** @throws AntirioError badConfig where others may read it */
function readOwnToken(path: string): string {
  if ((statSync(path).mode & 0o077) !== 0)
    throw new AntirioError('badConfig', `${path} may be read by others: chmod 600 it`, { path });
  return readTokenFile(path);
}

/** The local token, made where there is none: several processes of one edge may start at once. */
function ownToken(config: EdgeConfig): string {
  const path = localTokenFile(config);
  mkdirSync(join(config.dataDir, 'access'), { recursive: true, mode: 0o700 });
  const { id, token } = makeToken();
  const whole = `${path}.${id}`;
  try {
    writeFileSync(whole, `${token}\n`, { mode: 0o600, flag: 'wx', flush: true });
    // another process that finds it finds all of it
    linkSync(whole, path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST')
      throw new AntirioError('unavailable', `cannot write ${path}`, { path }, cause);
  } finally {
    rmSync(whole, { force: true });
  }
  return readOwnToken(path);
}

const ALL: readonly Scope[] = ['operator', 'relay'].map(parseScope);

/** Those of the file, and the edge's own. */
function withOwn(tokens: Tokens, own: string | undefined): Tokens {
  if (own === undefined) return tokens;
  return { scopesOf: (token) => (isSameToken(token, own) ? ALL : tokens.scopesOf(token)) };
}

type Place = EdgeConfig['services'][RoomKey];

/** What is shown to a room that runs elsewhere. @throws AntirioError badConfig */
function credentialsAt(place: NonNullable<Place>, log: Log): Credentials | undefined {
  const { tokenFile, caFile, certFile, keyFile } = place;
  const token = tokenFile === undefined ? undefined : tokenSource(tokenFile, systemClock, log);
  const isTls = [caFile, certFile, keyFile].some((file) => file !== undefined);
  const tls = isTls ? clientTls({ caFile, certFile, keyFile }, systemClock, log) : undefined;
  return token === undefined && tls === undefined ? undefined : { token, tls };
}

/** What the rooms of this edge, and its operator's commands, show to its rooms. */
export function credentialsOf(config: EdgeConfig, log: Log): (room: Room) => Credentials | undefined {
  const local = localTokenFile(config);
  const known = new Map<RoomKey, Credentials | undefined>();
  const find = ({ key }: Room): Credentials | undefined => {
    const place = config.services[key];
    const placed = place === undefined ? undefined : credentialsAt(place, log);
    if (placed?.token !== undefined) return placed;
    const isHere = place === undefined || isLoopback(new URL(place.url).hostname);
    if (!isHere || !needsLocalTokens(config) || !existsSync(local)) return placed;
    const token = readOwnToken(local);
    return { ...placed, token: () => token };
  };
  return (room) => {
    if (!known.has(room.key)) known.set(room.key, find(room));
    return known.get(room.key);
  };
}

/** The room's HTTP resources, for a command. */
export function peerOf(room: Room, config: EdgeConfig, log: Log): HttpPeer {
  return httpPeer({ url: urlOf(room, config), credentials: credentialsOf(config, log)(room) });
}

const originOf = (url: string): string | undefined => URL.parse(url)?.origin;

/** Rooms of this host by what they announce of themselves beyond it: from here they are called by their usual addresses. */
function announcedHere(config: EdgeConfig, tls: RimAccess['tls']): Map<string | undefined, Room> {
  const here = ROOM_KEYS.filter((key) => config.services[key] === undefined).map(roomOf);
  const named = here.flatMap((room) => {
    const section = config[room.key];
    const [option = 'port'] = Object.keys(room.ports);
    return [at(section, ['service', 'host']), section['bind'] ?? config.bind]
      .filter((host) => typeof host === 'string')
      .map((host) => [originOf(announcedUrl({ tls }, host, shifted(room, config, option))), room] as const);
  });
  return new Map(named);
}

/** Who may call this process's rooms; undefined where all do that reach them. @throws AntirioError badConfig */
export function openAccess(config: EdgeConfig, log: Log): RimAccess {
  const requireTokens = needsLocalTokens(config);
  const own = requireTokens ? ownToken(config) : undefined;
  const shown = credentialsOf(config, log);
  const byOrigin = new Map(
    ROOM_KEYS.map((key) => [originOf(urlOf(roomOf(key), config)), roomOf(key)] as const),
  );
  const tls = config.tls === undefined ? undefined : serverTls(config.tls, systemClock, log);
  const here = announcedHere(config, tls);
  const credentialsFor: RimAccess['credentialsFor'] = (url) => {
    const room = byOrigin.get(originOf(url));
    return room === undefined ? undefined : shown(room);
  };
  const file = resolve(tokensFile(config));
  if (tls !== undefined && !existsSync(file))
    log.warn('nobody has a token yet: antirio token create makes one for those who call from other hosts');
  return {
    tls,
    clientCertificates: config.tls?.clientCaFile !== undefined,
    tokens: withOwn(openTokens(file, systemClock, log), own),
    requireTokens,
    isOwnHost,
    credentialsFor,
    placeOf(url) {
      const room = here.get(originOf(url));
      if (room === undefined) return { url, credentials: credentialsFor(url) };
      const { pathname } = new URL(url);
      return { url: `${urlOf(room, config)}${pathname.replace(/\/$/, '')}`, credentials: shown(room) };
    },
  };
}
