export * from './terms.ts';
export * from './activation.ts';
export * from './configured-activation.ts';
export * from './schedule.ts';
export { companions, companionsIn, startOrder, type Companions } from './companions.ts';
export * from './outage.ts';
export * from './relay.ts';
export * from './drill.ts';
export * from './drill-turns.ts';
export * from './full-drill.ts';
export * from './full-drill-turns.ts';
export * from './downlink-drill.ts';
export * from './lent-downlink.ts';
export * from './lent-messages.ts';
export * from './overload.ts';
export { deafTerms } from './deaf.ts';
export { VITAL_ROOMS, roomsOutFor, vitalRoomsOf, type VitalRoom } from './room-senses.ts';
export * from './escrow.ts';
export * from './genuine.ts';
export * from './receipts.ts';
export * from './back-ask.ts';
export * from './baseline.ts';
export * from './neighbour-hearing.ts';
export * from './coverage-tally.ts';
export * from './coverage-mark.ts';
export * from './coverage-breach.ts';
export * from './coverage-window.ts';
export * from './coverage-claim.ts';
export { coverageTerms } from './coverage-terms.ts';
export * from './key-delivery.ts';
export * from './rekey-terms.ts';
export * from './rent.ts';
export * from './root-keys.ts';
export { isRekeying } from './rekey-wait.ts';
export * from './forwarding.ts';
export * from './joined-addresses.ts';
export * from './life.ts';
export { activeLeftMs, activeUntil, hasServedOut } from './max-active.ts';
export * from './statement.ts';
export { mayOweStatement, owesStatement } from './owed-statement.ts';
export * from './volumes.ts';
export * from './volume-snapshot.ts';
export * from './detector.ts';
export * from './lease.ts';
export * from './fcnt-down.ts';
export * from './proven-heard.ts';
export * from './fence.ts';
export * from './on-air.ts';
export { backoffLeftMs, backoffMs, flappingTerms } from './flapping.ts';
export * from './messages.ts';
export * from './calls.ts';
export * from './full-disk.ts';
export * from './party.ts';
export * from './provider-state.ts';
export * from './provider.ts';
export { beatProblem } from './signed-beat.ts';
export * from './signed-word.ts';
export * from './yield-word.ts';
export { createCustomer, type CustomerPhase, type CustomerState } from './customer-state.ts';
export * from './customer.ts';
export { keysDelivered } from './key-renewal.ts';
export * from './watch.ts';
export {
  DEFAULT_LEASE_MS,
  createGrantor,
  grantedSet,
  grantorChallenge,
  leaseRuns,
  quietMs,
  type LeaseFacts,
} from './grantor.ts';
export { ACTS_KIND, actsWord, isActsWordOf, type ActsWord } from './acts-word.ts';
export { leaseBy, type LeaseBy } from './promises.ts';
export * from './block-marks.ts';
export { onPromises, type OnPromises } from './reserving.ts';
export type { Sibling } from './promiser.ts';
export { customerSibling } from './customer-promises.ts';
export { ledgerTime } from './customer-schedule.ts';
export { providerSibling } from './provider-promises.ts';
export * from './witness.ts';
export * from './central.ts';
export * from './breach.ts';
export * from './dispute.ts';
export * from './ledger-sight.ts';
export * from './other-provider.ts';
export * from './one-set.ts';
