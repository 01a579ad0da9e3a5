import type { Kill } from './run.ts';
import type { RefusedFigures, UplinkFigures } from './uplink-verdict.ts';

/** Milliseconds from the kill call, by the demo's monotonic clock; -1 for what never came. */
export interface TakeoverMs {
  /** The neighbour decided to ask. */
  readonly detected: number;
  /** The epoch's receipt was durable at the neighbour. */
  readonly activated: number;
  /** The neighbour's core-data first returned an uplink put on air after the kill. */
  readonly firstReading: number;
}

/** What both statements agreed upon. */
export interface Handback {
  readonly devices: number;
  readonly readings: number;
  /** Frames that the neighbour never heard. */
  readonly gaps: number;
}

export interface SettlementFigures {
  /** The contract's state on the ledger. */
  readonly state: string;
  readonly paid: { readonly provider: number; readonly customer: number };
  readonly stakes: { readonly held: number; readonly returned: number; readonly forfeited: number };
  readonly balances: { readonly customer: number; readonly provider: number };
}

/** The one JSON object that `--json` prints. */
export interface DemoReport {
  readonly ok: boolean;
  readonly uplinks: UplinkFigures;
  readonly refused: RefusedFigures;
  readonly takeoverMs: TakeoverMs;
  readonly handback: Handback;
  readonly settlement: SettlementFigures;
}

/** A run's outcome: the report, and why it is not ok. */
export interface DemoResult {
  readonly report: DemoReport;
  readonly faults: readonly string[];
  /** Every SIGKILL that there was. */
  readonly kills: readonly Kill[];
  /** Where logs, data and the truth are; the folder is gone unless something failed or `keep` was asked for. */
  readonly folder: string;
  readonly kept: boolean;
  /** Where the processes that were kept are found, and how they are ended; for a reader. */
  readonly directions: readonly string[];
}

/** What both accounts hold before the contract, and what is at stake (P of the customer, Q of the provider). */
export const MONEY = { opening: 1_000, customerStake: 100, providerStake: 100 } as const;

const row = (state: string, is: unknown, shouldBe: unknown): string[] =>
  JSON.stringify(is) === JSON.stringify(shouldBe)
    ? []
    : [`settlement: ${state} is ${JSON.stringify(is)}, should be ${JSON.stringify(shouldBe)}`];

/** What a takeover that was honoured must end with, one of so many contracts of the customer that ended so. */
export function settlementFaults(
  { state, paid, stakes, balances }: SettlementFigures,
  contracts = 1,
): string[] {
  const { opening, customerStake, providerStake } = MONEY;
  const customer = opening - contracts * customerStake;
  return [
    ...row('state', state, 'SETTLED'),
    ...row('paid', paid, { provider: customerStake, customer: 0 }),
    ...row('stakes', stakes, { held: customerStake + providerStake, returned: providerStake, forfeited: 0 }),
    ...row('balances', balances, { customer, provider: opening + customerStake }),
  ];
}

/** What a takeover must have shown. */
export function takeoverFaults(
  { detected, activated, firstReading }: TakeoverMs,
  handback: Handback,
): string[] {
  return [
    ...(detected < 0 ? ['the failure was never detected'] : []),
    ...(activated < 0 ? ['the neighbour was never activated'] : []),
    ...(firstReading < 0 ? ['no new reading was stored while edge A was away'] : []),
    ...(handback.readings === 0 ? ['no reading was handed back'] : []),
  ];
}

/** What nobody took over must end with: as it was. */
export function quietFaults(
  { activated }: TakeoverMs,
  { state, paid, stakes, balances }: SettlementFigures,
): string[] {
  const { opening, customerStake, providerStake } = MONEY;
  return [
    ...(activated < 0 ? [] : ['edge B took the epoch of an edge that runs']),
    ...(state === 'READY_EXPOSED' ? [] : row('state', state, 'READY')),
    ...row('paid', paid, { provider: 0, customer: 0 }),
    ...row('stakes', stakes, { held: customerStake + providerStake, returned: 0, forfeited: 0 }),
    ...row('balances', balances, { customer: opening - customerStake, provider: opening - providerStake }),
  ];
}

/** Of a demo that never came to its traffic. */
export const emptyReport: DemoReport = {
  ok: false,
  uplinks: { sent: 0, heard: 0, covered: 0, unacknowledged: 0, stored: 0, lost: 0, doubled: 0, forged: 0 },
  refused: { replay: 0, badMic: 0, foreign: 0, retransmission: 0 },
  takeoverMs: { detected: -1, activated: -1, firstReading: -1 },
  handback: { devices: 0, readings: 0, gaps: 0 },
  settlement: {
    state: 'none',
    paid: { provider: 0, customer: 0 },
    stakes: { held: 0, returned: 0, forfeited: 0 },
    balances: { customer: 0, provider: 0 },
  },
};
