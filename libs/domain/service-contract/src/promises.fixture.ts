// A customer and its provider that promise each other not to act, machine to machine over a link, and no grantor.
import { generateIdentity, openIdentity, parseEdgeId, signDocument, type EdgeId } from '@antirio/kernel';
import { ACTS_KIND } from './acts-word.ts';
import { recorded as recordedFor, terms as anyTerms, tick } from './contract.fixture.ts';
import { createCustomer } from './customer-state.ts';
import { customerDesires, customerStep } from './customer.ts';
import { mayAct } from './lease.ts';
import type { ContractRecord, Datagram } from './messages.ts';
import type { Context, PartyEffect, PartyEvent } from './party.ts';
import type { Sibling } from './promiser.ts';
import { providerSibling } from './provider-promises.ts';
import { createProvider, type ProviderPhase } from './provider-state.ts';
import { providerStep } from './provider.ts';

export const customerId = openIdentity(generateIdentity());
const newId = (): EdgeId => parseEdgeId(generateIdentity().edgeId);
export const terms = {
  ...anyTerms,
  customer: parseEdgeId(customerId.edgeId),
  provider: newId(),
};
export const other = newId();
// of contracts before and after ours
export const EARLIER = '00000000-0000-4000-8000-000000000000';
export const LATER = 'ffffffff-ffff-4fff-8fff-ffffffffffff';
const { setId } = terms.set;
export const recorded = (value: Partial<ContractRecord>): PartyEvent =>
  recordedFor({ holder: terms.customer, ...value });

const proofs = new Map<string, string>();
function proofOf(epoch: number, heard: string): string {
  const known = proofs.get(`${epoch}/${heard}`);
  const proof = known ?? signDocument(customerId, ACTS_KIND, { setId, epoch, heard }).signature;
  proofs.set(`${epoch}/${heard}`, proof);
  return proof;
}

function signed(datagram: Datagram): Datagram {
  if (datagram.kind !== 'leaseRequest') return datagram;
  const { epoch, heard = '' } = datagram.body;
  const proof = proofOf(epoch, heard);
  return { kind: 'leaseRequest', body: { ...datagram.body, proof } };
}

interface Link {
  readonly delayMs: number;
  readonly loses: () => boolean;
}

const quick: Link = { delayMs: 5, loses: () => false };
export const TICK_MS = 20;

interface PairOptions {
  readonly rates: readonly [number, number];
  readonly link: Link;
  readonly startedAt: number;
  readonly phase: ProviderPhase;
  /** The provider's edge has another contract with the customer over the set, by this id. */
  readonly twin: string | undefined;
  /** The provider has heard the ledger's record since its start. */
  readonly isTold: boolean;
}

/** A customer under its first epoch and its provider, both long up, and no grantor. Times are true ones; clocks may be off. */
export function createPair({
  rates = [1, 1],
  link = quick,
  startedAt = -20_000,
  phase = { at: 'ready' },
  twin,
  isTold = true,
}: Partial<PairOptions> = {}) {
  const [customerRate, providerRate] = rates;
  let now = 0;
  const clocks = { customer: () => now * customerRate, provider: () => now * providerRate };
  let customer = createCustomer(terms, { at: 'guarded', epoch: 1 }, 'boot-a', startedAt * customerRate);
  let provider = createProvider(terms, phase, 'boot-b', startedAt * providerRate);
  let flying: {
    readonly at: number;
    readonly to: string;
    readonly from: string;
    readonly datagram: Datagram;
  }[] = [];
  let providers = [terms.provider];
  let siblings: readonly Sibling[] = [];
  let twinned = createProvider(
    { ...terms, contractId: twin ?? '' },
    { at: 'ready' },
    'boot-t',
    startedAt * providerRate,
  );
  const sent: Datagram[] = [];

  const told: unknown[] = [];
  const fly = (from: string, effects: readonly PartyEffect[]): void => {
    for (const effect of effects) {
      if (effect.type === 'note' && effect.milestone === 'leaseBy') told.push(effect.detail);
      if (effect.type !== 'send' || effect.to === terms.central) continue;
      const datagram = from === terms.customer ? signed(effect.datagram) : effect.datagram;
      sent.push(datagram);
      if (!link.loses()) flying.push({ at: now + link.delayMs, to: effect.to, from, datagram });
    }
  };
  const context = (at: number): Context => ({
    now: at,
    wall: at,
    random: () => 0.5,
    providers: () => providers,
  });
  const toCustomer = (event: PartyEvent): void => {
    const [next, effects] = customerStep(customer, event, context(clocks.customer()));
    customer = next;
    fly(terms.customer, effects);
  };
  const toProvider = (event: PartyEvent): readonly PartyEffect[] => {
    const all = twin === undefined ? siblings : [providerSibling(twinned)];
    const [next, effects] = providerStep(provider, event, {
      ...context(clocks.provider()),
      siblings: () => all,
    });
    provider = next;
    fly(terms.provider, effects);
    return effects;
  };
  const toTwin = (event: PartyEvent): void => {
    if (twin === undefined) return;
    const all = [providerSibling(provider)];
    const [next, effects] = providerStep(twinned, event, {
      ...context(clocks.provider()),
      siblings: () => all,
    });
    twinned = next;
    fly(terms.provider, effects);
  };
  const step = (): void => {
    now += TICK_MS;
    const due = flying.filter(({ at }) => at <= now);
    flying = flying.filter(({ at }) => at > now);
    for (const { to, from, datagram } of due) {
      const event: PartyEvent = { type: 'datagram', from: parseEdgeId(from), datagram };
      if (to === terms.customer) toCustomer(event);
      if (to !== terms.provider) continue;
      toProvider(event);
      toTwin(event);
    }
    toCustomer(tick);
  };
  if (isTold) {
    toProvider(recorded({}));
    toTwin(recorded({}));
  }
  return {
    step,
    told: () => told,
    run: (untilMs: number): void => {
      while (now < untilMs) step();
    },
    toCustomer,
    toProvider,
    tickProvider: () => toProvider(tick),
    now: () => now,
    customer: () => customer,
    provider: () => provider,
    acts: () => mayAct(customer.acting.lease, clocks.customer()),
    open: () => customerDesires(customer, clocks.customer()).fence.state === 'open',
    /** True time at which the customer's lease ends. */
    leaseEnds: () => customer.acting.lease.until / customerRate,
    providerMayAct: () =>
      provider.phase.at === 'active' && clocks.provider() >= provider.acting.lease.actFrom,
    setProviders: (all: typeof providers) => {
      providers = all;
    },
    setSiblings: (all: typeof siblings) => {
      siblings = all;
    },
    sent,
  };
}
