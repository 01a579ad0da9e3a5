import {
  DRILL_MONTH_MS,
  drillDueAt,
  drillVerdict,
  drillsPerMonth,
  isDrillOver,
  type Drill,
  type DrillFacts,
} from './drill.ts';
import type { EscrowOf } from './escrow.ts';

/** What either party does next for its drills: by what the ledger says alone, so that a restart anywhere goes on from there. */

/** What the ledger says of a contract's drills. */
export interface DrillLedger extends DrillFacts {
  readonly life: string;
  readonly validatedAt: number;
  readonly month: number;
  readonly passed: number;
  /** Of this month, those that the contract demands. */
  readonly judged: number;
  readonly newest: Drill | undefined;
}

interface DrillView {
  readonly terms: EscrowOf & Parameters<typeof drillsPerMonth>[0];
  /** Where the party's own machine stands. */
  readonly phase: string;
  readonly ledger: DrillLedger;
}

export interface CustomerDrillView extends DrillView {
  /** The drill keys are with every holder and with the provider. */
  readonly delivered: boolean;
  /** 16 bytes in hex that nobody else knows. */
  readonly secret: string;
  /** An operator wants one now. */
  readonly told: boolean;
}

export type CustomerDrillTurn =
  /** Nothing to be done; `rest`: not soon either. */
  | { readonly turn: 'wait'; readonly rest: boolean }
  | { readonly turn: 'deliver' }
  | { readonly turn: 'start'; readonly drill: number }
  /** The provider may not know of it yet. */
  | { readonly turn: 'tell'; readonly drill: number }
  /** It is over by the ledger's rules; `givenUp`: we want it no more. */
  | { readonly turn: 'end'; readonly drill: number; readonly givenUp: boolean };

const REST: CustomerDrillTurn = { turn: 'wait', rest: true };
/** While the contract waits for its first drill to be passed, the next one comes so soon. */
const AGAIN_BEFORE_READY_MS = 15_000;

/** Phases in which nobody but the customer serves, and neither party is about to take over. */
const CUSTOMER_DRILLS: ReadonlySet<string> = new Set(['arming', 'guarded', 'stated']);
const PROVIDER_DRILLS: ReadonlySet<string> = new Set(['preparing', 'ready', 'stated']);

/** Whether a party whose own machine stands there has time for drills. */
export function hasTimeForDrills(role: 'customer' | 'provider', phase: string): boolean {
  return (role === 'customer' ? CUSTOMER_DRILLS : PROVIDER_DRILLS).has(phase);
}

const READY: ReadonlySet<string> = new Set(['READY', 'READY_EXPOSED']);

function isDue({ terms, ledger, secret, told }: CustomerDrillView): boolean {
  const { life, newest, now, validatedAt, month, judged, passed } = ledger;
  if (told) return true;
  const since = newest === undefined ? Infinity : now - newest.askedAt;
  if (life === 'VALIDATED') return passed === 0 && since >= AGAIN_BEFORE_READY_MS;
  const { perMonth } = terms.drills;
  if (!READY.has(life) || judged >= perMonth) return false;
  // After a long absence they do not come all at once.
  const apart = since >= DRILL_MONTH_MS / perMonth / 4;
  return apart && now >= drillDueAt(terms.drills, validatedAt, month, judged, secret);
}

function mayStart({ ledger, phase }: CustomerDrillView): boolean {
  const { life } = ledger;
  return CUSTOMER_DRILLS.has(phase) && (life === 'VALIDATED' || READY.has(life));
}

function ofOpen({ terms, phase, ledger }: CustomerDrillView, drill: Drill): CustomerDrillTurn {
  const { number } = drill;
  if (drillVerdict(terms, drill, ledger).state !== 'open')
    return { turn: 'end', drill: number, givenUp: false };
  // Whoever does not guard any more wants no drill beside a takeover.
  return CUSTOMER_DRILLS.has(phase)
    ? { turn: 'tell', drill: number }
    : { turn: 'end', drill: number, givenUp: true };
}

export function customerDrillTurn(view: CustomerDrillView): CustomerDrillTurn {
  const { newest } = view.ledger;
  if (drillsPerMonth(view.terms) === 0) return REST;
  if (newest !== undefined && !isDrillOver(newest)) return ofOpen(view, newest);
  if (!mayStart(view)) return REST;
  if (!view.delivered) return { turn: 'deliver' };
  return isDue(view) ? { turn: 'start', drill: (newest?.number ?? 0) + 1 } : REST;
}

export interface ProviderDrillView extends DrillView {
  /** The number of the drill that anything here is for; 0: nothing is here. */
  readonly begun: number;
  /** Its service stands by, or reads. */
  readonly service: 'none' | 'standby' | 'active';
  readonly keysOpen: boolean;
  /** All that its frames say has been read. */
  readonly allRead: boolean;
}

export type ProviderDrillTurn =
  | { readonly turn: 'wait' }
  /** Service and ring of the drill's own, standing by as the contract's do. */
  | { readonly turn: 'prepare'; readonly drill: Drill }
  | { readonly turn: 'open'; readonly drill: Drill }
  | { readonly turn: 'gather'; readonly drill: Drill }
  | { readonly turn: 'read'; readonly drill: Drill }
  | { readonly turn: 'answer'; readonly drill: Drill }
  /** Nothing of any drill is to stay. */
  | { readonly turn: 'undo' };

/** The drill that we are to be in; none beside a takeover of the real thing, which comes before everything else. */
function drillNow({ terms, phase, ledger, begun }: ProviderDrillView): Drill | undefined {
  const { newest } = ledger;
  if (newest === undefined || isDrillOver(newest) || !PROVIDER_DRILLS.has(phase)) return undefined;
  const other = begun !== 0 && begun !== newest.number;
  return other || drillVerdict(terms, newest, ledger).state !== 'open' ? undefined : newest;
}

/** What is left of a drill goes, and nothing waits for that. */
export function providerDrillTurn(view: ProviderDrillView): ProviderDrillTurn {
  const drill = drillNow(view);
  if (drill === undefined) return { turn: view.begun === 0 ? 'wait' : 'undo' };
  if (view.service === 'none') return { turn: 'prepare', drill };
  if (drill.state === 'asked') return { turn: 'open', drill };
  if (!view.keysOpen) return { turn: 'gather', drill };
  return { turn: view.allRead ? 'answer' : 'read', drill };
}
