import { z } from 'zod';
import { callJson, parseInput, repeat, type HttpPeer, type Log, type Ran } from '@antirio/host';
import { AntirioError, isAntirioError, type EdgeId } from '@antirio/kernel';
import { NEIGHBOUR_HEARING_TOPIC } from '@antirio/service-contract';
import type {
  ContractRecord,
  ContractTerms,
  CoverageSettings,
  CustomerPhase,
  Datagram,
  NeighbourHearing,
  Observed,
  PartyEvent,
  ProviderPhase,
  Receipts,
} from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';
import { createCoverageClaims } from './coverage-claims.ts';
import { createCoverageCheck } from './coverage-customer.ts';
import { createCoverageJudge } from './coverage-judge.ts';
import { createReceiptTeller } from './coverage-provider.ts';
import type { ArbitratorOptions, ArbitratorPorts } from './options.ts';
import type { CallDependencies } from './party-calls.ts';
import type { PartyRooms } from './party-rooms.ts';
import { neighbourCall } from './peers.ts';
import { createRootClaim } from './root-claims.ts';
import { createRootKeeper } from './ring-roots.ts';
import type { AskBridge } from './ring-pages.ts';
import type { Secrets } from './sealed-keys.ts';

/** How well the provider hears the customer's sensors: shown by the one, checked by the other, from the signature on. */
export interface Coverage {
  /** What has come, and what we have stated. */
  onEvent(event: PartyEvent): void;
  stop(): Promise<void>;
}

export interface CoverageParts {
  readonly terms: ContractTerms;
  readonly role: 'customer' | 'provider';
  readonly phase: () => CustomerPhase | ProviderPhase;
  readonly record: () => ContractRecord | undefined;
  readonly ports: ArbitratorPorts;
  readonly options: ArbitratorOptions;
  readonly store: ContractStore;
  readonly log: Log;
  readonly calls: Pick<CallDependencies, 'ledger' | 'rooms'>;
  readonly ownSecrets: () => Secrets;
  readonly send: (to: EdgeId, datagram: Datagram) => Promise<void>;
}

/** While the customer guards its own sensors, and somebody stands by for it. */
const SHOWS: ReadonlySet<string> = new Set(['preparing', 'ready', 'stated']);
const STANDS: ReadonlySet<string> = new Set(['ready', 'stated']);
const CHECKS: ReadonlySet<string> = new Set(['arming', 'guarded', 'stated']);

const sessions = z.looseObject({
  sessions: z.array(
    z.looseObject({
      devEui: z.string(),
      inUse: z.boolean(),
      mac: z.looseObject({ txPower: z.int(), nbTrans: z.int(), channels: z.array(z.int()) }),
    }),
  ),
});

/** As the device service knows it; nothing where it is not one for LoRaWAN, or is away. */
async function settingsOf(
  deviceLora: HttpPeer | undefined,
  log: Log,
): Promise<ReadonlyMap<string, CoverageSettings>> {
  if (deviceLora === undefined) return new Map();
  try {
    const path = '/api/v3/lora/session?limit=10000';
    const found = parseInput(sessions, await callJson(deviceLora, { path })).sessions;
    const inUse = found.filter((one) => one.inUse);
    return new Map(
      inUse.map(({ devEui, mac: { txPower, nbTrans, channels } }) => {
        const sorted = channels.toSorted((a, b) => a - b).slice(0, 96);
        return [devEui, { txPower, nbTrans, channels: sorted }];
      }),
    );
  } catch (error) {
    log.debug({ error: String(error) }, 'how the devices send is not known now');
    return new Map();
  }
}

function lookAsProvider({ terms, ports, send }: CoverageParts): () => Promise<void> {
  const bridge = ports.peers['gatewayBridge'];
  if (bridge === undefined) return async () => undefined;
  const tell = (body: Receipts): Promise<void> => send(terms.customer, { kind: 'receipts', body });
  const ask = (path: string): Promise<unknown> => callJson(bridge, { path });
  const { clock, random } = ports;
  const teller = createReceiptTeller({ terms, bridge: ask, clock, random, send: tell });
  return async () => {
    try {
      await teller.look();
    } catch (error) {
      // the contract's ring is not made yet, or is gone
      if (!isAntirioError(error, 'notFound')) throw error;
    }
  };
}

/** The provider's ring: at the provider by its own bridge, at the customer by the provider's. */
function ringOf({ terms, role, ports: { peers } }: CoverageParts): AskBridge {
  const bridge = peers['gatewayBridge'];
  return async (path) => {
    if (role === 'customer') return neighbourCall(peers, terms.provider, 'gateway-bridge', { path });
    if (bridge === undefined) throw new AntirioError('unavailable', 'there is no bridge here');
    return callJson(bridge, { path });
  };
}

