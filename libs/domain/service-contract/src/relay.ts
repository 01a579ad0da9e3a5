import type { ContractTerms } from './terms.ts';

/** A relay contract: the provider keeps the raw frames that it hears, without keys, for the customer to fetch. It never takes over. */

type Kept = Pick<ContractTerms, 'confidentiality' | 'disputeS'>;

/**
 * Whether the provider keeps frames and does nothing else: nothing is opened, no epoch is ever its own. A contract of before, which has no
 * `disputeS`, keeps what it meant then, or its ledger's log would lead to another state.
 */
export function keepsOnly({ confidentiality, disputeS }: Kept): boolean {
  return confidentiality === 'relay' && disputeS !== undefined;
}

/** Said wherever somebody wants such a provider to take over. */
export const KEEPS_ONLY = 'a relay contract: its provider keeps frames and has no keys, it never takes over';

/** For operators: why the contract's provider never takes over; undefined where it may. */
export const neverTakesOver = (terms: Kept): string | undefined =>
  keepsOnly(terms) ? KEEPS_ONLY : undefined;

type Of = Kept &
  Pick<
    ContractTerms,
    | 'activation'
    | 'coverage'
    | 'downlinkDrills'
    | 'drills'
    | 'escrow'
    | 'exposed'
    | 'forwarding'
    | 'opening'
    | 'rekey'
    | 'rootKeys'
    | 'set'
    | 'volumes'
  >;

/** What a contract with such a provider has no use for; each with the sentence that it is refused with. */
const useless: readonly (readonly [(terms: Of) => boolean, string])[] = [
  [({ disputeS }) => disputeS === undefined, 'a relay contract says how long a dispute lasts (disputeS)'],
  [({ set }) => set.devices.length === 0, 'relay: without sensors on the radio there are no frames to keep'],
  [({ opening }) => opening === 'autonomous', 'relay: there are no keys that could be the provider’s alone'],
  [({ escrow }) => escrow.holders.length > 0, 'relay: there are no keys of which anybody could hold a share'],
  [({ exposed }) => exposed === 'refuse', 'relay: there are no keys that could be exposed'],
  [({ rootKeys }) => rootKeys === true, 'relay: rootKeys are for a provider that takes over'],
  [({ rekey }) => rekey.waitS > 0, 'relay: no keys are disclosed, and none are waited for (rekey)'],
  [
    ({ drills: { perMonth } }) => perMonth > 0,
    'relay: a provider without keys has nothing to show in a drill',
  ],
  [
    ({ drills: { full } }) => full !== undefined,
    'relay: a provider that never takes over has no full drills',
  ],
  [
    ({ downlinkDrills: { motes } }) => motes > 0,
    'relay: a provider that never acts has no downlinks to show',
  ],
  [({ volumes }) => volumes !== undefined, 'relay: no service runs at the provider that could have volumes'],
  [({ forwarding }) => forwarding !== undefined, 'relay: a provider without keys has no readings to forward'],
  [
    ({ coverage: { breach } }) => breach === 'ruled',
    'relay: no outage is stated that the ledger could rule on',
  ],
  [
    ({ activation: { events, takeovers } }) => events.join() !== 'offline' || takeovers !== 1,
    'relay: nothing activates the contract, so nothing is said of activations',
  ],
];

/** Why these terms are not signed; those that were before stay what they are. */
export function relayProblem(terms: Of): string | undefined {
  if (terms.confidentiality !== 'relay') return undefined;
  return useless.find(([isUseless]) => isUseless(terms))?.[1];
}
