import { createHash } from 'node:crypto';
import type { FilecoinInterfaceOptions } from './options.ts';
import type { PlaceRecord, PushRecord, Records } from './records.ts';

export type NetworkSettings = FilecoinInterfaceOptions['network'];

type Place = Pick<PlaceRecord, 'id' | 'name' | 'settings'>;

/** Where a network keeps things: each node and service by itself, on Filecoin what one payer pays for. */
export function placesOf(network: NetworkSettings): Place[] {
  switch (network.kind) {
    case 'embedded':
      return [];
    case 'kubo':
      return kuboPlaces(network);
    case 'filecoin':
      return [placeOf('filecoin', network.chain, `${network.chain}:${network.keyFile}`, network)];
  }
}

function kuboPlaces({ apiUrls, authFile, idleMs, pinning }: NetworkSettings & { kind: 'kubo' }): Place[] {
  const alone = { kind: 'kubo' as const, authFile, idleMs };
  const nodes = apiUrls.map((url) => {
    const { origin, pathname } = new URL(url);
    const path = pathname.replace(/\/+$/, '').replace(/\/api\/v0$/, '');
    return placeOf('kubo', origin, origin + path, { ...alone, apiUrls: [url] });
  });
  if (pinning === undefined) return nodes;
  const { host, href } = new URL(pinning.endpoint);
  const service = { kind: 'kubo' as const, apiUrls: [], pinning };
  return [...nodes, placeOf('pinning', host, href.replace(/\/+$/, ''), service)];
}

function placeOf(kind: string, name: string, address: string, settings: NetworkSettings): Place {
  const id = createHash('sha256').update(`${kind}:${address}`).digest('hex').slice(0, 16);
  return { id, name: `${kind}:${name}`, settings };
}

/** Where in the folder of all networks one keeps what it knows. */
export function networkFolder(records: Records, network: NetworkSettings): string {
  const [first] = placesOf(network);
  return first === undefined ? network.kind : folderOf(first, records.places.all());
}

export interface SettleOptions {
  readonly network: NetworkSettings;
  /** What is kept in a place that was left stays there for so long, at least. */
  readonly formerNetworkKeepMs: number;
  readonly now: number;
  /** Told of each name that is held as it should be no longer, for it is to be held elsewhere. */
  readonly onLost: (name: string, cid: string) => void;
}

/**
 * Notes where the network that is chosen now keeps things. Of places that were left it stays known that something is kept there, and how they are
 * reached; what is to be in the new network is to be brought there.
 */
export function settlePlaces(records: Records, options: SettleOptions): void {
  const { network } = options;
  const present = placesOf(network);
  const known = records.places.all();
  const before = new Set(known.filter(({ leftAt }) => leftAt === undefined).map(({ id }) => id));
  const isNew = known.length > 0 && !present.some(({ id }) => before.has(id));
  const isMore = known.length > 0 && present.some(({ id }) => !before.has(id));
  records.transaction(() => {
    const names = records.pushes.all().length;
    for (const place of known)
      if (before.has(place.id) && !present.some(({ id }) => id === place.id))
        records.places.put(place.id, left(place, names, options));
    for (const place of present)
      records.places.put(place.id, { ...place, folder: folderOf(place, known), names: 0, dueAt: 0 });
    for (const push of records.pushes.all()) {
      const isLeft = isNew || push.network !== network.kind;
      if (isLeft || isMore) movePush(push, isLeft, records, options);
    }
  });
}

function movePush(push: PushRecord, isLeft: boolean, records: Records, options: SettleOptions): void {
  if (push.state === 'COMMITTED') options.onLost(push.name, push.cid);
  if (isLeft) records.pushes.remove(push.name);
  else if (push.state !== 'DROPPING') records.pushes.put(push.name, anew(push, options.now));
}

/** That of Kubo is of names, which are the same for all nodes; what is known of Filecoin is known of one payer's pieces. */
function folderOf({ id, settings }: Place, known: readonly PlaceRecord[]): string {
  if (settings.kind !== 'filecoin') return settings.kind;
  const same = known.find((place) => place.id === id);
  if (same !== undefined) return same.folder;
  return known.some(({ folder }) => folder === settings.kind) ? `${settings.kind}-${id}` : settings.kind;
}

function left(place: PlaceRecord, names: number, { now, formerNetworkKeepMs }: SettleOptions): PlaceRecord {
  // A node that is left is opened beside those that are not.
  const folder = place.settings.kind === 'filecoin' ? place.folder : `${place.folder}-${place.id}`;
  return { ...place, folder, names, leftAt: now, dueAt: now + formerNetworkKeepMs };
}

const anew = (push: PushRecord, now: number): PushRecord => ({
  ...push,
  state: 'PUSHING',
  dueAt: now,
  checks: 0,
  bytes: push.ref?.bytes ?? push.bytes,
  ref: undefined,
});
