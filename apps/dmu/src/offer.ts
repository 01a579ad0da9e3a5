import { repeat, type Log, type Repeating } from '@antirio/host';
import {
  describeError,
  isAntirioError,
  sha256Hex,
  canonicalBytes,
  type Clock,
  type Identity,
} from '@antirio/kernel';
import type { LedgerClient } from '@antirio/ledger-http';
import { keys } from '@antirio/ledger-machine';
import {
  addCapacity,
  subtractCapacity,
  rentAsked,
  undecidedBorne,
  type Ask,
  type Capacity,
} from '@antirio/market';
import { isEnded, termsHash } from '@antirio/service-contract';
import type { DmuOptions } from './options.ts';
import type { MarketOrder, Rooms } from './rooms.ts';
import type { Agreed, DmuStore, Session } from './store.ts';

export interface ProviderParts {
  readonly options: DmuOptions;
  readonly clock: Clock;
  readonly log: Log;
  readonly identity: Identity;
  readonly rooms: Rooms;
  readonly ledger: LedgerClient;
  readonly store: DmuStore;
}

const NOTHING: Capacity = { cpuMillis: 0, memoryMiB: 0, storageMiB: 0, bandwidthKbps: 0, ringBytes: 0 };

/** Sessions that led to no agreement yet. */
export function openSessions(store: DmuStore): Session[] {
  return store
    .sessions()
    .filter(({ negotiation }) => negotiation === undefined || negotiation.outcome === 'open');
}

/** What is promised in contracts that are not over, and to customers under negotiation. */
export function committed(store: DmuStore): { readonly capacity: Capacity; readonly contracts: number } {
  const agreed = store.allAgreed().filter(({ over }) => !over);
  const all = [...agreed, ...openSessions(store)];
  return {
    capacity: all.reduce((sum, { capacity }) => addCapacity(sum, capacity), NOTHING),
    contracts: all.length,
  };
}

export function freeCapacity({ options, store }: Pick<ProviderParts, 'options' | 'store'>): Capacity {
  return subtractCapacity(options.provider.capacity, committed(store).capacity);
}

function askOf(parts: ProviderParts, expiresAt: number): Ask {
  const { options } = parts;
  const { policy } = options.provider;
  return {
    side: 'ask',
    capacity: freeCapacity(parts),
    qualities: options.qualities,
    standby: policy.standby,
    confidentiality: policy.confidentiality,
    exclude: [],
    minReputation: policy.minReputation,
    ...undecidedBorne(policy),
    refuseSharedDomains: policy.refuseSharedDomains,
    price: { p: policy.payment.limit, q: policy.guarantee.limit },
    ...rentAsked(policy),
    divisible: true,
    expiresAt,
  };
}

const PREFIX = 'ask/';
const STANDING = ['accepted', 'submitting', 'placed'];
const isStanding = ({ state }: MarketOrder): boolean => STANDING.includes(state);

/**
 * The name of the ask that should stand: the same in one period as long as nothing changed that it says. What came back from contracts
 * that are over counts as a change; what went to new ones the ledger subtracts by itself.
 */
function wantedReference(parts: ProviderParts, period: number, refusals: number): string {
  const { provider, qualities } = parts.options;
  const over = parts.store.allAgreed().filter((agreed) => agreed.over).length;
  const { policy, capacity, maxContracts } = provider;
  const hash = sha256Hex(canonicalBytes({ policy, capacity, qualities, maxContracts, over })).slice(0, 16);
  return `${PREFIX}${period}/${hash}/${refusals}`;
}

/** After the ledger refused an ask. */
const AGAIN_MS = 30_000;

/** One ask stands while there is room for another contract; renewed before it ends, replaced when it says something else. */
async function keepAsk(parts: ProviderParts): Promise<void> {
  const { options, clock, rooms, store } = parts;
  const { enabled, askPeriodMs, maxContracts } = options.provider;
  const now = clock.now();
  const own = (await rooms.orders()).filter(({ reference }) => reference?.startsWith(PREFIX));
  const period = Math.floor(now / askPeriodMs);
  const refused = own.filter(
    ({ state, reference }) => state === 'refused' && reference?.startsWith(`${PREFIX}${period}/`),
  );
  if (refused.some(({ createdAt }) => now - createdAt < AGAIN_MS)) return;
  const wanting = enabled && committed(store).contracts < maxContracts;
  const reference = wantedReference(parts, period, refused.length);
  const there = own.some((order) => order.reference === reference);
  if (wanting && !there) await rooms.placeOrder(askOf(parts, (period + 2) * askPeriodMs), reference);
  // The new one stands before the old one goes.
  for (const old of own)
    if (isStanding(old) && (!wanting || old.reference !== reference)) await rooms.withdrawOrder(old.id);
}

/** How long both arbitrators may take to bring agreed terms to the ledger. */
const SIGNING_MS = 600_000;

async function isOver({ ledger, clock }: ProviderParts, agreed: Agreed): Promise<boolean> {
  const contract = await ledger.read(keys.contract(agreed.terms.contractId));
  if (contract !== undefined) return isEnded(contract.life);
  return clock.now() - agreed.agreedAt > SIGNING_MS || agreed.terms.expiresAt <= clock.now();
}

/** A trial ring that the contract's own ring has replaced, or that led to nothing, is given back. */
async function endSession(parts: ProviderParts, session: Session): Promise<void> {
  const { rooms, ledger, store } = parts;
  const match = await ledger.read(keys.match(session.matchId));
  if (match?.state === 'reserved') return;
  const terms = match?.state === 'taken' ? session.negotiation?.agreed : undefined;
  const awaited = terms !== undefined && store.agreed(termsHash(terms))?.over === false;
  if (awaited && !(await rooms.hasRing(terms.contractId))) return;
  await rooms.removeRing(session.matchId);
  store.removeSession(session.matchId);
}

async function tidy(parts: ProviderParts): Promise<void> {
  const { store } = parts;
  for (const agreed of store.allAgreed().filter(({ over }) => !over))
    if (await isOver(parts, agreed)) store.putAgreed({ ...agreed, over: true });
  for (const session of store.sessions()) await endSession(parts, session);
}

export interface Offering {
  /** What keeps the offer from the market; undefined when nothing does. */
  obstacle(): string | undefined;
  poke(): void;
  stop(): Promise<void>;
}

const KEEP_MS = 2000;

/** Keeps this edge's offer in the market, and gives back what ended contracts and talks held. */
export function startOffering(parts: ProviderParts): Offering {
  let obstacle: string | undefined;
  const work: Repeating = repeat('offer', KEEP_MS, parts.log, async () => {
    try {
      await tidy(parts);
      await keepAsk(parts);
      obstacle = undefined;
    } catch (error) {
      obstacle = describeError(error);
      if (!isAntirioError(error, 'unavailable')) throw error;
    }
  });
  return { obstacle: () => obstacle, poke: () => work.poke(), stop: () => work.stop() };
}
