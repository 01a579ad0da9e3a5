import type { AirRecord, AtGateway, Device, Truth, TruthIdentity } from '@antirio/lora-simulator';
import {
  claimedIdentity,
  identityKey,
  saysWhatWasSent,
  sessionOf,
  type IdentityKey,
  type StoredEvent,
} from './stored-events.ts';

/** While an edge was dead, frozen or cut off from its gateway (monotonic ms), it could acknowledge nothing. */
export interface Disturbance {
  readonly gateway: string;
  readonly from: number;
  readonly until: number;
}

export interface UplinkFigures {
  readonly sent: number;
  readonly heard: number;
  readonly covered: number;
  readonly unacknowledged: number;
  readonly stored: number;
  readonly lost: number;
  readonly doubled: number;
  readonly forged: number;
}

export interface RefusedFigures {
  readonly replay: number;
  readonly badMic: number;
  readonly foreign: number;
  readonly retransmission: number;
}

export interface UplinkVerdict {
  readonly uplinks: UplinkFigures;
  readonly refused: RefusedFigures;
  /** What must not be, in words; empty where all is well. */
  readonly faults: readonly string[];
}

/** A frame may go unacknowledged from this long before a failure, ms. */
const GRACE_BEFORE_MS = 1_000;
const EXAMPLES = 3;

export interface Evidence {
  readonly truth: Pick<Truth, 'identities' | 'foreign' | 'bitflips'>;
  readonly devices: readonly Device[];
  /** Everything that A's core-data has, by REST. */
  readonly events: readonly StoredEvent[];
  readonly disturbances: readonly Disturbance[];
  /** When an edge owed the owner nothing, its contract being over: what its gateway heard then is as if unheard. */
  readonly unguarded?: readonly Disturbance[];
}

/** An event, and what is to be held against it. */
interface Filed {
  readonly event: StoredEvent;
  readonly genuine: boolean;
}

interface Books {
  readonly sent: ReadonlyMap<IdentityKey, TruthIdentity>;
  readonly filed: ReadonlyMap<IdentityKey, readonly Filed[]>;
  readonly forged: readonly StoredEvent[];
}

function openBooks({ truth, devices, events, unguarded = [] }: Evidence): Books {
  const sessions = new Map(devices.map((device) => [device.devEui, sessionOf(device)]));
  const sent = new Map(
    truth.identities.map((one) => [
      identityKey(one.devEui, sessions.get(one.devEui) ?? '', one.fcnt),
      guardedOnly(one, unguarded),
    ]),
  );
  const filed = new Map<IdentityKey, Filed[]>();
  const forged: StoredEvent[] = [];
  for (const event of events) {
    const key = claimedIdentity(event);
    const mote = key === undefined ? undefined : sent.get(key);
    const genuine = mote !== undefined && saysWhatWasSent(event, mote);
    if (!genuine) forged.push(event);
    if (key !== undefined) filed.set(key, [...(filed.get(key) ?? []), { event, genuine }]);
  }
  return { sent, filed, forged };
}

const isExcused = ({ gateway, at }: AtGateway, disturbances: readonly Disturbance[]): boolean =>
  disturbances.some((one) => one.gateway === gateway && at >= one.from - GRACE_BEFORE_MS && at <= one.until);

/** Without what was heard, or acknowledged, in vain. */
function guardedOnly(identity: TruthIdentity, unguarded: readonly Disturbance[]): TruthIdentity {
  const inVain = ({ gateway, at }: AtGateway): boolean =>
    unguarded.some((one) => one.gateway === gateway && at >= one.from && at <= one.until);
  const transmissions = identity.transmissions.map((air) => {
    const vain = new Set([...air.heardBy, ...air.ackedBy].filter(inVain).map(({ gateway }) => gateway));
    const rest = (all: readonly AtGateway[]): AtGateway[] => all.filter(({ gateway }) => !vain.has(gateway));
    return { ...air, heardBy: rest(air.heardBy), ackedBy: rest(air.ackedBy) };
  });
  const gateways = (all: readonly AtGateway[]): string[] => [...new Set(all.map(({ gateway }) => gateway))];
  return {
    ...identity,
    transmissions,
    heardBy: gateways(transmissions.flatMap(({ heardBy }) => heardBy)),
    ackedBy: gateways(transmissions.flatMap(({ ackedBy }) => ackedBy)),
  };
}