/** Tells the edge's device service, retained, how the provider hears its devices; and that it is no provider of theirs any more. */
function tellerOfHearing({ bus }: ArbitratorPorts, contractId: string) {
  let told: number | undefined;
  const publish = async (messages: readonly (NeighbourHearing | undefined)[]): Promise<void> => {
    for (const [i, message] of messages.entries()) {
      const payload = message === undefined ? '' : JSON.stringify(message);
      await bus.publish(`${NEIGHBOUR_HEARING_TOPIC}/${contractId}/${i}`, payload, { retain: true });
    }
  };
  return {
    tell: async (messages: readonly NeighbourHearing[]): Promise<void> => {
      await publish(messages);
      told = Math.max(told ?? 0, messages.length);
    },
    /** After a restart it is not known how much was told: the first part at least. */
    end: async (): Promise<void> => {
      if (told === 0) return;
      await publish(Array.from({ length: told ?? 1 }, () => undefined));
      told = 0;
    },
  };
}

export function startCoverage(parts: CoverageParts): Coverage {
  const { terms, role, phase, record, ports, options, store, log, ownSecrets } = parts;
  const { identity, clock, peers } = ports;
  const areKeysSealed = (): boolean =>
    terms.opening === 'witnessed' && record()?.keys?.exposedAt === undefined;
  const settings = (): Promise<ReadonlyMap<string, CoverageSettings>> => settingsOf(peers['deviceLora'], log);
  const hearing = tellerOfHearing(ports, terms.contractId);
  const check = createCoverageCheck({
    ...{ terms, identity, clock, peers, store, log, ownSecrets, areKeysSealed, settings },
    tellHearing: hearing.tell,
  });
  const bridge = peers['gatewayBridge'];
  const judge = createCoverageJudge({
    ...{ terms, identity, clock, store, log, ownSecrets, settings, ledger: parts.calls.ledger },
    ownBridge: bridge && ((path) => callJson(bridge, { path })),
  });
  const isProvider = role === 'provider';
  const claims = createCoverageClaims({
    ...{ terms, role, clock, store, log, ownSecrets, settings, ledger: parts.calls.ledger },
    ring: ringOf(parts),
  });
  const show = lookAsProvider(parts);
  const { ledger, rooms } = parts.calls;
  const roots = createRootKeeper({ terms, identity, clock, peers, ledger, store, rooms, log });
  // a customer that does not answer must not hold up what is to be told in time
  const keepRoots = (): void => {
    roots.look().catch((error: unknown) => {
      log.warn({ error: String(error) }, 'the root of our ring is neither signed nor recorded');
    });
  };
  /** A long look at our own ring holds up nothing else. */
  const judgeOutages = (): void => {
    judge.look().catch((error: unknown) => {
      log.warn({ error: String(error) }, 'an outage is not judged yet');
    });
  };
  const rootClaim = createRootClaim({ terms, clock, peers, store, log });
  const claim = (at: string): void => {
    if (at === 'ended') return;
    const all = isProvider ? claims.look() : Promise.all([claims.look(), rootClaim.look()]);
    all.catch((error: unknown) => {
      log.warn({ error: String(error) }, 'what was heard of an outage is not settled yet');
    });
  };
  const look = async (): Promise<Ran> => {
    const { at } = phase();
    claim(at);
    if (isProvider && SHOWS.has(at)) await show();
    if (isProvider && STANDS.has(at)) keepRoots();
    if (isProvider) return 'worked';
    const ran = CHECKS.has(at) ? await check.look() : 'worked';
    judgeOutages();
    if (at === 'ended') await hearing.end();
    return ran;
  };
  const looking = repeat('coverage', options.observeIntervalMs, log, look);
  return {
    onEvent(event) {
      if (event.type === 'stated' || event.type === 'sealedOff') claims.stated(event.statement);
      if (isProvider) return;
      if (event.type === 'stated') judge.stated(event.statement);
      if (event.type !== 'datagram' || event.from !== terms.provider) return;
      if (event.datagram.kind === 'receipts') check.heard(event.datagram.body);
    },
    stop: () => looking.stop(),
  };
}

/** What a provider knows of its own ear: the contract's ring, and its gateways where the bridge answers for them. */
export async function heardHere(rooms: PartyRooms, terms: ContractTerms): Promise<Observed> {
  const { gateways } = await rooms.senses();
  const ring = await rooms.ring(terms);
  return gateways === undefined ? { ring } : { ring, gateways };
}
