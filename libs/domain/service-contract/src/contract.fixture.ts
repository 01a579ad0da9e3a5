// What the tests of this library share: terms, and machines that are driven step by step.
import { generateIdentity, parseEdgeId, type EdgeId } from '@antirio/kernel';
import { customerStep } from './customer.ts';
import type { CustomerState } from './customer-state.ts';
import type { ContractRecord } from './messages.ts';
import type { PartyEffect, PartyEvent } from './party.ts';
import { providerStep } from './provider.ts';
import type { ProviderState } from './provider-state.ts';
import { contractTerms, type ContractTerms } from './terms.ts';

export const newEdge = (): EdgeId => parseEdgeId(generateIdentity().edgeId);

export const terms: ContractTerms = contractTerms.parse({
  version: 1,
  contractId: '6f1b2b52-4a3d-4c86-9f0e-a7d1c45be02f',
  customer: newEdge(),
  provider: newEdge(),
  central: newEdge(),
  set: {
    setId: 'bridge',
    service: 'device-lora',
    devices: [{ devEui: '00000000000000aa', devAddr: '0000000a' }],
  },
  image: { imageName: 'lora', imageCid: 'bafyimage', configCid: 'bafyconfig' },
  confidentiality: 'process',
  opening: 'witnessed',
  standby: 'hot',
  stakes: { customer: 100, provider: 100 },
  returnBackoffMs: 1000,
  slots: { customer: 0, provider: 1 },
  expiresAt: 10_000_000,
});

/** A party's machine under test: its state, and what its last turn asked for. */
export interface Driven<State> {
  readonly state: State;
  readonly effects: readonly PartyEffect[];
}

const context = (now: number) => ({ now, wall: now, random: () => 0.5 });

export function driveCustomer(state: CustomerState, event: PartyEvent, now: number): Driven<CustomerState> {
  const [next, effects] = customerStep(state, event, context(now));
  return { state: next, effects };
}

export function driveProvider(state: ProviderState, event: PartyEvent, now: number): Driven<ProviderState> {
  const [next, effects] = providerStep(state, event, context(now));
  return { state: next, effects };
}

export const tick: PartyEvent = { type: 'tick' };

export const called = (effects: readonly PartyEffect[]): string[] =>
  effects.flatMap((effect) => (effect.type === 'call' ? [effect.method] : []));

/** What central says the ledger says. */
export const recorded = (value: Partial<ContractRecord>): PartyEvent => ({
  type: 'answer',
  method: 'record',
  ok: true,
  value: { state: 'READY', epoch: 1, holder: terms.customer, released: false, ...value },
});

export const refused = (
  method: 'ready' | 'record' | 'open' | 'take' | 'statement' | 'release',
  code: string,
): PartyEvent => ({
  type: 'answer',
  method,
  ok: false,
  code,
});