function hearings(identity: TruthIdentity): AtGateway[] {
  return identity.transmissions.flatMap(({ heardBy }) => heardBy);
}

/** Replays and retransmissions that brought nothing new: some transmission of the same bytes was heard before. */
function heardAgain(identity: TruthIdentity, kind: 'replay' | 'retransmission'): number {
  let heardBefore = false;
  let count = 0;
  for (const air of identity.transmissions) {
    if (air.kind === kind && air.heardBy.length > 0 && heardBefore) count += 1;
    heardBefore ||= air.heardBy.length > 0;
  }
  return count;
}

/** DevAddr and the 16 bits of FCnt that a data frame shows to everybody. */
function headerOf(phyPayload: string): string {
  const bytes = Buffer.from(phyPayload, 'hex');
  const devAddr = Buffer.from(bytes.subarray(1, 5)).reverse().toString('hex');
  return `${devAddr}/${bytes.readUInt16LE(6)}`;
}

/** Hostile frames that were heard and of which no forged event bears the address and the counter. */
function refusedOf(air: readonly AirRecord[], forged: ReadonlySet<string>): number {
  return air.filter(({ heardBy, phyPayload }) => heardBy.length > 0 && !forged.has(headerOf(phyPayload)))
    .length;
}

function refusedFigures({ truth, devices }: Evidence, books: Books): RefusedFigures {
  const addresses = new Map(devices.map(({ devEui, devAddr }) => [devEui, devAddr]));
  const forgedHeaders = new Set(
    books.forged.map(({ tags = {} }) => {
      const devAddr = addresses.get(String(tags['devEUI']).toLowerCase()) ?? '';
      return `${devAddr}/${Number(tags['fCnt']) & 0xffff}`;
    }),
  );
  const count = (kind: 'replay' | 'retransmission'): number => {
    const honest = [...books.sent].filter(([key]) => (books.filed.get(key)?.length ?? 0) <= 1);
    return honest.reduce((sum, [, identity]) => sum + heardAgain(identity, kind), 0);
  };
  return {
    replay: count('replay'),
    badMic: refusedOf(truth.bitflips, forgedHeaders),
    foreign: refusedOf(truth.foreign, forgedHeaders),
    retransmission: count('retransmission'),
  };
}

function fault(what: string, examples: readonly string[]): string[] {
  if (examples.length === 0) return [];
  const more = examples.length > EXAMPLES ? `, and ${examples.length - EXAMPLES} more` : '';
  return [`${examples.length} ${what}: ${examples.slice(0, EXAMPLES).join(', ')}${more}`];
}

/** Compares what A's core-data has with what the motes sent, in the words of the design. */
export function judgeUplinks(evidence: Evidence): UplinkVerdict {
  const books = openBooks(evidence);
  const entries = [...books.sent];
  const isStored = (key: IdentityKey): boolean =>
    books.filed.get(key)?.some(({ genuine }) => genuine) ?? false;
  const heard = entries.filter(([, one]) => one.heardBy.length > 0);
  const covered = heard.filter(([, one]) => one.ackedBy.length > 0);
  const unacknowledged = heard.filter(([, one]) => one.ackedBy.length === 0);
  const unexcused = unacknowledged.filter(
    ([, one]) => !hearings(one).every((at) => isExcused(at, evidence.disturbances)),
  );
  const lost = covered.filter(([key]) => !isStored(key));
  const doubled = [...books.filed].filter(([, events]) => events.length > 1);
  const name = ([key]: readonly [IdentityKey, unknown]): string => key;
  return {
    uplinks: {
      sent: entries.length,
      heard: heard.length,
      covered: covered.length,
      unacknowledged: unacknowledged.length,
      stored: entries.filter(([key]) => isStored(key)).length,
      lost: lost.length,
      doubled: doubled.length,
      forged: books.forged.length,
    },
    refused: refusedFigures(evidence, books),
    faults: [
      ...(entries.length === 0 ? ['no uplink was sent'] : []),
      ...(covered.length === 0 ? ['no uplink was acknowledged by any edge'] : []),
      ...fault('lost', lost.map(name)),
      ...fault('doubled', doubled.map(name)),
      ...fault(
        'forged',
        books.forged.map((event) => claimedIdentity(event) ?? `event ${event.id}`),
      ),
      ...fault('heard and not acknowledged, with no failure to excuse it', unexcused.map(name)),
    ],
  };
}
