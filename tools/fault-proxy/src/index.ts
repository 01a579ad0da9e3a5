export { FaultProxyError } from './errors.ts';
export { createFaultProxy } from './proxy.ts';
export type { FaultProxyErrorCode } from './errors.ts';
export type {
  CutInput,
  CutMode,
  Direction,
  Faults,
  FaultsInput,
  HealMode,
  LinkOptionsInput,
} from './faults.ts';
export type { DirectionCounters, Endpoint } from './link.ts';
export type { FaultProxy, FaultProxyPorts, LinkSelector, LinkStatus } from './proxy.ts';
