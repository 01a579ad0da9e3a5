import type { EdgeId } from '@antirio/kernel';
import type { CustomerState, Step as CustomerStep } from './customer-state.ts';
import { call, chain } from './step.ts';
import { deliverNext, nothingDelivered, wasDelivered, type KeyDelivery } from './key-delivery.ts';
import type { ProviderState, Step } from './provider-state.ts';
import { keepsOnly } from './relay.ts';

/** Calls for what is still to be delivered of one version of the keys. `provider`: whether its turn may come. */
export function deliver(
  state: CustomerState,
  keys: KeyDelivery,
  provider: boolean,
  now: number,
): CustomerStep {
  if (keepsOnly(state.terms)) return [state, []];
  return deliverNext(state.terms, keys, provider).reduce<CustomerStep>(
    (step, next) => chain(step, (one) => call(one, next.to, next.call, now)),
    [state, []],
  );
}

/** What was delivered of an older version opens nothing of this one. */
function underWay(renewal: KeyDelivery | undefined, keyVersion: number): KeyDelivery {
  const isOlder = (renewal?.keyVersion ?? keyVersion) < keyVersion;
  return renewal === undefined || isOlder ? nothingDelivered : renewal;
}

/** Our files hold newer keys than those that the provider was READY with: they go where the old ones went. */
export function renewKeys(state: CustomerState, now: number): CustomerStep {
  const { observed, record, renewal, terms } = state;
  if (keepsOnly(terms)) return [state, []];
  const there = record?.keyVersion;
  if (there === undefined || observed.keyVersion === undefined || observed.keyVersion <= there)
    return renewal === undefined || there === undefined || there < (renewal.keyVersion ?? Infinity)
      ? [state, []]
      : [
          { ...state, renewal: undefined },
          [{ type: 'note', milestone: 'rekeyed', detail: { keyVersion: there } }],
        ];
  const keys = underWay(renewal, observed.keyVersion);
  return deliver({ ...state, renewal: keys }, keys, true, now);
}

/** The newest version of our keys that the provider has said it has; undefined where that is not known. */
export function keysDelivered({ record, renewal }: CustomerState): number | undefined {
  const renewed = renewal?.withProvider === true ? renewal.keyVersion : undefined;
  const ready = record?.keyVersion;
  return ready === undefined ? renewed : Math.max(ready, renewed ?? ready);
}

export function onDelivered(state: CustomerState, holder: EdgeId | undefined, value: unknown): CustomerState {
  const { phase, renewal } = state;
  if (phase.at === 'arming')
    return { ...state, phase: { ...phase, keys: wasDelivered(phase.keys, holder, value) } };
  return renewal === undefined ? state : { ...state, renewal: wasDelivered(renewal, holder, value) };
}

/** The provider's half: the package is another than the ledger knows of, and we say that we are READY with it. */
export function announceKeys(state: ProviderState, now: number): Step {
  const { observed, record, terms } = state;
  const { keyVersion } = observed;
  const known = record?.keyVersion;
  if (keyVersion === undefined || known === undefined || keyVersion <= known) return [state, []];
  const args = { contractId: terms.contractId, keyVersion };
  return call(state, state.terms.central, { method: 'rekey', args }, now);
}
